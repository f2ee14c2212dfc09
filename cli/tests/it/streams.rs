//! Standard output and standard error that nobody reads, or that take nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::{Running, finish, last_json, rekindle};

/// Two roles, one message, and what A does before it.
fn deployment(before: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let protocol =
        "module ping;\nglobal protocol Ping(role A, role B) {\n  ping() from A to B;\n  pong() from B to A;\n}\n";
    std::fs::write(folder.path().join("ping.scr"), protocol).expect("writable");
    let a = format!(
        "read start; {before} echo '{{\"type\":\"send\",\"to\":\"B\",\"label\":\"ping\"}}'; echo '{{\"type\":\"receive\"}}'; read pong"
    );
    let b = "read start; echo '{\"type\":\"receive\"}'; read ping; echo '{\"type\":\"send\",\"to\":\"A\",\"label\":\"pong\"}'";
    let file = format!(
        "protocol = \"ping.scr\"\nmax_restarts = 3\n[roles.A]\ncommand = [\"sh\", \"-c\", '''{a}''']\n[roles.B]\ncommand = [\"sh\", \"-c\", '''{b}''']\n"
    );
    std::fs::write(folder.path().join("ping.toml"), file).expect("writable");
    folder
}

fn run(folder: &Path, flags: &[&str]) -> Command {
    let mut command = rekindle(["run"]);
    command.arg(folder.join("ping.toml")).args(flags).env("TMPDIR", folder);
    command
}

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("a device that is full").into()
}

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_job_whose_reader_goes_away_goes_on_and_its_exit_status_is_the_jobs() {
    for (before, status) in [("", 0), ("exit 7;", 1)] {
        let folder = deployment(before);
        let output = run(folder.path(), &[]).stdout(closed()).stderr(Stdio::piped()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(status), "{}", talk(&output));
        assert!(talk(&output).contains("the reader of standard output went away"), "{}", talk(&output));
    }
}

#[test]
fn a_job_whose_log_nobody_reads_goes_on() {
    // More than a pipe holds, in lines, by a worker that waits if its supervisor does not take them.
    let folder = deployment("head -c 300000 /dev/zero | tr '\\\\0' x | fold -w 100 >&2;");
    let mut child = Running::start(run(folder.path(), &["-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut line = String::new();
    let mut stdout = BufReader::new(child.0.stdout.take().expect("piped"));
    stdout.read_line(&mut line).expect("the summary");
    assert!(line.contains(r#""outcome":"completed""#), "{line}");
    assert_eq!(child.ended().code(), Some(0));
}

#[test]
fn a_job_whose_output_nobody_reads_goes_on_and_ends_by_a_signal() {
    let folder = deployment("");
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut filler = writer.try_clone().expect("a handle");
    // Fills the pipe to the last byte, so that the first line waits.
    let fill = std::thread::spawn(move || {
        let _ = std::io::Write::write_all(&mut filler, &vec![b'x'; 65_536]);
    });
    fill.join().expect("a full pipe");
    let done = folder.path().join("done");
    let mut command = run(folder.path(), &[]);
    let b = std::fs::read_to_string(folder.path().join("ping.toml")).expect("the file");
    let marked = b.replace("read pong", &format!("read pong; : > {}", done.display()));
    std::fs::write(folder.path().join("ping.toml"), marked).expect("writable");
    let mut child = Running::start(command.stdout(writer).stderr(Stdio::null()));
    crate::support::wait_for("the job to be done", || done.exists());
    child.signal(Signal::SIGTERM);
    assert_eq!(child.ended().code(), Some(143));
    drop(command);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("what was written");
}

#[test]
fn an_interrupted_run_says_how_it_goes_on() {
    let folder = deployment(": > ready; sleep 1000;");
    let (ready, data) = (folder.path().join("ready"), folder.path().join("the data"));
    let flags = ["--data-dir", data.to_str().expect("UTF-8"), "--session", "s-1", "-o", "json"];
    let mut child = Running::start(run(folder.path(), &flags).stdout(Stdio::piped()).stderr(Stdio::piped()));
    crate::support::wait_for("the worker", || ready.exists());
    child.signal(Signal::SIGTERM);
    assert_eq!(child.ended().code(), Some(143));
    let (mut stdout, mut stderr) = (Vec::new(), String::new());
    child.0.stdout.take().expect("piped").read_to_end(&mut stdout).expect("its output");
    child.0.stderr.take().expect("piped").read_to_string(&mut stderr).expect("its talk");
    let output = Output { status: std::process::ExitStatus::default(), stdout, stderr: Vec::new() };
    let summary = last_json(&output);
    assert_eq!(summary["outcome"], "interrupted", "{summary}");
    let command = summary["go_on_with"].as_str().expect("a command");
    assert!(command.contains("--session s-1") && command.contains("the data'"), "{command}");
    assert!(stderr.contains(command), "{stderr}");
    // What it says is what works, once the worker no longer hangs.
    let file = std::fs::read_to_string(folder.path().join("ping.toml")).expect("the file");
    assert!(file.contains("sleep 1000;"));
    std::fs::remove_file(&ready).expect("it was there");
    let again = format!("{} {}", crate::support::REKINDLE, command.strip_prefix("rekindle ").expect("the program"));
    let mut child = Running::start(Command::new("sh").args(["-c", &format!("exec {again}")]).stdout(Stdio::null()));
    crate::support::wait_for("the worker again", || ready.exists());
    child.signal(Signal::SIGTERM);
    assert_eq!(child.ended().code(), Some(143));

    let folder = deployment("sleep 1000;");
    let mut child = Running::start(run(folder.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut lines = BufReader::new(child.0.stdout.take().expect("piped"));
    lines.read_line(&mut String::new()).expect("its first line");
    child.signal(Signal::SIGTERM);
    child.ended();
    let mut stderr = String::new();
    child.0.stderr.take().expect("piped").read_to_string(&mut stderr).expect("its talk");
    assert!(stderr.contains("--data-dir"), "{stderr}");
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_a_reader_that_went_away_is_not() {
    let folder = deployment("");
    let good = folder.path().join("ping.scr");
    let bad = folder.path().join("bad.scr");
    std::fs::write(&bad, "module bad;\nglobal protocol Bad(role A) {\n  x() from A to Z;\n}\n").expect("writable");
    let (good, bad) = (good.to_str().expect("UTF-8"), bad.to_str().expect("UTF-8"));
    for (arguments, status) in [
        (vec!["protocol", "explain", "S012"], 0),
        (vec!["protocol", "explain", "S012", "-o", "json"], 0),
        (vec!["protocol", "graph", good], 0),
        (vec!["protocol", "check", good], 0),
        (vec!["protocol", "check", good, bad], 1),
        (vec!["completions", "bash"], 0),
        (vec!["--help"], 0),
        (vec!["--version"], 0),
    ] {
        let gone = finish(rekindle(&arguments).stdout(closed()));
        assert_eq!(gone.status.code(), Some(status), "{arguments:?}: {}", talk(&gone));
        let lost = finish(rekindle(&arguments).stdout(full()));
        assert_eq!(lost.status.code(), Some(1), "{arguments:?} on a full disk: {}", talk(&lost));
    }
    let output = rekindle(["run", "--session", "s"])
        .arg(folder.path().join("ping.toml"))
        .stdout(full())
        .stderr(Stdio::piped())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{}", talk(&output));
    assert!(talk(&output).contains("cannot write to standard output"), "{}", talk(&output));
}
