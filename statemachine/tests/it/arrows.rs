//! The modules of this crate come in layers: each uses only those below it, so that no circle can come back.

use std::path::Path;

use crate::layers::{check, uses};

/// From the bottom to the top.
const LAYERS: [&str; 19] = [
    "ids",
    "shared",
    "limits",
    "bytes",
    "spec",
    "command",
    "agents",
    "effect",
    "events",
    "recovery",
    "session",
    "protocols",
    "clients",
    "index",
    "state",
    "rules",
    "machine",
    "codec",
    "lib",
];

/// The rules, likewise: what they share, and above that one handler per command.
const RULES: [&str; 16] = [
    "scene",
    "orders",
    "placement",
    "ending",
    "budget",
    "decision",
    "opening",
    "failure",
    "agent_loss",
    "position",
    "acknowledgement",
    "finish",
    "cancel",
    "checkpoint",
    "start",
    "rules",
];

#[test]
fn modules_use_only_those_below() {
    let first = |path: &str| path.split("::").next().map(|name| name.trim().to_owned());
    let named =
        |path: &str| first(path).filter(|name| name.chars().all(|letter| letter.is_lowercase() || letter == '_'));
    let module = |below: &Path| {
        let name = below.components().next()?.as_os_str().to_str()?;
        Some(name.trim_end_matches(".rs").to_owned())
    };
    let arrows = uses(named, module);
    assert!(arrows.len() > 60, "the sources were not read: {arrows:?}");
    check(&LAYERS, &arrows);
}

#[test]
fn rules_use_only_those_below() {
    let named = |path: &str| path.strip_prefix("rules::")?.split("::").next().map(str::to_owned);
    let module = |below: &Path| {
        let name = below.strip_prefix("rules").ok()?.to_str()?;
        Some(name.trim_end_matches(".rs").to_owned())
    };
    let arrows = uses(named, module);
    assert!(arrows.len() > 20, "the sources were not read: {arrows:?}");
    check(&RULES, &arrows);
}

#[test]
#[should_panic(expected = "module `ids` uses `session`, which is not below it")]
fn a_circle_is_found() {
    check(&LAYERS, &[("session".to_owned(), "ids".to_owned()), ("ids".to_owned(), "session".to_owned())]);
}
