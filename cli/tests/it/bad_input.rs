//! Bad input: a clear error, exit status 1 or 2, nothing left running.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::{Running, finish, free_port, last_json, processes_with, rekindle, wait_for};

const PROTOCOL: &str = "module pair;
global protocol Pair(role A, role B) {
  order() from A to B;
  price() from B to A;
}
";

/// Reads its start line, then orders.
const CUSTOMER: &str = r#"#!/bin/sh
read -r start
echo '{"type":"send","to":"B","label":"order","payload":1}'
echo '{"type":"receive"}'
read -r price
"#;

const DEPLOYMENT: &str = "protocol = \"pair.scr\"
max_restarts = 0
[roles.A]
command = \"./customer\"
[roles.B]
command = \"./shop\"
";

/// A folder with a protocol, a deployment and workers in shell.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let site = Site(tempfile::tempdir().expect("a folder"));
        site.write("pair.scr", PROTOCOL);
        site.write("pair.toml", DEPLOYMENT);
        site.script("customer", CUSTOMER);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("writable");
    }

    fn script(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).expect("ours");
    }

    fn run(&self, flags: &[&str]) -> Output {
        let mark = self.0.path().to_str().expect("UTF-8");
        let mut command = rekindle(["run"]);
        let output = finish(command.arg(self.path("pair.toml")).args(flags).env("MARK", mark).env("TMPDIR", mark));
        wait_for("all processes to end", || processes_with("MARK", mark).is_empty());
        output
    }
}

fn refused(output: &Output, status: i32, wanted: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{text}");
    for wanted in wanted {
        assert!(text.contains(wanted), "`{wanted}` is missing in\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_broken_protocol_is_shown_with_its_place() {
    let site = Site::new();
    site.write("pair.scr", "module pair;\nglobal protocol Pair(role A, role B) {\n  order() form A to B;\n}\n");
    refused(&site.run(&[]), 1, &["pair.scr:3:", "error["]);
    let output = finish(rekindle(["protocol", "check"]).arg(site.path("pair.scr")));
    assert_eq!(output.status.code(), Some(1));
    let everything = [output.stdout, output.stderr].concat();
    assert!(String::from_utf8_lossy(&everything).contains("pair.scr:3:"));
}

#[test]
fn each_file_that_is_checked_gets_an_answer() {
    let site = Site::new();
    site.write("bad.scr", "global protocol Bad(role A, role B) { order() from A to Z; }");
    std::fs::write(site.path("binary.scr"), [0xff, 0xfe, 0x00]).expect("written");
    let files = ["missing.scr", ".", "bad.scr", "binary.scr", "pair.scr"].map(|name| site.path(name));
    let output = finish(rekindle(["protocol", "check", "-o", "json"]).args(files));
    assert_eq!(output.status.code(), Some(1));
    let answers: Vec<serde_json::Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object on each line"))
        .collect();
    let codes: Vec<&str> = answers.iter().map(|answer| answer["errors"][0]["code"].as_str().unwrap_or("")).collect();
    assert_eq!(codes, ["S019", "S019", "S010", "S019", ""]);
    assert_eq!(answers[4]["verdict"], "valid");
    assert_eq!(answers[4]["accepted"][0]["method"], "projection");
}

#[test]
fn the_complete_check_is_asked_for() {
    let site = Site::new();
    let text = "global protocol P(role A, role B, role C) {
        choice at A { x() from A to B; m() from B to C; one() from A to C; }
        or { y() from A to B; m() from B to C; two() from A to C; } }";
    site.write("merged.scr", text);
    let check = |flags: &[&str]| {
        let output = finish(rekindle(["protocol", "check", "-o", "json"]).args(flags).arg(site.path("merged.scr")));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an object");
        (output.status.code(), answer)
    };
    let (status, answer) = check(&[]);
    assert_eq!((status, answer["errors"][0]["code"].as_str()), (Some(1), Some("S070")));
    let (status, answer) = check(&["--complete"]);
    assert_eq!((status, answer["accepted"][0]["method"].as_str()), (Some(0), Some("implementability")));
}

#[test]
fn a_broken_deployment_file_is_shown_with_its_line() {
    let site = Site::new();
    site.write("pair.toml", "protocol = \"pair.scr\"\n[roles.A\n");
    refused(&site.run(&[]), 1, &["pair.toml", "line 2"]);
    refused(&finish(rekindle(["run", "/nowhere/at/all.toml"]).current_dir("/")), 1, &["/nowhere/at/all.toml"]);
}

#[test]
fn unknown_and_missing_roles_are_named() {
    let site = Site::new();
    refused(&site.run(&["--crash", "Z@3"]), 2, &["`Z`", "A, B"]);
    refused(&site.run(&["--crash", "A"]), 2, &["ROLE@N"]);
    let output = finish(rekindle(["protocol", "project", "--role", "Z"]).arg(site.path("pair.scr")));
    refused(&output, 1, &["`Z`", "`A`, `B`"]);
    site.write("pair.toml", &DEPLOYMENT.replace("roles.B", "roles.Z"));
    refused(&site.run(&[]), 1, &["roles.Z", "A, B"]);
    site.write("pair.toml", DEPLOYMENT.split("[roles.B]").next().expect("a part"));
    refused(&site.run(&[]), 1, &["role `B`", "has no worker"]);
}

#[test]
fn retention_durable_is_refused_by_name() {
    let site = Site::new();
    site.write("pair.toml", &format!("retention = \"durable\"\n{DEPLOYMENT}"));
    refused(&site.run(&[]), 1, &["`durable`", "not supported yet"]);
}

#[test]
fn a_missing_worker_binary_says_where_it_was_looked_for() {
    let site = Site::new();
    let output = site.run(&["-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let summary = last_json(&output);
    assert_eq!(summary["outcome"], "failed");
    let reason = summary["reason"].as_str().expect("a reason");
    for wanted in ["./shop", "`B`", "/bin/shop"] {
        assert!(reason.contains(wanted), "`{wanted}` is missing in {reason}");
    }
}

#[test]
fn a_worker_that_leaves_the_protocol_is_stopped_and_named() {
    let site = Site::new();
    site.script(
        "shop",
        "#!/bin/sh\nread -r start\necho '{\"type\":\"send\",\"to\":\"A\",\"label\":\"price\"}'\nread -r end\n",
    );
    let output = site.run(&["-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let summary = last_json(&output);
    assert_eq!(summary["outcome"], "failed");
    let text = summary.to_string();
    for wanted in ["B", "state", "A?order", "A!price"] {
        assert!(text.contains(wanted), "`{wanted}` is missing in {text}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let peers = format!("1={address}");
    let mut node = rekindle(["node", "start", "--id", "1", "--peers", &peers, "--data-dir"]);
    refused(&finish(node.arg(folder.path().join("node"))), 1, &[&address, "listen"]);
    let mut agent = rekindle(["agent", "start", "--name", "a", "--listen", &address]);
    refused(&finish(&mut agent), 1, &[&address, "listen"]);
}

#[test]
fn a_node_that_its_peers_do_not_name_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = rekindle(["node", "start", "--id", "7", "--peers", "1=127.0.0.1:1", "--data-dir"]);
    refused(&finish(node.arg(folder.path())), 2, &["node 7"]);
}

#[test]
fn node_flags_that_cannot_work_are_refused() {
    for flags in [
        &["--peers", "1=127.0.0.1:1,1=127.0.0.1:2"][..],
        &["--peers", "0=127.0.0.1:1,1=127.0.0.1:2"],
        &["--peers", "1=127.0.0.1:1", "--heartbeat", "0s"],
        &["--peers", "1=127.0.0.1:1", "--heartbeat", "10s"],
        &["--peers", "1=127.0.0.1:1", "--lease-ttl", "1ms"],
    ] {
        let mut node = rekindle(["node", "start", "--id", "1", "--data-dir", "/nowhere/at/all"]);
        refused(&finish(node.args(flags)), 2, &["error:", "--"]);
    }
}

#[test]
fn a_pinned_role_runs_all_the_same() {
    let site = Site::new();
    site.script("shop", "#!/bin/sh\nread -r start\necho '{\"type\":\"receive\"}'\nread -r order\necho '{\"type\":\"send\",\"to\":\"A\",\"label\":\"price\"}'\n");
    site.write("pair.toml", &DEPLOYMENT.replace("[roles.B]", "[roles.B]\nagent = \"mars\""));
    assert_eq!(last_json(&site.run(&["-o", "json"]))["outcome"], "completed");
}

#[test]
fn the_data_folder_of_another_node_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("node");
    let start = |id: &str| {
        let port = free_port();
        let peers = format!("{id}=127.0.0.1:{port}");
        let mut command = rekindle(["node", "start", "--id", id, "--peers", &peers, "--data-dir"]);
        command.arg(&data).stderr(Stdio::piped());
        (command, port)
    };
    let (mut command, port) = start("1");
    let mut first = Running::start(&mut command);
    let endpoint = format!("127.0.0.1:{port}");
    wait_for("the node to answer", || {
        finish(rekindle(["cluster", "status", "--timeout", "1s", "--endpoints", &endpoint]).stdout(Stdio::null()))
            .status
            .success()
    });
    refused(&finish(&mut start("1").0), 1, &[data.to_str().expect("UTF-8")]);
    first.signal(Signal::SIGKILL);
    first.ended();
    refused(&finish(&mut start("2").0), 1, &[data.to_str().expect("UTF-8"), "node 1"]);
}

#[test]
fn no_leader_reachable_is_exit_status_4() {
    let output = finish(&mut rekindle(["session", "list", "--timeout", "200ms", "--endpoints", "127.0.0.1:1"]));
    refused(&output, 4, &["127.0.0.1:1"]);
}

#[test]
fn a_run_that_the_protocol_does_not_allow_is_refused_with_its_place() {
    let site = Site::new();
    site.write(
        "run.json",
        r#"{"protocol":"pair.scr","name":"Pair","retention":"retained","roles":{},"histories":{"A":["B?price"]},"failed":[]}"#,
    );
    let output = finish(rekindle(["protocol", "plan", "-o", "json"]).arg(site.path("run.json")));
    refused(&output, 1, &["run.json", "A", "B!order"]);
}

#[test]
fn the_example_of_the_recovery_table_prints_its_row() {
    let site = Site::new();
    site.write(
        "talk.scr",
        "module talk;
global protocol Talk(role A, role B, role C, role D, role E) {
  m1() from B to E;
  m2() from C to E;
  m3() from B to A;
  m4() from C to A;
  m5() from A to D;
  m6() from D to B;
}
",
    );
    let flags = ["protocol", "table", "--mode", "stateless", "--retention", "volatile"];
    let output = finish(rekindle(flags).arg(site.path("talk.scr")));
    let text = String::from_utf8_lossy(&output.stdout);
    let row = "failure of A at 3   →   A:3, B:3, C:4        (D, E untouched)";
    assert!(text.lines().any(|line| line.trim() == row), "{text}");
}
