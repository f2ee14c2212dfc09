//! Inputs that the fuzzer has found to reach something new, or that once broke something: all must hold.

#![allow(clippy::print_stdout, reason = "the last input printed is the one that fails")]

use std::path::PathBuf;

use super::{harness, testdata};

/// The saved inputs of one target, in order.
fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(testdata().join("fuzz").join(target)).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

#[test]
fn saved_inputs_of_the_parser() {
    for path in inputs("parser") {
        println!("{}", path.display());
        drop(harness::front(&harness::text_of(&std::fs::read(&path).unwrap())));
    }
}

#[test]
fn saved_inputs_of_the_pipeline() {
    for path in inputs("pipeline") {
        println!("{}", path.display());
        harness::pipeline(&harness::text_of(&std::fs::read(&path).unwrap()));
    }
}
