//! The modules of the theory of recovery come in layers: each uses only those below it, so that no circle can come back.

use std::path::Path;

use crate::layers::{check, uses};

/// From the bottom to the top.
const LAYERS: [&str; 10] =
    ["policy", "run", "channels", "availability", "points", "fixpoint", "line", "explain", "plan", "table"];

/// Those of the table, likewise.
const TABLE: [&str; 5] = ["rows", "space", "undo", "coarse", "render"];

/// The modules right below a folder that use each other.
fn below(folder: &str) -> Vec<(String, String)> {
    let prefix = folder.replace('/', "::") + "::";
    let named = |path: &str| {
        let name = path.strip_prefix(&prefix)?.split("::").next()?;
        name.chars().all(|letter| letter.is_lowercase() || letter == '_').then(|| name.to_owned())
    };
    let module = |file: &Path| {
        let name = file.strip_prefix(folder).ok()?.components().next()?.as_os_str().to_str()?;
        Some(name.trim_end_matches(".rs").to_owned())
    };
    uses(named, module)
}

#[test]
fn modules_of_recovery_use_only_those_below() {
    let arrows = below("recovery");
    assert!(arrows.len() > 20, "the sources were not read: {arrows:?}");
    check(&LAYERS, &arrows);
}

#[test]
fn modules_of_the_table_use_only_those_below() {
    let arrows = below("recovery/table");
    assert!(arrows.len() >= 5, "the sources were not read: {arrows:?}");
    check(&TABLE, &arrows);
}

#[test]
#[should_panic(expected = "module `policy` uses `line`, which is not below it")]
fn a_circle_is_found() {
    check(&LAYERS, &[("line".to_owned(), "policy".to_owned()), ("policy".to_owned(), "line".to_owned())]);
}
