//! A fetcher that is started again and fed the same jobs must send the same pages.

use std::path::Path;

use serde_json::{Value, json};

use crate::folder;
use crate::process::{Lines, Process, Program, start};
use crate::web::Web;

const JOBS: [&str; 6] = ["/", "/a", "/dead", "/private/x", "/none", "/big"];

fn program(cache: &Path, site: &str) -> Program {
    Program::new(env!("CARGO_BIN_EXE_rekindle-crawler"), folder("crawler"))
        .env("SITE", &site)
        .env("CRAWL_CACHE", &cache.display())
}

/// Feeds jobs to a fetcher. Its `send` lines, as it wrote them.
fn fetch(process: &mut Process, lines: &mut Lines, jobs: &[&str]) -> Vec<String> {
    let mut sent = Vec::new();
    for job in jobs {
        assert_eq!(lines.next().as_deref(), Some("{\"type\":\"receive\",\"from\":\"M\"}\n"));
        process.give("M", "fetch", &json!(job));
        sent.push(lines.next().expect("a page"));
    }
    sent
}

fn replay(incarnation: u64, position: usize) -> Value {
    let mut line = start("F1", &["M?fetch", "M?stop"]);
    line["incarnation"] = json!(incarnation);
    line["position"] = json!(position);
    line["mode"] = json!("replay");
    line
}

#[test]
fn sends_the_same_again_though_the_site_changes() {
    let web = Web::start();
    let cache = tempfile::tempdir().expect("a folder");
    let program = program(cache.path(), &web.address);

    let (mut process, mut lines) = program.spawn(&replay(1, 0));
    let first = fetch(&mut process, &mut lines, &JOBS);
    drop(process);
    assert!(first[0].contains("visit1"), "{}", first[0]);

    let (mut process, mut lines) = program.spawn(&replay(2, 2 * JOBS.len()));
    let second = fetch(&mut process, &mut lines, &JOBS);
    assert_eq!(second, first);
    // It goes on where the first one was killed.
    assert!(fetch(&mut process, &mut lines, &["/b"])[0].contains("visit1"));
    drop(process);
    assert_eq!(web.requests()["/a"], 1);

    // Another session has nothing to do with it.
    let mut other = replay(1, 0);
    other["session"] = json!("s-other");
    let (mut process, mut lines) = program.spawn(&other);
    assert!(fetch(&mut process, &mut lines, &["/a"])[0].contains("visit2"));
}

#[test]
fn forgets_when_the_session_is_over() {
    let web = Web::start();
    let cache = tempfile::tempdir().expect("a folder");
    let (mut process, mut lines) = program(cache.path(), &web.address).spawn(&replay(1, 0));
    fetch(&mut process, &mut lines, &["/a"]);
    lines.next().expect("asks");
    process.give("M", "stop", &Value::Null);
    assert!(lines.next().expect("a line").contains("\"to\":\"P1\",\"label\":\"stop\""));
    lines.next().expect("asks");
    assert_eq!(cache.path().read_dir().expect("a folder").count(), 1, "may still be rolled back");
    process.give("M", "done", &Value::Null);
    assert!(process.succeeds());
    assert!(!cache.path().exists());
}

#[test]
fn ends_when_the_supervisor_is_gone() {
    let web = Web::start();
    let cache = tempfile::tempdir().expect("a folder");
    let (mut process, mut lines) = program(cache.path(), &web.address).spawn(&replay(1, 0));
    lines.next().expect("asks");
    process.close();
    assert!(!process.succeeds());
}

#[test]
fn never_leaves_the_site() {
    let web = Web::start();
    let cache = tempfile::tempdir().expect("a folder");
    let (mut process, mut lines) = program(cache.path(), &web.address).spawn(&replay(1, 0));
    lines.next().expect("asks");
    process.give("M", "fetch", &json!("//other.example/"));
    assert_eq!(lines.next(), None);
    assert!(!process.succeeds());
}
