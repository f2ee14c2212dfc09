//! A run that proves nothing is not valid.

use rekindle_jepsen::checkers::Judgement;
use rekindle_jepsen::verdict::{Bite, Verdict, Word, guarded};

fn bite(effect: Option<&str>) -> Bite {
    Bite { fault: "halves".into(), target: "n1 | n2".into(), from: 0, to: 1, effect: effect.map(str::to_owned) }
}

#[allow(clippy::unnecessary_wraps, reason = "what a checker gives")]
fn holds() -> Result<Judgement, String> {
    Ok(Judgement::Holds { examined: 1 })
}

#[test]
fn all_well_is_valid() {
    assert_eq!(Verdict::new(vec![("a", holds())], &[bite(Some("3 packets dropped"))]).word, Word::Valid);
}

#[test]
fn a_violation_is_invalid_whatever_else_is_unknown() {
    let violated = Ok(Judgement::Violated(vec!["so".to_owned()]));
    let unknown = Ok(Judgement::Undecided("who knows".to_owned()));
    assert_eq!(Verdict::new(vec![("a", unknown.clone()), ("b", violated)], &[]).word, Word::Invalid);
    assert_eq!(Verdict::new(vec![("a", unknown), ("b", holds())], &[]).word, Word::Unknown);
}

#[test]
fn a_fault_without_effect_is_invalid() {
    let verdict = Verdict::new(vec![("a", holds())], &[bite(Some("bit")), bite(None)]);
    assert_eq!(verdict.word, Word::Invalid);
    assert!(verdict.text().contains("halves on n1 | n2 had no effect"), "{}", verdict.text());
}

#[test]
fn a_checker_that_panics_is_invalid() {
    let verdict = Verdict::new(vec![("a", guarded(|| panic!("at {}", 7)))], &[]);
    assert_eq!(verdict.word, Word::Invalid);
    assert!(verdict.text().contains("it panicked: at 7"), "{}", verdict.text());
}

#[test]
fn missing_evidence_is_invalid() {
    assert_eq!(Verdict::new(vec![("a", Err("the log is missing".to_owned()))], &[]).word, Word::Invalid);
    assert_eq!(Verdict::new(vec![("a", Ok(Judgement::Holds { examined: 0 }))], &[]).word, Word::Invalid);
}
