//! Goldens: `NAME.scr` in `testdata/graph`, and what is drawn of it in each form.
//!
//! After a change, run `make bless`, read the difference and look at the pictures.

use std::path::{Path, PathBuf};

use rekindle_protocol::CheckOptions;
use rekindle_protocol::graph::Graph;
use rekindle_protocol::program::Program;

use super::xml;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/graph")
}

fn program(name: &str) -> Program {
    let file = testdata().join(format!("{name}.scr"));
    let read = &mut |path: &str| std::fs::read_to_string(path).ok();
    rekindle_protocol::load(file.to_str().unwrap(), &[], read).unwrap_or_else(|report| panic!("{report}"))
}

fn compare(file: &Path, drawn: &str) {
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(file, drawn).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(drawn, expected, "{}", file.display());
}

fn check(golden: &str, graph: &Graph) {
    let file = |extension: &str| testdata().join(format!("{golden}.{extension}"));
    compare(&file("svg"), &graph.to_svg());
    compare(&file("dot"), &graph.to_dot());
    compare(&file("txt"), &graph.to_text());
    compare(&file("json"), &format!("{}\n", serde_json::to_string_pretty(graph).unwrap()));
    xml::Picture::parse(&graph.to_svg()).check();
}

#[test]
fn every_golden_holds() {
    for name in ["two_roles", "every_construct", "long_names", "not_valid"] {
        check(name, &program(name).graph(None).unwrap());
    }
}

/// The picture that the example shows.
#[test]
fn the_crawler_is_drawn_as_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/crawler");
    let text = std::fs::read_to_string(folder.join("crawler.scr")).unwrap();
    let program = rekindle_protocol::load("crawler.scr", &[], &mut |_| Some(text.clone()));
    compare(&folder.join("crawler.svg"), &program.unwrap().graph(None).unwrap().to_svg());
}

#[test]
fn an_auxiliary_protocol_is_drawn_when_it_is_named() {
    let program = program("every_construct");
    check("auxiliary", &program.graph(Some("Pay")).unwrap());
    assert!(program.flaws(Some("Pay"), CheckOptions::default()).diagnostics.is_empty());
    let report = program.graph(Some("Nobody")).unwrap_err();
    assert_eq!(report.diagnostics[0].code.as_str(), "S101");
}

#[test]
fn what_is_wrong_with_a_picture_is_known() {
    let flaws = |name| program(name).flaws(None, CheckOptions::default()).located();
    assert!(flaws("two_roles").is_empty());
    assert_eq!(flaws("not_valid")[0].code, "S030");
}
