//! Which modules of a crate use which, read from its sources. The tests of the protocol crate include this file too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

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

/// Which modules, by `name`, each module of this crate uses.
pub(crate) fn uses(
    name: impl Fn(&str) -> Option<String>,
    module: impl Fn(&Path) -> Option<String>,
) -> Vec<(String, String)> {
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

/// Each module uses only those before it in `layers`.
pub(crate) fn check(layers: &[&str], arrows: &[(String, String)]) {
    let height: BTreeMap<&str, usize> = layers.iter().enumerate().map(|(height, name)| (*name, height)).collect();
    for (from, to) in arrows {
        let at = |name: &str| *height.get(name).unwrap_or_else(|| panic!("module `{name}` has no layer"));
        assert!(at(to) < at(from), "module `{from}` uses `{to}`, which is not below it");
    }
}
