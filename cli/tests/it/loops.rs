//! Every loop that waits, with what it waits for. Those that try again what failed wait by the one
//! [`Backoff`](rekindle_proto::backoff::Backoff) of this project: with jitter, up to a cap.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use Waits::{For, Retries};

enum Waits {
    /// It tries again what failed, after this wait, which is in its body.
    Retries(&'static str),
    /// It waits for something that is no failure of its own.
    For(&'static str),
}

/// File, function, and what its loops wait for, in their order.
const LOOPS: &[(&str, &str, &[Waits])] = &[
    ("cli/src/commands/bench/recovery.rs", "enough", &[For("recoveries, looked at ten times a second")]),
    ("cli/src/local.rs", "start", &[For("faults to inject")]),
    ("cli/src/local/nodes.rs", "keep", &[For("the end of a node, and orders; `revive` waits")]),
    ("cli/src/local/nodes.rs", "revive", &[Retries("backoff.next_wait()")]),
    ("cli/src/queue.rs", "flushed", &[For("lines to be written")]),
    ("cli/src/watch.rs", "follow", &[For("events of a session; the client retries")]),
    ("node/src/connections.rs", "open", &[For("the first bytes, with a deadline")]),
    ("node/src/connections.rs", "sort", &[Retries("backoff.next_wait()")]),
    ("node/src/founding.rs", "settle", &[Retries("backoff.next_wait()")]),
    ("node/src/handover.rs", "hand_over_when_full", &[For("changes of the free space")]),
    ("node/src/leader.rs", "keep_leases", &[Retries("backoff.next_wait()"), For("leases that end, looked at")]),
    ("node/src/leader.rs", "run", &[For("changes of the leadership")]),
    ("node/src/raft/consensus.rs", "follow_leadership", &[For("changes of the metrics")]),
    ("node/src/raft/consensus.rs", "watch_for_failure", &[For("changes of the metrics"), For("a disk, looked at")]),
    ("node/src/raft/heartbeat.rs", "beat", &[For("changes of the leadership"), For("the next heartbeat")]),
    ("node/src/raft/network.rs", "next", &[For("answers, each with a deadline; `Reach` paces new streams")]),
    ("node/src/raft/reception.rs", "gather", &[For("chunks of a snapshot, each with a deadline")]),
    ("node/src/raft/state_store.rs", "apply", &[For("entries to apply")]),
    ("node/src/round_trips.rs", "watch", &[For("the next measurement, once in a while")]),
    ("node/src/services/agents.rs", "serve", &[For("messages of an agent")]),
    ("node/src/services/watch.rs", "next", &[For("events of a session")]),
    ("node/src/start.rs", "report_health", &[For("changes of the leadership")]),
    ("node/src/storage/room.rs", "watch", &[For("free space, looked at")]),
    ("node/src/storage/writer.rs", "run", &[For("writes")]),
    ("node/src/workshop.rs", "result", &[For("a result, which is begun once more at most")]),
    ("proto/src/client.rs", "anyone", &[Retries("backoff.next_wait()")]),
    ("proto/src/client.rs", "call", &[Retries("&mut backoff")]),
    ("proto/src/client/dial.rs", "ask_all", &[For("answers, each with a deadline")]),
    ("proto/src/client/dial.rs", "search", &[Retries("backoff.next_wait()")]),
    ("proto/src/client/watch.rs", "next", &[Retries("self.after(")]),
    ("proto/src/client/watch.rs", "reopen", &[Retries("self.after(")]),
    ("proto/src/server/incoming.rs", "next", &[Retries("self.wait(")]),
    ("supervisor/src/channel/carrier.rs", "carry", &[For("messages and answers")]),
    ("supervisor/src/channel/carrier.rs", "run", &[Retries("backoff.next_wait()")]),
    ("supervisor/src/channel/service.rs", "take", &[For("room in a session's queue")]),
    ("supervisor/src/link.rs", "run", &[Retries("self.endpoints.pause()")]),
    ("supervisor/src/link.rs", "serve", &[For("messages of the leader")]),
    ("supervisor/src/link/endpoints.rs", "attach", &[Retries("self.pause()")]),
    ("supervisor/src/role/process.rs", "spawn", &[Retries("pauses.next()")]),
    ("supervisor/src/role/worker.rs", "listen", &[For("lines of a worker")]),
    ("supervisor/src/role/worker.rs", "run", &[For("lines of a worker")]),
];

/// Folders whose loops are listed.
const FOLDERS: [&str; 5] = ["cli/src", "clients/rust/src", "node/src", "proto/src", "supervisor/src"];
/// A loop with any of these waits.
const WAITING: [&str; 4] = [".await", "sleep(", ".spawn()", ".blocking_recv("];

#[test]
fn every_loop_that_waits_is_listed_and_retries_back_off() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for file in FOLDERS.iter().flat_map(|folder| sources(&root.join(folder))) {
        let text = fs::read_to_string(&file).expect("a source file");
        let name = file.strip_prefix(root).expect("a file of the workspace").display().to_string();
        for (function, body) in loops(&text) {
            found.entry((name.clone(), function)).or_default().push(body);
        }
    }
    let mut wrong = Vec::new();
    for ((file, function), bodies) in &found {
        let listed = LOOPS.iter().find(|(known, name, _)| known == file && name == function);
        let waits = listed.map_or(&[][..], |(_, _, waits)| waits);
        if waits.len() != bodies.len() {
            wrong.push(format!("{file}, `{function}`: {} loops that wait, {} listed", bodies.len(), waits.len()));
        }
        for (body, waits) in bodies.iter().zip(waits) {
            match waits {
                Retries(wait) if !body.contains(wait) => {
                    wrong.push(format!("{file}, `{function}`: no `{wait}` in the loop that tries again"));
                }
                Retries(_) => {}
                For(reason) => assert!(!reason.is_empty(), "{file}, `{function}`: waits for nothing"),
            }
        }
    }
    for (file, function, _) in LOOPS {
        if !found.contains_key(&((*file).to_owned(), (*function).to_owned())) {
            wrong.push(format!("{file}, `{function}`: listed, and there is no loop that waits"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nhint: list a new loop in cli/tests/it/loops.rs; if it tries again what failed, let it wait by `Backoff`",
        wrong.join("\n")
    );
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && path.file_name().is_some_and(|n| n != "tests.rs") {
            files.push(path);
        }
    }
    files
}

/// The loops of a formatted source file that wait, tests left out: the function around each, and its text.
fn loops(text: &str) -> Vec<(String, String)> {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut functions: Vec<(usize, String)> = Vec::new();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if let Some(name) = function_name(line) {
            functions.retain(|(outer, _)| *outer < indent);
            functions.push((indent, name));
        }
        if !opens_loop(line) {
            continue;
        }
        let end = lines[number..].iter().position(|line| line.starts_with(&format!("{:indent$}}}", "")));
        let body = lines[number..=number + end.expect("a loop that ends")].join("\n");
        if WAITING.iter().any(|wait| body.contains(wait)) {
            let around = functions.iter().rfind(|(outer, _)| *outer < indent);
            found.push((around.map_or_else(String::new, |(_, name)| name.clone()), body));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let words = line.trim_start();
    let before =
        words.find("fn ").filter(|at| !words[..*at].contains(['"', '/', '(', '=']) || words.starts_with("pub("))?;
    let name: String = words[before + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

fn opens_loop(line: &str) -> bool {
    let words = line.trim_start();
    let words = words.strip_prefix('\'').and_then(|labelled| labelled.split_once(": ")).map_or(words, |(_, rest)| rest);
    line.ends_with('{') && (words == "loop {" || words.starts_with("while ") || words.ends_with("= loop {"))
}

#[test]
fn the_loops_of_a_file_are_found() {
    let text = "impl A {\n    pub(crate) async fn busy(&self) {\n        loop {\n            try_it();\n        }\n    }\n\n    fn again() {\n        let x = loop {\n            sleep(PAUSE);\n        };\n        while more() {\n            x.await;\n        }\n    }\n}\n\n#[cfg(test)]\nmod tests {\n    fn test() {\n        loop {\n            x.await;\n        }\n    }\n}\n";
    let names: Vec<String> = loops(text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["again", "again"]);
}
