//! Events of a session as lines for people.

use rekindle_proto::v1;
use rekindle_proto::v1::session_event::Kind;

use super::Summary;
use crate::output::{Output, Tone, columns};

/// The line or lines for an event; nothing for events that say nothing new.
pub(super) fn event(event: &v1::SessionEvent, output: &Output) -> Option<String> {
    let body = match event.kind.as_ref()? {
        Kind::Started(_) => "starting".to_owned(),
        Kind::Running(_) => output.paint(Tone::Good, "running"),
        Kind::RoleFailed(failed) => {
            let position = failed.position;
            let failed = failed.failed.as_ref()?;
            let what = format!("{} failed at {position}: {}", failed.role, failed.cause);
            output.paint(Tone::Bad, what)
        }
        Kind::RecoveryOpened(recovery) => {
            let number = recovery.number;
            if recovery.frozen.is_empty() || recovery.decided_ms.is_some() {
                return None;
            }
            format!("recovery {number}: asking {} for their positions", recovery.frozen.join(", "))
        }
        Kind::Decided(recovery) => decided(recovery, output),
        Kind::Resumed(recovery) => {
            let head = format!("recovery {}: resumed", recovery.number);
            let after = after_crash(recovery, recovery.resumed_ms);
            let by = format!(" (node {})", recovery.resumed_by);
            format!("{}{after}{}", output.paint(Tone::Good, head), output.paint(Tone::Dim, by))
        }
        Kind::RoleDone(done) => output.paint(Tone::Dim, format!("{} is done, {} events", done.role, done.position)),
        Kind::Ended(_) => return None,
    };
    let time = output.paint(Tone::Dim, seconds(event.at_ms));
    Some(format!("{time}  {body}"))
}

fn seconds(ms: u64) -> String {
    format!("{:>4}.{:03} s", ms / 1000, ms % 1000)
}

fn after_crash(recovery: &v1::Recovery, at_ms: Option<u64>) -> String {
    match (recovery.detected_ms, at_ms) {
        (Some(detected), Some(at)) => format!(", {} ms after the crash was seen", at.saturating_sub(detected)),
        _ => String::new(),
    }
}

fn decided(recovery: &v1::Recovery, output: &Output) -> String {
    let head = format!("recovery {}: decided", recovery.number);
    let scope = match recovery.scope.as_str() {
        "minimal" => "",
        "affected" => ", too many restarts: every role that may be affected starts over",
        _ => ", too many restarts: every role starts over",
    };
    let after = after_crash(recovery, recovery.decided_ms);
    let by = output.paint(Tone::Dim, format!(" (node {})", recovery.decided_by));
    format!("{}{after}{scope}{by}\n{}", output.paint(Tone::Change, head), lines(recovery, output))
}

/// One indented line for each role: who, where, why.
fn lines(recovery: &v1::Recovery, output: &Output) -> String {
    let width = recovery.line.iter().map(|line| line.role.chars().count()).max().unwrap_or(0);
    let text: Vec<_> = recovery
        .line
        .iter()
        .map(|line| {
            let (tone, action) = match (line.restarted, line.position) {
                (true, Some(position)) if line.base < position => {
                    (Tone::Change, format!("restarted at {position}, replaying from {}", line.base))
                }
                (true, Some(position)) => (Tone::Change, format!("restarted at {position}")),
                (true, None) => (Tone::Change, "restarted".to_owned()),
                (false, _) => (Tone::Good, "left alone".to_owned()),
            };
            let role = output.paint(Tone::Strong, format!("{:width$}", line.role));
            format!("              {role}  {}  {}", output.paint(tone, action), output.paint(Tone::Dim, &line.because))
        })
        .collect();
    text.join("\n")
}

/// How a session ended.
pub(super) fn summary(summary: &Summary, output: &Output) -> String {
    let tone = if summary.outcome == "completed" { Tone::Good } else { Tone::Bad };
    let mut text = format!("{}  {}", output.paint(Tone::Dim, seconds(summary.duration_ms)), {
        output.paint(tone, &summary.outcome)
    });
    match summary.recoveries.len() {
        0 => {}
        1 => text.push_str(" after 1 recovery"),
        count => text.push_str(&format!(" after {count} recoveries")),
    }
    if !summary.reason.is_empty() {
        text.push_str(": ");
        text.push_str(&summary.reason);
    }
    text
}

/// All of one recovery.
pub(super) fn recovery(recovery: &v1::Recovery, output: &Output) -> String {
    let time = |ms: Option<u64>, by: u64| match ms {
        Some(ms) if by > 0 => format!("{ms} ms, node {by}"),
        Some(ms) => format!("{ms} ms"),
        None => "not yet".to_owned(),
    };
    let failed: Vec<_> = recovery
        .failed
        .iter()
        .map(|failed| {
            format!("{} ({}, incarnation {}): {}", failed.role, failed.kind, failed.incarnation, failed.cause)
        })
        .collect();
    let rows = [
        ("recovery", recovery.number.to_string()),
        ("phase", recovery.phase.clone()),
        ("scope", recovery.scope.clone()),
        ("epoch", recovery.epoch.to_string()),
        ("failed", failed.join("; ")),
        ("paused", if recovery.frozen.is_empty() { "nobody".to_owned() } else { recovery.frozen.join(", ") }),
        ("detected", time(recovery.detected_ms, 0)),
        ("opened", time(recovery.opened_ms, recovery.opened_by)),
        ("decided", time(recovery.decided_ms, recovery.decided_by)),
        ("resumed", time(recovery.resumed_ms, recovery.resumed_by)),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_owned(), value]).collect();
    format!("{}{}", columns(&rows), lines(recovery, output))
}
