//! The deployment file against `docs/deployment.md`, and its errors.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::*;

const DOCUMENT: &str = include_str!("../../../docs/deployment.md");

/// The field names that serde knows, from its own message about an unknown one.
fn fields<T: DeserializeOwned>() -> BTreeSet<String> {
    let Err(error) = serde_json::from_str::<T>(r#"{"no such key":1}"#) else { panic!("must be refused") };
    let text = error.to_string();
    let (_, list) = text.split_once("expected one of ").expect("serde lists the fields");
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Key, type, default of each row of the table under a heading.
fn documented(heading: &str) -> Vec<[String; 3]> {
    let (_, section) = DOCUMENT.split_once(&format!("## {heading}\n")).expect("the heading is there");
    let section = section.split("\n## ").next().expect("never empty");
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
            assert!(cells.len() >= 6 && !cells[4].is_empty(), "a row has key, type, default, meaning: {line}");
            [cells[1].clone(), cells[2].clone(), cells[3].clone()]
        })
        .collect()
}

fn check_section<T: DeserializeOwned + Serialize>(heading: &str, minimal: &str) {
    let rows = documented(heading);
    let keys: BTreeSet<_> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(keys, fields::<T>(), "keys of the section {heading}");
    let parsed: T = toml::from_str(minimal).expect("the minimal file is valid");
    let shown = serde_json::to_value(&parsed).expect("serializes");
    for [key, _, default] in rows {
        if default == "required" {
            let without: String = minimal.lines().filter(|line| !line.starts_with(&key)).collect();
            let without = if key == "roles" { "protocol = \"p.scr\"".to_owned() } else { without };
            assert!(toml::from_str::<T>(&without).is_err(), "`{key}` is documented as required");
            continue;
        }
        let expected = match default.as_str() {
            "none" => serde_json::Value::Null,
            text => {
                let table: toml::Table = toml::from_str(&format!("value = {text}"))
                    .unwrap_or_else(|error| panic!("default of `{key}`: {error}"));
                serde_json::to_value(&table["value"]).expect("serializes")
            }
        };
        let normal = match (key.as_str(), &shown[&key]) {
            ("window", value) => serde_json::Value::String(value.as_str().expect("text").replace("1m", "60s")),
            (_, value) => value.clone(),
        };
        assert_eq!(normal, expected, "default of `{key}`");
    }
}

#[test]
fn the_document_lists_every_key_with_its_default() {
    check_section::<DeploymentFile>("Keys of the file", "protocol = \"p.scr\"\n[roles.A]\ncommand = \"a\"\n");
    check_section::<RoleTable>("Keys of a role", "command = \"a\"\n");
}

#[test]
fn the_example_in_the_document_is_valid() {
    let (_, rest) = DOCUMENT.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("a closed example");
    let file = DeploymentFile::parse(example).expect("valid");
    assert!(file.roles.len() >= 2);
}

fn error(text: &str) -> String {
    match DeploymentFile::parse(text) {
        Ok(_) => panic!("must be refused: {text}"),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn errors_name_the_place() {
    let unknown = error("protocol = \"p.scr\"\nretension = \"retained\"\n[roles]\n");
    assert!(unknown.contains("line 2") && unknown.contains("retension") && unknown.contains("retention"), "{unknown}");
    let kind = error("protocol = \"p.scr\"\n[roles.A]\ncommand = 7\n");
    assert!(kind.contains("line 3") && kind.contains("a program"), "{kind}");
    let mode = error("protocol = \"p.scr\"\n[roles.A]\ncommand = \"a\"\nrecovery = \"undo\"\n");
    assert!(mode.contains("line 4") && mode.contains("undo") && mode.contains("replay"), "{mode}");
    let window = error("protocol = \"p.scr\"\nwindow = \"soon\"\n[roles]\n");
    assert!(window.contains("line 2") && window.contains("soon"), "{window}");
    let empty = error("protocol = \"p.scr\"\n[roles.A]\ncommand = []\n");
    assert!(empty.contains("the command is empty"), "{empty}");
}
