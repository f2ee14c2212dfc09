//! A worker against a supervisor made of bytes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use rekindle_worker::{CHECKPOINT_LIMIT, Error, LINE_LIMIT, Mode, Worker};
use serde_json::{Value, json};

type Connected<'a> = Worker<&'a [u8], &'a mut Vec<u8>>;

fn start() -> Value {
    json!({
        "type": "start", "session": "s-4f1c", "role": "B", "incarnation": 2, "position": 4, "base": 3,
        "state": "3|5", "next": ["A!price", "A!refuse"], "roles": ["A", "B"], "mode": "replay", "checkpoint": null
    })
}

fn lines(lines: &[Value]) -> String {
    lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
}

fn connect<'a>(input: &'a str, output: &'a mut Vec<u8>) -> Connected<'a> {
    Worker::new(input.as_bytes(), output).expect("starts")
}

fn written(output: &[u8]) -> Vec<Value> {
    output
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line.strip_suffix(b"\n").expect("each line is ended")).expect("JSON"))
        .collect()
}

#[test]
fn start_is_read_and_needs_no_answer() {
    let mut output = Vec::new();
    let input = lines(&[start()]);
    let worker = connect(&input, &mut output);
    assert_eq!((worker.session(), worker.role(), worker.incarnation()), ("s-4f1c", "B", 2));
    assert_eq!((worker.position(), worker.base(), worker.done()), (4, 3, 3));
    assert_eq!((worker.state(), worker.mode()), ("3|5", Mode::Replay));
    assert_eq!(worker.next(), ["A!price", "A!refuse"]);
    assert_eq!(worker.start().roles, ["A", "B"]);
    assert_eq!(worker.checkpoint::<Value>().expect("null is none"), None);
    drop(worker);
    assert!(output.is_empty());
}

#[test]
fn unknown_fields_unknown_types_and_empty_lines_are_ignored() {
    let mut first = start();
    first["later"] = json!({ "version": 2 });
    let input = format!(
        "\n{first}\n\r\n{}\n  \n{}\n",
        json!({ "type": "weather", "sun": true }),
        json!({ "type": "message", "from": "A", "label": "order", "payload": 7, "later": 1 }),
    );
    let mut output = Vec::new();
    let message = connect(&input, &mut output).receive().expect("a message");
    assert_eq!((message.from.as_str(), message.label.as_str(), &message.payload), ("A", "order", &json!(7)));
}

#[test]
fn each_call_writes_its_line() {
    let input = lines(&[start(), json!({ "type": "message", "from": "A", "label": "bye" })]);
    let mut output = Vec::new();
    let mut worker = connect(&input, &mut output);
    worker.send("A", "price", &json!({ "cents": [1, 2] })).expect("sent");
    worker.log("two\nlines").expect("logged");
    worker.save_checkpoint(&json!({ "seen": 1 })).expect("saved");
    assert_eq!(worker.done(), 4);
    assert_eq!(worker.receive_from("A").expect("a message").payload, Value::Null);
    assert_eq!(worker.done(), 5);
    assert_eq!(
        written(&output),
        [
            json!({ "type": "send", "to": "A", "label": "price", "payload": { "cents": [1, 2] } }),
            json!({ "type": "log", "text": "two\nlines" }),
            json!({ "type": "checkpoint", "data": { "seen": 1 } }),
            json!({ "type": "receive", "from": "A" }),
        ]
    );
}

#[test]
fn receive_from_anyone_names_nobody() {
    let input = lines(&[start(), json!({ "type": "message", "from": "A", "label": "bye", "payload": null })]);
    let mut output = Vec::new();
    connect(&input, &mut output).receive().expect("a message");
    assert_eq!(written(&output), [json!({ "type": "receive" })]);
}

#[test]
fn stored_may_come_while_the_worker_waits() {
    let input = lines(&[
        start(),
        json!({ "type": "stored", "position": 4 }),
        json!({ "type": "message", "from": "A", "label": "order", "payload": 7 }),
    ]);
    let mut output = Vec::new();
    let mut worker = connect(&input, &mut output);
    assert_eq!(worker.stored(), None);
    assert_eq!(worker.receive().expect("a message").label, "order");
    assert_eq!(worker.stored(), Some(4));
}

#[test]
fn a_checkpoint_comes_back_typed() {
    let mut first = start();
    first["checkpoint"] = json!({ "a": 1, "b": 2 });
    let input = lines(&[first]);
    let mut output = Vec::new();
    let worker = connect(&input, &mut output);
    let counts: Option<BTreeMap<String, u32>> = worker.checkpoint().expect("is a map");
    assert_eq!(counts, Some(BTreeMap::from([("a".into(), 1), ("b".into(), 2)])));
    assert!(matches!(worker.checkpoint::<Vec<u32>>(), Err(Error::Decode { .. })));
}

#[test]
fn payloads_are_decoded_under_their_label_only() {
    let message = json!({ "type": "message", "from": "A", "label": "order", "payload": 7 });
    let input = lines(&[start(), message.clone(), message.clone(), message]);
    let mut output = Vec::new();
    let mut worker = connect(&input, &mut output);
    assert_eq!(worker.receive().expect("a message").expect::<u32>("order").expect("a number"), 7);
    let error = worker.receive().expect("a message").expect::<u32>("bye").expect_err("another label");
    assert_eq!(error.to_string(), "expected `bye`, got `order` from A");
    let error = worker.receive().expect("a message").decode::<String>().expect_err("another type");
    assert!(error.to_string().starts_with("cannot read the payload of `order` from A: "), "{error}");
}

#[test]
fn end_of_file_is_closed() {
    assert!(matches!(Worker::new(&b""[..], Vec::new()), Err(Error::Closed)));
    let input = lines(&[start()]);
    let mut output = Vec::new();
    assert!(matches!(connect(&input, &mut output).receive(), Err(Error::Closed)));
    // The supervisor died in the middle of a line.
    let torn = format!("{input}{{\"type\":\"message\",\"from\":\"A\",\"label\":\"x\"}}");
    let mut output = Vec::new();
    assert!(matches!(connect(&torn, &mut output).receive(), Err(Error::Closed)));
}

#[test]
fn a_broken_pipe_is_closed() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let input = lines(&[start()]);
    let mut worker = Worker::new(input.as_bytes(), Broken).expect("starts");
    assert!(matches!(worker.send("A", "price", &1), Err(Error::Closed)));
}

#[test]
fn bad_lines_are_named() {
    let bad = |input: &str| match Worker::new(input.as_bytes(), Vec::new()) {
        Err(Error::BadLine { line, .. }) => line,
        other => panic!("accepted: {other:?}"),
    };
    assert_eq!(bad("hello\n"), "hello");
    assert!(bad("{\"type\":\"stored\",\"position\":1}\n").contains("Stored"));
    assert_eq!(bad("{\"type\":\"start\"}\n"), "{\"type\":\"start\"}");
    let twice = lines(&[start(), start()]);
    let mut output = Vec::new();
    assert!(matches!(connect(&twice, &mut output).receive(), Err(Error::BadLine { .. })));
    let endless = "x".repeat(LINE_LIMIT + 1);
    assert!(bad(&endless).len() < 1000);
}

#[test]
fn what_exceeds_a_limit_is_refused_before_it_is_written() {
    let input = lines(&[start()]);
    let mut output = Vec::new();
    let mut worker = connect(&input, &mut output);
    let error = worker.send("A", "price", &"x".repeat(LINE_LIMIT)).expect_err("too long");
    assert!(matches!(error, Error::MessageTooLarge { bytes, .. } if bytes > LINE_LIMIT), "{error}");
    // A string takes its quotes too.
    let error = worker.save_checkpoint(&"x".repeat(CHECKPOINT_LIMIT - 1)).expect_err("too long");
    assert!(matches!(error, Error::CheckpointTooLarge { bytes } if bytes == CHECKPOINT_LIMIT + 1), "{error}");
    assert_eq!(worker.done(), 3);
    worker.save_checkpoint(&"x".repeat(CHECKPOINT_LIMIT - 2)).expect("fits");
    worker.log(&"\u{1}".repeat(LINE_LIMIT)).expect("is cut");
    drop(worker);
    assert!(output.split_inclusive(|byte| *byte == b'\n').all(|line| line.len() <= LINE_LIMIT));
    assert_eq!(written(&output).len(), 2);
}

#[test]
fn a_message_may_be_as_long_as_the_limit() {
    let frame = serde_json::to_string(&json!({ "type": "send", "to": "A", "label": "price", "payload": "" }));
    let room = LINE_LIMIT - frame.expect("JSON").len() - 1;
    let input = lines(&[start()]);
    let mut output = Vec::new();
    connect(&input, &mut output).send("A", "price", &"x".repeat(room)).expect("fits exactly");
    assert_eq!(output.len(), LINE_LIMIT);
}
