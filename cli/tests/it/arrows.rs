//! The arrows between the crates of the workspace run one way only (see ARCHITECTURE.md).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may use of the workspace, in the built product.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("rekindle-files", &[]),
    ("rekindle-protocol", &[]),
    ("rekindle-statemachine", &["rekindle-protocol"]),
    ("rekindle-proto", &["rekindle-protocol", "rekindle-statemachine"]),
    ("rekindle-node", &["rekindle-files", "rekindle-proto", "rekindle-statemachine"]),
    ("rekindle-supervisor", &["rekindle-files", "rekindle-proto", "rekindle-protocol", "rekindle-statemachine"]),
    (
        "rekindle",
        &[
            "rekindle-files",
            "rekindle-protocol",
            "rekindle-statemachine",
            "rekindle-proto",
            "rekindle-node",
            "rekindle-supervisor",
        ],
    ),
    ("rekindle-worker", &[]),
    ("rekindle-examples", &["rekindle-worker"]),
    ("rekindle-jepsen", &["rekindle-proto", "rekindle-worker"]),
];

/// The pure crates never see these.
const PURE: [&str; 2] = ["rekindle-protocol", "rekindle-statemachine"];
const IMPURE: [&str; 4] = ["tokio", "openraft", "tonic", "rocksdb"];

/// Direct dependencies of every workspace crate, those for tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let used = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
            (text(&package["name"]), used.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let dependencies = dependencies();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let present: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    assert_eq!(known, present, "a crate is missing in the list of allowed arrows, or gone");
    for (name, allowed) in ALLOWED {
        for used in dependencies[name].iter().filter(|used| present.contains(used.as_str())) {
            assert!(allowed.contains(&used.as_str()), "{name} must not use {used}");
        }
    }
}

#[test]
fn pure_crates_know_nothing_of_the_outside() {
    let dependencies = dependencies();
    for name in PURE {
        for impure in IMPURE {
            assert!(!dependencies[name].contains(impure), "{name} must not use {impure}");
        }
    }
}

/// Every source file of the workspace, by its path from the root, without comments.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut sources = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            let below = path.strip_prefix(root).expect("below the root").to_path_buf();
            if path.is_dir() {
                if !below.starts_with("target") && !below.starts_with(".git") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") && !below.ends_with("arrows.rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                sources.push((below, code.collect::<Vec<_>>().join("\n")));
            }
        }
    }
    sources
}

#[test]
fn only_the_raft_folder_names_openraft() {
    let elsewhere = |path: &Path| !path.starts_with("node/src/raft") && path != Path::new("node/src/raft.rs");
    for (path, code) in sources().into_iter().filter(|(path, _)| elsewhere(path)) {
        assert!(!code.contains("openraft"), "{} names openraft", path.display());
    }
}

/// A crate that is reached through another one is an arrow that nobody sees.
#[test]
fn no_crate_re_exports_another() {
    for (path, code) in sources() {
        let hidden = code.lines().find(|line| {
            let line = line.trim_start();
            line.starts_with("pub use rekindle_") && (line.contains(" as ") || !line.contains("::"))
        });
        assert_eq!(hidden, None, "in {}", path.display());
    }
}

/// The supervisor speaks the state machine's words and never runs it.
#[test]
fn the_supervisor_uses_only_the_vocabulary_of_the_state_machine() {
    const WORDS: [&str; 6] = ["agents", "command", "effect", "ids", "spec", "limits"];
    for (path, code) in sources().into_iter().filter(|(path, _)| path.starts_with("supervisor/src")) {
        for (at, name) in code.match_indices("rekindle_statemachine::") {
            let word =
                code[at + name.len()..].split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default();
            assert!(WORDS.contains(&word), "{} uses `{word}` of the state machine", path.display());
        }
    }
}
