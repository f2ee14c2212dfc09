//! The modules of this crate come in layers: each uses only those below it, so that no circle can come back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

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

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Every `crate::…` path of a file, `use` lists spelled out, comments left out.
fn paths(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let end = rest.find(|letter: char| letter == ';' || letter == '(' || letter == ' ' && !rest.contains('{'));
        let rest = &rest[..end.unwrap_or(rest.len())];
        match rest.split_once('{') {
            Some((head, list)) => {
                let names = list.split('}').next().unwrap_or_default().split(',').map(str::trim);
                paths.extend(names.filter(|name| !name.is_empty()).map(|name| format!("{head}{name}")));
            }
            None => paths.push(rest.to_owned()),
        }
    }
    paths
}

/// Which modules, by `name`, each module uses.
fn uses(name: impl Fn(&str) -> Option<String>, module: impl Fn(&Path) -> Option<String>) -> Vec<(String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut arrows = Vec::new();
    for file in files(&source) {
        let below = file.strip_prefix(&source).expect("below the sources");
        let Some(from) = module(below) else { continue };
        let text = fs::read_to_string(&file).expect("UTF-8");
        arrows.extend(paths(&text).iter().filter_map(|path| name(path)).map(|to| (from.clone(), to)));
    }
    arrows.retain(|(from, to)| from != to);
    arrows
}

fn check(layers: &[&str], arrows: &[(String, String)]) {
    let height: BTreeMap<&str, usize> = layers.iter().enumerate().map(|(height, name)| (*name, height)).collect();
    for (from, to) in arrows {
        let at = |name: &str| *height.get(name).unwrap_or_else(|| panic!("module `{name}` has no layer"));
        assert!(at(to) < at(from), "module `{from}` uses `{to}`, which is not below it");
    }
}

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
