//! The command line against `docs/cli.md`.
//!
//! `make bless` writes the document anew.

use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;

use super::*;

const HEAD: &str = "# The command line

Data goes to standard output, talk and logs to standard error. With `-o json` each command prints one JSON object on one
line; `protocol check` prints one for each file, and `session watch` one for each event before the one that it ends with.
`-o svg` and `-o dot` are for `protocol graph`, `-o dot` for `protocol project` too; elsewhere they are wrong usage.

| exit status | means |
|---|---|
| 0 | done |
| 1 | refused or invalid, or a session that did not complete |
| 2 | wrong usage |
| 3 | outcome unknown: the request may have been carried out; or a watched session whose reader went away before it ended |
| 4 | no leader reachable |
| 10 | `node start`: the node may not take part with this folder, or with these `--peers`; to start it again changes nothing |
| 11 | `node start`: the disk is full; the node can be started again, and says what it waits for until there is room |
| 12 | `node start`: a write failed, or hangs |
| 13 | `node start`: a part of the node stopped; it can be started again |
| 14 | a defect: please report what it said |
| 130, 143 | `run` was ended by SIGINT or SIGTERM |

The flags of the first section may stand in every command; they are not repeated below. Environment variables give
defaults for them.
";

/// The whole document, from the definitions.
fn document() -> String {
    let mut command = Cli::command();
    command.build();
    let mut text = HEAD.to_owned();
    section(&command, "rekindle", &mut text);
    text
}

fn section(command: &clap::Command, path: &str, text: &mut String) {
    writeln!(text, "\n## `{path}`\n").expect("a string");
    if let Some(about) = command.get_about() {
        writeln!(text, "{about}.\n").expect("a string");
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    writeln!(text, "```text\n{usage}\n```").expect("a string");
    let top = path == "rekindle";
    let shown = |argument: &&clap::Arg| {
        let global = argument.is_global_set() && !top;
        !global && !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
    };
    let rows: Vec<_> = command.get_arguments().filter(shown).map(row).collect();
    if !rows.is_empty() {
        writeln!(text, "\n| argument | default | meaning |\n|---|---|---|\n{}", rows.join("\n")).expect("a string");
    }
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        section(inner, &format!("{path} {}", inner.get_name()), text);
    }
}

fn row(argument: &clap::Arg) -> String {
    let value = argument
        .get_value_names()
        .filter(|_| argument.get_action().takes_values())
        .map(|names| format!("<{}>", names.join("> <")))
        .unwrap_or_default();
    let name = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long} {value}"),
        (None, Some(long)) => format!("--{long} {value}"),
        (Some(short), None) => format!("-{short} {value}"),
        (None, None) => value,
    };
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = if defaults.is_empty() || !argument.get_action().takes_values() {
        if argument.is_required_set() { "required".to_owned() } else { String::new() }
    } else {
        format!("`{}`", defaults.join(","))
    };
    let mut meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() && argument.get_action().takes_values() {
        write!(meaning, ": {}", values.join(", ")).expect("a string");
    }
    if let Some(variable) = argument.get_env() {
        write!(meaning, " (environment: `{}`)", variable.to_string_lossy()).expect("a string");
    }
    format!("| `{}` | {default} | {meaning} |", name.trim())
}

#[test]
fn the_document_lists_every_command_and_flag() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let document = document();
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&file, &document).expect("docs/cli.md is writable");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == document, "docs/cli.md differs from the code; run `make bless` and read the difference");
}

#[test]
fn the_definitions_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn faults_are_role_at_events() {
    assert_eq!(crash("F1@20"), Ok(Crash { role: "F1".to_owned(), events: 20 }));
    for bad in ["F1", "@20", "F1@", "F1@x", "F1@0", "F1@-1"] {
        assert!(crash(bad).is_err(), "{bad}");
    }
}

#[test]
fn peers_are_id_and_endpoint() {
    assert_eq!(peer("2=node-2:7101"), Ok((2, "node-2:7101".to_owned())));
    for bad in ["2", "x=a:1", "2=a", "2=:1", "2=a:99999"] {
        assert!(peer(bad).is_err(), "{bad}");
    }
}

#[test]
fn formats_are_called_as_they_are_written() {
    for format in Format::value_variants() {
        assert_eq!(Format::from_str(format.name(), false), Ok(*format));
    }
}
