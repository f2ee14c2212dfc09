//! What happens in a session, told as it happens, and its summary at the end.

mod text;

use std::collections::BTreeMap;
use std::pin::pin;

use rekindle_proto::client::Client;
use rekindle_proto::v1;
use rekindle_proto::v1::session_event::Kind;
use serde::Serialize;
use tokio_stream::StreamExt;

use crate::exit;
use crate::output::Output;

/// The JSON object that a watched session ends with.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Summary {
    session: String,
    /// `completed`, `failed`, `cancelled`, `interrupted`
    pub(crate) outcome: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    duration_ms: u64,
    pub(crate) recoveries: Vec<RecoverySummary>,
    /// The command that goes on with a session that was interrupted, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) go_on_with: Option<String>,
}

/// One recovery. Times are milliseconds since the start of the session.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct RecoverySummary {
    number: u32,
    failed: Vec<FailedSummary>,
    /// Positions of the roles that were asked; the others went on.
    line: BTreeMap<String, u64>,
    restarted: Vec<String>,
    untouched: Vec<String>,
    reasons: Vec<Reason>,
    pub(crate) detected_ms: Option<u64>,
    decided_ms: Option<u64>,
    pub(crate) resumed_ms: Option<u64>,
    scope: String,
    opened_by: u64,
    decided_by: u64,
    resumed_by: u64,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
struct FailedSummary {
    role: String,
    kind: String,
    cause: String,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
struct Reason {
    role: String,
    to: Option<u64>,
    because: String,
}

impl RecoverySummary {
    /// From the wire.
    pub(crate) fn new(recovery: &v1::Recovery) -> Self {
        let names = |restarted: bool| {
            recovery.line.iter().filter(|line| line.restarted == restarted).map(|line| line.role.clone()).collect()
        };
        RecoverySummary {
            number: recovery.number,
            failed: recovery
                .failed
                .iter()
                .map(|failed| FailedSummary {
                    role: failed.role.clone(),
                    kind: failed.kind.clone(),
                    cause: failed.cause.clone(),
                })
                .collect(),
            line: recovery.line.iter().filter_map(|line| Some((line.role.clone(), line.position?))).collect(),
            restarted: names(true),
            untouched: names(false),
            reasons: recovery
                .line
                .iter()
                .map(|line| Reason { role: line.role.clone(), to: line.position, because: line.because.clone() })
                .collect(),
            detected_ms: recovery.detected_ms,
            decided_ms: recovery.decided_ms,
            resumed_ms: recovery.resumed_ms,
            scope: recovery.scope.clone(),
            opened_by: recovery.opened_by,
            decided_by: recovery.decided_by,
            resumed_by: recovery.resumed_by,
        }
    }
}

/// Collects the events of one session.
pub(crate) struct Watcher {
    session: String,
    recoveries: BTreeMap<u32, RecoverySummary>,
    last_ms: u64,
}

impl Watcher {
    /// Nothing seen yet.
    pub(crate) fn new(session: &str) -> Self {
        Watcher { session: session.to_owned(), recoveries: BTreeMap::new(), last_ms: 0 }
    }

    /// Id of the session.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// Takes in one event; the summary if it was the last one.
    pub(crate) fn take(&mut self, event: &v1::SessionEvent) -> Option<Summary> {
        self.last_ms = self.last_ms.max(event.at_ms);
        match event.kind.as_ref()? {
            Kind::RecoveryOpened(recovery) | Kind::Decided(recovery) | Kind::Resumed(recovery) => {
                self.recoveries.insert(recovery.number, RecoverySummary::new(recovery));
                None
            }
            Kind::Ended(ended) => Some(self.end(&ended.outcome, &ended.reason)),
            Kind::Started(_) | Kind::Running(_) | Kind::RoleFailed(_) | Kind::RoleDone(_) => None,
        }
    }

    /// The summary so far, with an outcome.
    pub(crate) fn end(&mut self, outcome: &str, reason: &str) -> Summary {
        Summary {
            session: self.session.clone(),
            outcome: outcome.to_owned(),
            reason: reason.to_owned(),
            duration_ms: self.last_ms,
            recoveries: std::mem::take(&mut self.recoveries).into_values().collect(),
            go_on_with: None,
        }
    }
}

/// Follows a session to its end: prints each event, as text or as a line of JSON, and gives the summary.
pub(crate) async fn follow(client: &Client, session: &str, output: &Output) -> anyhow::Result<Summary> {
    let mut events = pin!(client.watch_session(session, 0));
    let mut watcher = Watcher::new(session);
    while let Some(event) = events.next().await.transpose()? {
        if let Some(line) = line(&event, output)? {
            output.line(line)?;
        }
        if let Some(summary) = watcher.take(&event) {
            return Ok(summary);
        }
        if output.is_closed() {
            return Err(exit::unwatched(session));
        }
    }
    anyhow::bail!("the events of session `{session}` ended before the session did")
}

/// One event in the format that was asked for; nothing for events that say nothing new.
pub(crate) fn line(event: &v1::SessionEvent, output: &Output) -> serde_json::Result<Option<String>> {
    if output.is_text() {
        return Ok(text::event(event, output));
    }
    serde_json::to_string(&EventLine::new(event)).map(Some)
}

/// One event as JSON.
#[derive(Serialize)]
struct EventLine {
    number: u64,
    at_ms: u64,
    #[serde(flatten)]
    kind: EventKind,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum EventKind {
    Started,
    Running,
    RoleFailed {
        role: String,
        kind: String,
        cause: String,
        position: u64,
    },
    RecoveryOpened {
        recovery: RecoverySummary,
    },
    Decided {
        recovery: RecoverySummary,
    },
    Resumed {
        recovery: RecoverySummary,
    },
    RoleDone {
        role: String,
        position: u64,
    },
    Ended {
        outcome: String,
        reason: String,
    },
    /// Of a newer cluster.
    Unknown,
}

impl EventLine {
    fn new(event: &v1::SessionEvent) -> Self {
        let kind = match &event.kind {
            Some(Kind::Started(_)) => EventKind::Started,
            Some(Kind::Running(_)) => EventKind::Running,
            Some(Kind::RoleFailed(failed)) => {
                let v1::FailedRole { role, kind, cause, .. } = failed.failed.clone().unwrap_or_default();
                EventKind::RoleFailed { role, kind, cause, position: failed.position }
            }
            Some(Kind::RecoveryOpened(recovery)) => {
                EventKind::RecoveryOpened { recovery: RecoverySummary::new(recovery) }
            }
            Some(Kind::Decided(recovery)) => EventKind::Decided { recovery: RecoverySummary::new(recovery) },
            Some(Kind::Resumed(recovery)) => EventKind::Resumed { recovery: RecoverySummary::new(recovery) },
            Some(Kind::RoleDone(done)) => EventKind::RoleDone { role: done.role.clone(), position: done.position },
            Some(Kind::Ended(ended)) => {
                EventKind::Ended { outcome: ended.outcome.clone(), reason: ended.reason.clone() }
            }
            None => EventKind::Unknown,
        };
        EventLine { number: event.number, at_ms: event.at_ms, kind }
    }
}

/// The line that a watched session ends with, as text.
pub(crate) fn summary_text(summary: &Summary, output: &Output) -> String {
    text::summary(summary, output)
}

/// One recovery as text, with the reason for every role.
pub(crate) fn recovery_text(recovery: &v1::Recovery, output: &Output) -> String {
    text::recovery(recovery, output)
}
