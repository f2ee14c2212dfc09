//! Lines of JSON from and to workers, as `docs/worker-api.md` defines them.

use rekindle_protocol::recovery::policy::Mode;
use rekindle_statemachine::ids::{Incarnation, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use rekindle_proto::printable;

/// Length of what is quoted from a line that is not understood.
const EXCERPT: usize = 200;
/// Length of a word that is quoted; no word of the worker API is longer.
const WORD: usize = 40;
/// What libraries write for numbers that JSON does not have.
const NO_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// A line from a worker.
#[derive(Clone, Debug)]
pub(crate) enum WorkerLine {
    /// A message to a peer.
    Send { to: String, label: String, payload: Box<RawValue> },
    /// Asks for the next message.
    Receive { from: Option<String> },
    /// The worker's state at this place.
    Checkpoint { data: Box<RawValue> },
    /// For the log.
    Log { text: String },
    /// Not a line of the worker API, and why. Nothing of a message's payload is in it: it may be a secret.
    Garbage { what: String },
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    to: Option<&'a RawValue>,
    #[serde(borrow, default)]
    label: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    from: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

impl WorkerLine {
    /// Reads one line, without its line break. Never fails: what is not understood becomes [`WorkerLine::Garbage`].
    pub(crate) fn parse(line: &[u8]) -> Self {
        Self::understand(line).unwrap_or_else(|what| WorkerLine::Garbage { what })
    }

    fn understand(line: &[u8]) -> Result<Self, String> {
        if line.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(format!("a line on standard output that is no JSON object{}", stray(line)));
        }
        let fields: Fields<'_> = serde_json::from_slice(line).map_err(|error| {
            let length = line.len();
            format!("a line of {length} bytes that is no JSON object ({}{error})", no_number(line, error.column()))
        })?;
        match string("type", fields.kind)?.as_str() {
            "send" => Ok(WorkerLine::Send {
                to: string("to", fields.to)?,
                label: string("label", fields.label)?,
                payload: value(fields.payload),
            }),
            "receive" => {
                let from = fields.from.map(|from| string("from", Some(from))).transpose()?;
                Ok(WorkerLine::Receive { from })
            }
            "checkpoint" => Ok(WorkerLine::Checkpoint { data: value(fields.data) }),
            "log" => Ok(WorkerLine::Log { text: string("text", fields.text)? }),
            other => Err(format!("a line of unknown type `{}`", printable::excerpt(other, WORD))),
        }
    }
}

fn string(name: &str, field: Option<&RawValue>) -> Result<String, String> {
    let field = field.ok_or_else(|| format!("a line without `{name}`"))?;
    serde_json::from_str(field.get()).map_err(|_| format!("a line whose `{name}` is no string"))
}

fn value(field: Option<&RawValue>) -> Box<RawValue> {
    field.map_or_else(|| RawValue::NULL.to_owned(), ToOwned::to_owned)
}

/// The text that something printed beside the protocol, `: text`; nothing of what may be a value in JSON.
fn stray(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let value = |char: char| matches!(char, '{' | '[' | '"');
    let text = text.split(value).next().unwrap_or_default().trim();
    let is_number = text.starts_with(|char: char| char == '-' || char.is_ascii_digit());
    if text.is_empty() || is_number { String::new() } else { format!(": {}", printable::excerpt(text, EXCERPT)) }
}

/// Says so if JSON ends at a number that it does not have: `` `NaN` is not in JSON; ``. Columns count from 1.
fn no_number(line: &[u8], column: usize) -> String {
    // The error may stand at the first letter, or at the one after it where two are alike to begin with.
    let starts = column.saturating_sub(2)..column.saturating_add(1).min(line.len());
    let found =
        starts.filter_map(|start| NO_NUMBERS.into_iter().find(|word| line[start..].starts_with(word.as_bytes())));
    found.into_iter().next().map_or_else(String::new, |word| format!("`{word}` is not in JSON; "))
}

/// A line to a worker.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum SupervisorLine<'a> {
    /// The first line that a worker reads.
    Start(Start<'a>),
    /// The answer to `receive`.
    Message { from: &'a str, label: &'a str, payload: &'a RawValue },
    /// A checkpoint is safe.
    Stored { position: u64 },
}

/// Where a worker is to go on.
#[derive(Debug, Serialize)]
pub(crate) struct Start<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) role: &'a str,
    pub(crate) incarnation: Incarnation,
    pub(crate) position: u64,
    pub(crate) base: u64,
    pub(crate) state: &'a str,
    pub(crate) next: Vec<String>,
    pub(crate) roles: &'a [String],
    pub(crate) mode: Mode,
    pub(crate) checkpoint: Option<&'a RawValue>,
}

impl SupervisorLine<'_> {
    /// The line with its line break.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// Cuts a worker's standard output into lines.
#[derive(Debug)]
pub(crate) struct LineCutter {
    partial: Vec<u8>,
    longest: usize,
    broken: bool,
}

impl LineCutter {
    pub(crate) fn new(longest: usize) -> Self {
        LineCutter { partial: Vec::new(), longest, broken: false }
    }

    /// Takes bytes, adds every line that they complete to `lines`, each with its length.
    ///
    /// After a line that is too long nothing more is understood. A last line without a line break is no line.
    pub(crate) fn push(&mut self, bytes: &[u8], lines: &mut Vec<(WorkerLine, usize)>) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.broken {
                return;
            }
            let (text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let length = self.partial.len() + text.len();
            if length > self.longest {
                self.broken = true;
                let what = format!("a line longer than {} bytes", self.longest);
                self.partial = Vec::new();
                lines.push((WorkerLine::Garbage { what }, length));
                return;
            }
            if !ended {
                self.partial.extend_from_slice(text);
                continue;
            }
            if self.partial.is_empty() {
                take(text, lines);
            } else {
                self.partial.extend_from_slice(text);
                take(&self.partial, lines);
                self.partial.clear();
            }
        }
    }
}

fn take(line: &[u8], lines: &mut Vec<(WorkerLine, usize)>) {
    if !line.trim_ascii().is_empty() {
        lines.push((WorkerLine::parse(line), line.len() + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn garbage(line: &str) -> String {
        match WorkerLine::parse(line.as_bytes()) {
            WorkerLine::Garbage { what } => what,
            other => panic!("understood: {other:?}"),
        }
    }

    #[test]
    fn the_documented_lines_are_understood() {
        let send = WorkerLine::parse(br#"{"type":"send","to":"A","label":"price","payload":{"b":1.50, "a":[1e400]}}"#);
        let WorkerLine::Send { to, label, payload } = send else { panic!("{send:?}") };
        // A payload is passed on as it was written.
        assert_eq!((to.as_str(), label.as_str(), payload.get()), ("A", "price", r#"{"b":1.50, "a":[1e400]}"#));

        let bare = WorkerLine::parse(br#" {"label":"","more":{},"to":"\u0041","type":"send"}"#);
        let WorkerLine::Send { to, payload, .. } = bare else { panic!("{bare:?}") };
        assert_eq!((to.as_str(), payload.get()), ("A", "null"));

        assert!(matches!(WorkerLine::parse(br#"{"type":"receive"}"#), WorkerLine::Receive { from: None }));
        assert!(matches!(WorkerLine::parse(br#"{"type":"receive","from":null}"#), WorkerLine::Receive { from: None }));
        let from = WorkerLine::parse(br#"{"type":"receive","from":"A","data":7}"#);
        assert!(matches!(from, WorkerLine::Receive { from: Some(from) } if from == "A"));
        assert!(
            matches!(WorkerLine::parse(br#"{"type":"checkpoint","data":[1]}"#), WorkerLine::Checkpoint { data } if data.get() == "[1]")
        );
        assert!(
            matches!(WorkerLine::parse(br#"{"type":"log","text":"hi"}"#), WorkerLine::Log { text } if text == "hi")
        );
    }

    #[test]
    fn everything_else_says_what_is_wrong() {
        assert_eq!(garbage("hello"), "a line on standard output that is no JSON object: hello");
        for number in NO_NUMBERS {
            let said = garbage(&format!(r#"{{"type":"send","to":"A","label":"x","payload":[1,{number}]}}"#));
            assert!(said.contains(&format!("(`{number}` is not in JSON; ")), "{said}");
        }
        assert_eq!(garbage("{}"), "a line without `type`");
        assert_eq!(garbage(r#"{"type":"sned"}"#), "a line of unknown type `sned`");
        assert_eq!(garbage(r#"{"type":"send","to":"A"}"#), "a line without `label`");
        assert_eq!(garbage(r#"{"type":"send","to":7,"label":"x"}"#), "a line whose `to` is no string");
        assert!(garbage(&"x".repeat(10_000)).len() < 1_000);
        assert_eq!(garbage("\u{1b}2J"), r"a line on standard output that is no JSON object: \u{1b}2J");
    }

    #[test]
    fn no_fault_of_a_line_repeats_a_payload() {
        let lines = [
            r#"{"type":"sned","to":"A","label":"x","payload":"hunter2"}"#,
            r#"{"type":"send","label":"x","payload":"hunter2"}"#,
            r#"{"type":"send","to":"A","label":"x","payload":"hunter2""#,
            r#"{"type":"send","to":"A","label":"x","payload":{"key":hunter2}}"#,
            r#"{"payload":"hunter2","payload":"hunter2"}"#,
            r#"{"type":{"secret":"hunter2"}}"#,
            r#"{"type":"checkpoint","data":["hunter2",NaN]}"#,
            r#"["hunter2"]"#,
            r#""hunter2""#,
            r#"sending {"type":"send","payload":"hunter2"}"#,
            r#"sending "hunter2""#,
        ];
        for line in lines {
            assert!(!garbage(line).contains("hunter"), "{}", garbage(line));
        }
        let mut cut = Vec::new();
        LineCutter::new(10).push(br#"{"type":"send","to":"A","label":"x","payload":"hunter2"}"#, &mut cut);
        assert!(matches!(cut.as_slice(), [(WorkerLine::Garbage { what }, _)] if !what.contains("send")), "{cut:?}");
    }

    #[test]
    fn output_is_cut_wherever_the_reads_end() {
        let text = b"{\"type\":\"receive\"}\n\n  \n{\"type\":\"log\",\"text\":\"a\"}\n{\"type\":\"rec";
        for cut in 0..text.len() {
            let mut lines = Vec::new();
            let mut cutter = LineCutter::new(100);
            cutter.push(&text[..cut], &mut lines);
            cutter.push(&text[cut..], &mut lines);
            assert_eq!(lines.len(), 2, "cut at {cut}: {lines:?}");
            assert!(matches!(lines[0], (WorkerLine::Receive { .. }, 19)));
            assert!(matches!(lines[1], (WorkerLine::Log { .. }, 26)));
        }
    }

    #[test]
    fn a_line_of_the_longest_length_is_taken_and_a_longer_one_is_not() {
        let line = br#"{"type":"log","text":"abcdef"}"#;
        for chunk in [1, 7, 64] {
            let mut lines = Vec::new();
            let mut cutter = LineCutter::new(line.len());
            for piece in [line.as_slice(), b"\n"].concat().chunks(chunk) {
                cutter.push(piece, &mut lines);
            }
            assert!(matches!(lines.as_slice(), [(WorkerLine::Log { .. }, _)]), "{lines:?}");

            let mut lines = Vec::new();
            let mut cutter = LineCutter::new(line.len() - 1);
            for piece in [line.as_slice(), b"\n", line.as_slice(), b"\n"].concat().chunks(chunk) {
                cutter.push(piece, &mut lines);
            }
            assert!(matches!(lines.as_slice(), [(WorkerLine::Garbage { .. }, _)]), "{lines:?}");
        }
    }

    #[test]
    fn lines_to_workers_are_as_documented() {
        let payload = RawValue::from_string("{\"item\":7}".to_owned()).expect("JSON");
        let message = SupervisorLine::Message { from: "A", label: "order", payload: &payload };
        assert_eq!(
            String::from_utf8_lossy(&message.to_bytes()),
            "{\"type\":\"message\",\"from\":\"A\",\"label\":\"order\",\"payload\":{\"item\":7}}\n"
        );
        let session = SessionId("s-4f1c".to_owned());
        let start = SupervisorLine::Start(Start {
            session: &session,
            role: "B",
            incarnation: Incarnation(2),
            position: 4,
            base: 4,
            state: "3|5",
            next: vec!["A!price".to_owned(), "A!refuse".to_owned()],
            roles: &["A".to_owned(), "B".to_owned()],
            mode: Mode::Stateless,
            checkpoint: None,
        });
        assert_eq!(
            String::from_utf8_lossy(&start.to_bytes()),
            concat!(
                r#"{"type":"start","session":"s-4f1c","role":"B","incarnation":2,"position":4,"base":4,"state":"3|5","#,
                r#""next":["A!price","A!refuse"],"roles":["A","B"],"mode":"stateless","checkpoint":null}"#,
                "\n"
            )
        );
        let stored = SupervisorLine::Stored { position: 4 };
        assert_eq!(String::from_utf8_lossy(&stored.to_bytes()), "{\"type\":\"stored\",\"position\":4}\n");
    }
}
