//! `rekindle run`: the main job, and that nothing of it stays behind.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Lines, Running, example, finish, last_json, processes_with, rekindle, wait_for};

struct Crawl {
    folder: TempDir,
}

impl Crawl {
    fn new() -> Self {
        Crawl { folder: tempfile::tempdir().expect("a folder") }
    }

    /// Every process of the run inherits this variable, which is how leftovers are found.
    fn mark(&self) -> &str {
        self.folder.path().to_str().expect("UTF-8")
    }

    fn command(&self, index: &str, flags: &[&str]) -> std::process::Command {
        let mut command = rekindle(["run"]);
        command.arg(example("crawler/crawler.toml")).args(flags);
        command.env("INDEX", self.folder.path().join(index)).env("TMPDIR", self.folder.path()).env("MARK", self.mark());
        command
    }

    fn index(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).expect("the crawl leaves an index")
    }

    fn assert_nothing_left(&self, indices: &[&str]) {
        wait_for("all processes to end", || processes_with("MARK", self.mark()).is_empty());
        let mut left: Vec<_> = std::fs::read_dir(self.folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .filter(|name| !indices.contains(&name.as_str()))
            .collect();
        left.retain(|name| name.starts_with("rekindle-"));
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name")).collect()
}

#[test]
fn a_worker_and_the_leader_die_at_once_and_the_index_is_the_same() {
    let crawl = Crawl::new();
    let calm = finish(&mut crawl.command("calm.json", &["-o", "json"]));
    assert!(calm.status.success(), "{}", String::from_utf8_lossy(&calm.stderr));
    let summary = last_json(&calm);
    assert_eq!(summary["outcome"], "completed");
    assert_eq!(summary["recoveries"], Value::Array(Vec::new()));

    let faulty = finish(&mut crawl.command("faulty.json", &["--crash", "F1@20", "--kill-leader", "-o", "json"]));
    assert!(faulty.status.success(), "{}", String::from_utf8_lossy(&faulty.stderr));
    let summary = last_json(&faulty);
    assert_eq!(summary["outcome"], "completed");
    let recoveries = summary["recoveries"].as_array().expect("a list");
    assert_eq!(recoveries.len(), 1, "{summary}");
    let recovery = &recoveries[0];
    assert_eq!(recovery["failed"][0]["role"], "F1");
    assert_eq!(recovery["failed"][0]["kind"], "worker");
    assert!(names(&recovery["restarted"]).contains(&"F1"));
    assert!(!names(&recovery["untouched"]).is_empty(), "{recovery}");
    assert!(recovery["line"]["F1"].as_u64().is_some_and(|position| position >= 20), "{recovery}");
    assert_eq!(recovery["reasons"].as_array().map(Vec::len), Some(6), "a reason for every role");
    let time = |key: &str| recovery[key].as_u64().unwrap_or_else(|| panic!("{key} of {recovery}"));
    assert!(time("detected_ms") <= time("decided_ms") && time("decided_ms") <= time("resumed_ms"));

    assert!(crawl.index("calm.json") == crawl.index("faulty.json"), "the index must be the same to the byte");
    crawl.assert_nothing_left(&["calm.json", "faulty.json"]);
}

#[test]
fn text_output_tells_who_where_and_why() {
    let crawl = Crawl::new();
    let output = finish(&mut crawl.command("index.json", &["--crash", "F1@20", "--kill-leader", "--color", "never"]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for wanted in [
        "worker of F1 killed",
        "the leader, killed",
        "recovery 1: decided",
        "left alone",
        "recovery 1: resumed",
        "completed",
    ] {
        assert!(text.contains(wanted), "`{wanted}` is missing in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colour is off");
}

#[test]
fn a_crash_that_never_comes_is_told() {
    let crawl = Crawl::new();
    let output = finish(&mut crawl.command("index.json", &["--crash", "F1@100000"]));
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && talk.contains("did not happen") && talk.contains("F1"), "{talk}");
}

#[test]
fn an_early_sigterm_leaves_nothing_behind() {
    for delay_ms in [5, 10, 20, 30, 45, 60, 90, 120] {
        let crawl = Crawl::new();
        let mut command = crawl.command("index.json", &[]);
        // It must not be over before the signal comes.
        command.env("DELAY_MS", "200");
        let mut child = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        // The moment is what is tried here; whether the handlers stand by then is up to the machine.
        std::thread::park_timeout(Duration::from_millis(delay_ms));
        // Not SIGINT: a test that runs in the background of a shell inherits that it is ignored.
        child.signal(Signal::SIGTERM);
        let status = child.ended();
        assert!(status.code() == Some(143) || status.signal() == Some(15), "{status}");
        crawl.assert_nothing_left(&[]);
    }
}

#[test]
fn nodes_die_with_a_run_that_is_killed_at_any_moment() {
    for delay_ms in [2, 5, 10, 20, 30, 45, 60, 90] {
        let crawl = Crawl::new();
        let mut command = crawl.command("index.json", &[]);
        // It must not be over before the signal comes.
        command.env("DELAY_MS", "200");
        let mut child = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        std::thread::park_timeout(Duration::from_millis(delay_ms));
        child.kill();
        wait_for("all processes to end", || processes_with("MARK", crawl.mark()).is_empty());
    }
}

fn interrupted_by(signal: Signal, status: i32) {
    let crawl = Crawl::new();
    let mut command = crawl.command("index.json", &["--color", "never"]);
    command.env("DELAY_MS", "200");
    let mut child = Running::start(command.stdout(Stdio::piped()));
    let lines = Lines::of(&mut child);
    while !lines.next().expect("it says that it runs").ends_with("running") {}
    child.signal(signal);
    assert_eq!(child.ended().code(), Some(status));
    crawl.assert_nothing_left(&[]);
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    interrupted_by(Signal::SIGINT, 130);
}

#[test]
fn sigterm_leaves_nothing_behind() {
    interrupted_by(Signal::SIGTERM, 143);
}

#[test]
fn a_given_data_folder_is_kept() {
    let crawl = Crawl::new();
    let data = crawl.folder.path().join("data");
    let flags = ["--data-dir", data.to_str().expect("UTF-8"), "-o", "json"];
    for index in ["first.json", "second.json"] {
        let output = finish(&mut crawl.command(index, &flags));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(Path::new(&data).join("node-1").is_dir());
    assert!(crawl.index("first.json") == crawl.index("second.json"));
}

#[test]
fn every_example_runs_to_its_end_through_a_crash() {
    for (file, crash) in [
        ("calculator/calculator.toml", None),
        ("ring/ring.toml", None),
        ("map-reduce/map-reduce.toml", None),
        ("booking-python/booking.toml", Some("B@3")),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = rekindle(["run"]);
        command.arg(example(file)).args(["-o", "json"]).env("TMPDIR", folder.path());
        if let Some(crash) = crash {
            command.args(["--crash", crash]);
        }
        let output = finish(&mut command);
        let summary = last_json(&output);
        assert_eq!(summary["outcome"], "completed", "{file}: {summary}");
    }
}

/// A timer starts the same command every night, with a data folder and a name.
#[test]
fn a_name_whose_session_has_ended_is_refused_and_how_it_ended_is_said() {
    let crawl = Crawl::new();
    let data = crawl.folder.path().join("data");
    let flags = ["--session", "nightly", "--data-dir", data.to_str().expect("UTF-8")];
    let first = finish(&mut crawl.command("first.json", &flags));
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let second = finish(&mut crawl.command("second.json", &flags));
    let talk = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{talk}");
    assert!(talk.contains("session `nightly` has completed") && talk.contains("--session"), "{talk}");
    assert!(!crawl.folder.path().join("second.json").exists(), "nothing ran");
}
