//! Whom nodes and local supervisors believe, and how many they listen to.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Running, finish, free_port, last_json, rekindle, wait_for};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn node(folder: &Path, listen: &str, more: &[&str]) -> Output {
    let peers = format!("1=127.0.0.1:{}", free_port());
    let data = folder.join("node");
    let data = data.to_str().expect("UTF-8");
    let mut arguments = vec!["node", "start", "--id", "1", "--peers", &peers, "--data-dir", data, "--listen", listen];
    arguments.extend(more);
    finish(&mut rekindle(arguments))
}

#[test]
fn a_secret_is_made_once_and_kept_from_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    let name = file.to_str().expect("UTF-8");
    let made = finish(&mut rekindle(["cluster", "secret", name, "-o", "json"]));
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    assert_eq!(last_json(&made)["secret_file"], name);
    let secret = fs::read_to_string(&file).expect("written");
    assert!(!String::from_utf8_lossy(&made.stdout).contains(secret.trim()), "it is not shown");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let again = finish(&mut rekindle(["cluster", "secret", name]));
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("exists already"), "{}", said(&again));
    assert_eq!(fs::read_to_string(&file).expect("left"), secret);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("ours");
    let exposed = node(folder.path(), "127.0.0.1:0", &["--secret-file", name]);
    assert_eq!(exposed.status.code(), Some(1));
    assert!(said(&exposed).contains("chmod 600"), "{}", said(&exposed));
    assert!(!folder.path().join("node").exists(), "nothing is begun");
}

#[test]
fn other_machines_are_not_listened_to_without_a_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = node(folder.path(), "0.0.0.0:0", &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("--secret-file") && said(&refused).contains("--insecure"), "{}", said(&refused));
    let agent = ["agent", "start", "--name", "a", "--listen", "0.0.0.0:0"];
    let refused = finish(&mut rekindle(agent));
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("--secret-file"), "{}", said(&refused));
}

#[test]
fn a_node_that_has_no_more_descriptors_says_so_once_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let (endpoint, log) = (format!("127.0.0.1:{port}"), folder.path().join("log"));
    let start = format!(
        "ulimit -n 128; exec '{}' node start --id 1 --peers 1={endpoint} --data-dir '{}' --log info --color never 2>'{}'",
        env!("CARGO_BIN_EXE_rekindle"),
        folder.path().join("node").display(),
        log.display()
    );
    let _node = Running::start(Command::new("sh").args(["-c", &start]).stdin(Stdio::null()));
    let status = || {
        let asked = ["cluster", "status", "--endpoints", &endpoint, "--timeout", "1s", "-o", "json"];
        finish(&mut rekindle(asked)).status.success()
    };
    wait_for("the node to lead", status);
    let crowd: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(&endpoint).ok()).collect();
    let lines = || {
        let log = fs::read_to_string(&log).expect("a log");
        log.lines().filter(|line| line.contains("no more connections can be taken")).count()
    };
    wait_for("the node to say that it is full", || lines() > 0);
    drop(crowd);
    wait_for("the node to answer again", status);
    assert!(lines() <= 2, "{} lines", lines());
}
