//! A run for a reader: operations of each client and faults on one page, which needs nothing else to be shown.

use std::fmt::Write as _;

use crate::history::edn::ToEdn;
use crate::history::{Operation, Outcome};
use crate::verdict::{Bite, Verdict};

/// Pixels per second.
const SCALE: f64 = 60.0;
const LANE: u32 = 14;
/// A page with more is not read by anybody; what is left out is said.
const MOST: usize = 20_000;

const STYLE: &str = "body{font:13px sans-serif;margin:16px}pre{background:#f4f4f4;padding:8px}
.scroll{overflow-x:auto;border:1px solid #ccc}svg{display:block}
.ok{fill:#6db36d}.fail{fill:#bbb}.info{fill:#e8a33d}.fault{fill:#d33;fill-opacity:.15}.idle{fill:#93c;fill-opacity:.3}
text{font-size:10px}";

/// The page.
pub fn page<C: ToEdn, A: ToEdn>(operations: &[Operation<C, A>], bites: &[Bite], verdict: &Verdict) -> String {
    let shown = &operations[..operations.len().min(MOST)];
    let lanes = shown.iter().map(|operation| operation.client + 1).max().unwrap_or(1);
    let last = shown.iter().map(|operation| operation.returned).chain(bites.iter().map(|bite| bite.to)).max();
    let (width, height) = (x(last.unwrap_or(0)) + 80.0, lanes * LANE + 60);
    let mut text = format!(
        "<!doctype html><meta charset=utf-8><title>rekindle-jepsen: {}</title><style>{STYLE}</style>\n<h1>{}</h1>\n<pre>{}</pre>\n",
        verdict.word.name(),
        verdict.word.name(),
        escape(&verdict.text())
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "<p>{} of {} operations. Green: acknowledged; grey: did not happen; orange: outcome unknown. Red bands: faults; violet: faults without effect. Point at anything for its details.</p>",
        shown.len(),
        operations.len()
    );
    let _ = writeln!(text, "<div class=scroll><svg width={width:.0} height={height}>");
    for bite in bites {
        let (from, to) = (x(bite.from), x(bite.to).max(x(bite.from) + 2.0));
        let class = if bite.effect.is_some() { "fault" } else { "idle" };
        let title = format!("{} on {}: {}", bite.fault, bite.target, bite.effect.as_deref().unwrap_or("no effect"));
        let _ = writeln!(
            text,
            "<rect class={class} x={from:.1} y=0 width={:.1} height={height}><title>{}</title></rect><text x={from:.1} y=10>{}</text>",
            to - from,
            escape(&title),
            escape(&bite.fault)
        );
    }
    for second in 0..=last.unwrap_or(0) / 1_000_000_000 {
        let _ = writeln!(text, "<text x={:.0} y={}>{second} s</text>", x(second * 1_000_000_000), height - 4);
    }
    for operation in shown {
        bar(&mut text, operation);
    }
    text.push_str("</svg></div>\n");
    text
}

fn bar<C: ToEdn, A: ToEdn>(text: &mut String, operation: &Operation<C, A>) {
    let (class, answer) = match &operation.outcome {
        Outcome::Known(answer) => ("ok", answer.value()),
        Outcome::Failed => ("fail", "did not happen".to_owned()),
        Outcome::Unknown => ("info", "outcome unknown".to_owned()),
    };
    let title = format!(
        "client {}: {} {} → {answer}; {}–{} ms",
        operation.client,
        operation.call.function(),
        operation.call.value(),
        operation.invoked / 1_000_000,
        operation.returned / 1_000_000
    );
    let (from, to) = (x(operation.invoked), x(operation.returned));
    let _ = writeln!(
        text,
        "<rect class={class} x={from:.1} y={} width={:.1} height={}><title>{}</title></rect>",
        20 + operation.client * LANE,
        (to - from).max(1.0),
        LANE - 3,
        escape(&title)
    );
}

#[allow(clippy::cast_precision_loss, reason = "a place on a page")]
fn x(nanos: u64) -> f64 {
    nanos as f64 / 1e9 * SCALE
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
