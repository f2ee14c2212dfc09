//! Ends of a node: each says why, with a status of its own.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{REKINDLE, Running, finish, free_port, rekindle, wait_for};

/// A node on its own, whose files may not grow beyond 512 KiB: like a disk that is full.
fn confined(folder: &TempDir, port: u16) -> Running {
    let mut shell = Command::new("bash");
    let script = "ulimit -f 512; exec \"$0\" \"$@\"";
    shell.args(["-c", script, REKINDLE, "node", "start", "--id", "1", "--data-dir"]);
    shell.arg(folder.path().join("data")).args(["--peers", &format!("1=127.0.0.1:{port}")]);
    let log = fs::File::create(folder.path().join("log")).expect("writable");
    Running::start(shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log))
}

#[test]
fn a_node_whose_disk_is_full_says_so_at_its_end_and_at_its_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut node = confined(&folder, port);
    let protocol = folder.path().join("big.scr");
    let endpoint = format!("127.0.0.1:{port}");
    let mut number = 0;
    let mut ended = None;
    wait_for("the disk to be full", || {
        number += 1;
        let padding = "x".repeat(100);
        let messages: String = (0..100).map(|part| format!("m{number}_{part}_{padding}() from A to B; ")).collect();
        let text = format!("global protocol P{number}(role A, role B) {{ {messages} }}\n");
        fs::write(&protocol, text).expect("writable");
        let mut register = rekindle(["protocol", "register", "--timeout", "1s", "--endpoints", &endpoint]);
        // What it says does not matter: the node may be gone.
        finish(register.arg(&protocol));
        ended = node.0.try_wait().expect("a child");
        ended.is_some()
    });
    let said = fs::read_to_string(folder.path().join("log")).expect("readable");
    assert_eq!(ended.and_then(|status| status.code()), Some(11), "{said}");
    assert!(said.lines().any(|line| line.starts_with("rekindle: the node ends, since the disk is full")), "{said}");

    let again = fs::File::create(folder.path().join("again")).expect("writable");
    let mut start = rekindle(["node", "start", "--id", "1", "--peers", &format!("1={endpoint}"), "--data-dir"]);
    let _node = Running::start(start.arg(folder.path().join("data")).stdout(Stdio::null()).stderr(again));
    wait_for("the next start to repeat it", || {
        let said = fs::read_to_string(folder.path().join("again")).expect("readable");
        said.contains("the last run of this node ended by itself") && said.contains("the disk is full")
    });
}
