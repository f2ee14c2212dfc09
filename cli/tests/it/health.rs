//! `rekindle health`: an exit status that a health check can rely on.

use std::process::Stdio;

use serde_json::json;

use crate::support::{Running, finish, free_port, last_json, rekindle, wait_for};

#[test]
fn health_says_who_serves_and_who_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = format!("127.0.0.1:{}", free_port());
    let dead = format!("127.0.0.1:{}", free_port());
    let health = |endpoints: &str, more: &[&str]| {
        finish(rekindle(["health", "-o", "json", "--timeout", "2s", "--endpoints", endpoints]).args(more))
    };
    assert_eq!(health(&endpoint, &[]).status.code(), Some(4), "nobody is there yet");

    let mut node = rekindle(["node", "start", "--id", "1", "--peers", &format!("1={endpoint}"), "--data-dir"]);
    let mut node = Running::start(node.arg(folder.path().join("node")).stderr(Stdio::null()));
    wait_for("the node to serve", || health(&endpoint, &[]).status.success());
    let shown = last_json(&health(&endpoint, &[]));
    assert_eq!(shown["checks"], json!([{"of": endpoint, "healthy": true, "says": "node 1 serves, node 1 leads"}]));

    let half = health(&format!("{endpoint},{dead}"), &[]);
    assert_eq!(half.status.code(), Some(4), "one of two does not serve");
    assert_eq!(last_json(&half)["healthy"], json!(false));

    let absent = health(&endpoint, &["--agent", "east"]);
    assert_eq!(absent.status.code(), Some(4));
    assert_eq!(last_json(&absent)["checks"][0]["says"], json!("holds no lease: the cluster does not count on it"));
    node.kill();
    assert_eq!(health(&endpoint, &["--agent", "east"]).status.code(), Some(4), "no leader is there");
}
