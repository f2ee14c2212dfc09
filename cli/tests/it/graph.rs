//! `protocol graph`, and the formats of pictures elsewhere.

use std::fs;
use std::process::Output;

use tempfile::TempDir;

use crate::support::{finish, last_json, rekindle};

const PROTOCOLS: &str = "module shop;
global protocol Shop(role A, role B) {
  choice at A { order() from A to B; do Pay(A, B); } or { bye() from A to B; }
}
aux global protocol Pay(role X, role Y) { pay() from X to Y; }
global protocol Unsure(role A, role B, role C) {
  choice at A { left() from A to B; x() from C to B; } or { right() from A to B; }
}
";

/// Runs `rekindle protocol … shop.scr …` on a file of those protocols.
fn protocol(verb: &str, flags: &[&str]) -> Output {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("shop.scr"), PROTOCOLS).expect("writable");
    finish(rekindle(["protocol", verb, "shop.scr"]).args(flags).current_dir(folder.path()))
}

/// Standard output of a command that has nothing else to say.
fn drawn(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_protocol_is_drawn_in_every_format() {
    let graph = |format| drawn(&protocol("graph", &["--protocol", "Shop", "-o", format]));
    let svg = graph("svg");
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!(svg.matches("class=\"number\"").count(), 3);
    assert!(graph("dot").starts_with("digraph \"Shop\" {\n"));
    assert!(graph("text").starts_with("Shop: A, B\n"));
    assert_eq!(graph("text"), drawn(&protocol("graph", &["--protocol", "Shop"])), "text is the default");
    let json = last_json(&protocol("graph", &["--protocol", "Shop", "-o", "json"]));
    assert_eq!(json["steps"][0]["branches"][0][1]["label"], "pay");
}

#[test]
fn an_auxiliary_protocol_is_drawn_when_it_is_named() {
    assert_eq!(drawn(&protocol("graph", &["--protocol", "Pay"])), "Pay: X, Y\n\n   1 X → Y  pay()\n");
    let output = protocol("graph", &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("`Shop`, `Pay`, `Unsure`"), "{text}");
}

#[test]
fn an_invalid_protocol_is_drawn_and_said_to_be_invalid() {
    let output = protocol("graph", &["--protocol", "Unsure", "-I", "lib"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("Unsure: A, B, C\n"));
    let note = "note: `Unsure` is invalid; `rekindle protocol check shop.scr -I lib` says why\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), note);
}

#[test]
fn a_machine_is_printed_for_graphviz() {
    let dot = drawn(&protocol("project", &["--protocol", "Shop", "--role", "A", "-o", "dot"]));
    assert!(dot.starts_with("digraph \"Shop@A\" {\n"), "{dot}");
    assert!(dot.contains("[label=\"B!order()\"];"), "{dot}");
    let all = drawn(&protocol("project", &["--protocol", "Shop", "-o", "dot"]));
    assert_eq!(all.matches("digraph").count(), 2);
    assert!(drawn(&protocol("project", &["--protocol", "Shop", "--role", "A"])).starts_with("Shop at A\n"));
}

#[test]
fn a_format_that_a_command_does_not_have_is_wrong_usage() {
    for (arguments, formats) in [
        (&["protocol", "project", "shop.scr", "-o", "svg"][..], "`text`, `json`, `dot`;"),
        (&["protocol", "check", "shop.scr", "-o", "dot"], "`text`, `json`;"),
        (&["session", "list", "--output", "svg"], "`text`, `json`;"),
    ] {
        let output = finish(&mut rekindle(arguments));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(formats), "{text}");
        assert!(output.stdout.is_empty());
    }
    let output = finish(rekindle(["cluster", "status"]).env("REKINDLE_OUTPUT", "svg"));
    assert_eq!(output.status.code(), Some(2));
    let output = finish(&mut rekindle(["protocol", "graph", "-o", "png", "shop.scr"]));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("text, json, svg, dot"), "{text}");
}
