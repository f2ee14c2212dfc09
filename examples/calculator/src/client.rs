//! Role C: takes expressions apart and lets the servers compute.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use rekindle_examples::{file, setting};
use rekindle_worker::Worker;

use crate::expression::Expression;

/// A value that differs by less than this part of it is right.
const TOLERANCE: f64 = 1e-9;

/// A line of the file.
struct Line {
    text: String,
    expression: Expression,
    /// None: it has no value.
    expected: Option<f64>,
}

pub(crate) fn run(worker: &mut Worker) -> anyhow::Result<()> {
    let source = setting::text("CALCULATOR_EXPRESSIONS").unwrap_or_else(|| "expressions.txt".to_owned());
    let results = setting::text("CALCULATOR_RESULTS").unwrap_or_else(|| "calculator-results.txt".to_owned());
    let repeat: u64 = setting::number("CALCULATOR_REPEAT", 1)?;
    let text = std::fs::read_to_string(&source).with_context(|| format!("reading {source}"))?;
    let lines = read(&text).with_context(|| format!("in {source}"))?;

    let constants = ask_constants(worker)?;
    let mut written = String::new();
    for _ in 0..repeat {
        for line in &lines {
            let value = evaluate(worker, &constants, &line.expression)?;
            ensure!(is_right(value, line.expected), "{} gave {value:?} instead of {:?}", line.text, line.expected);
            let shown = value.map_or_else(|| "undefined".to_owned(), |value| value.to_string());
            writeln!(written, "{} = {shown}", line.text)?;
        }
    }
    file::write_atomically(Path::new(&results), written.as_bytes()).with_context(|| format!("writing {results}"))?;
    worker.log(&format!("{} expressions, all values right: {results}", lines.len()))?;
    worker.send("A", "bye", &())?;
    worker.receive_from("A")?.expect::<()>("bye")?;
    Ok(())
}

fn ask_constants(worker: &mut Worker) -> anyhow::Result<BTreeMap<String, f64>> {
    worker.send("K", "constants", &())?;
    let mut constants = BTreeMap::new();
    for name in ["pi", "e", "phi"] {
        constants.insert(name.to_owned(), worker.receive_from("K")?.expect(name)?);
    }
    Ok(constants)
}

/// The value, or none if there is none: both sides first, then the operation, by the server.
fn evaluate(
    worker: &mut Worker,
    constants: &BTreeMap<String, f64>,
    expression: &Expression,
) -> anyhow::Result<Option<f64>> {
    match expression {
        Expression::Number(number) => Ok(Some(*number)),
        Expression::Name(name) => {
            let value = constants.get(name).with_context(|| format!("no constant has the name `{name}`"))?;
            Ok(Some(*value))
        }
        Expression::Operation(operation, sides) => {
            let left = evaluate(worker, constants, &sides[0])?;
            let right = evaluate(worker, constants, &sides[1])?;
            let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
            worker.send("A", operation, &[left, right])?;
            let answer = worker.receive_from("A")?;
            Ok(if answer.label == "undefined" { None } else { Some(answer.expect("value")?) })
        }
    }
}

fn is_right(value: Option<f64>, expected: Option<f64>) -> bool {
    match (value, expected) {
        (Some(value), Some(expected)) => (value - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
        (None, None) => true,
        _ => false,
    }
}

/// Reads lines `expression = value`. Empty ones and those that begin with `#` are left out.
fn read(text: &str) -> anyhow::Result<Vec<Line>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| read_line(line).with_context(|| format!("cannot read the line `{line}`"))).collect()
}

fn read_line(line: &str) -> anyhow::Result<Line> {
    let (text, expected) = line.rsplit_once('=').context("`=` is missing")?;
    let expected = match expected.trim() {
        "undefined" => None,
        value => Some(value.parse().with_context(|| format!("no value: `{value}`"))?),
    };
    let text = text.trim().to_owned();
    Ok(Line { expression: Expression::parse(&text)?, text, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_file_of_the_example() {
        let lines = read(include_str!("../expressions.txt")).expect("is right");
        assert!(lines.len() >= 40);
        assert!(lines.iter().any(|line| line.expected.is_none()));
    }

    #[test]
    fn names_the_line_that_it_cannot_read() {
        for line in ["1 + 2", "1 + = 3", "1 + 2 = three"] {
            let error = read(&format!("# comment\n\n1 = 1\n{line}\n")).err().expect(line);
            assert_eq!(error.to_string(), format!("cannot read the line `{line}`"));
        }
    }

    #[test]
    fn a_value_is_right_within_the_tolerance() {
        assert!(is_right(Some(1e20 + 1e10), Some(1e20)));
        assert!(is_right(Some(1e-12), Some(0.0)));
        assert!(!is_right(Some(1.000_001), Some(1.0)));
        assert!(!is_right(None, Some(0.0)) && !is_right(Some(0.0), None));
        assert!(is_right(None, None));
    }
}
