//! `rekindle session …`

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use rekindle_proto::v1;
use serde::Serialize;

use super::{block_on, client};
use crate::args::{Global, Session};
use crate::output::{Output, Tone, columns};
use crate::start::{is_name_taken, prepare, random_session, say_that_it_runs};
use crate::watch::{self, RecoverySummary};

pub(crate) fn run(session: Session, global: &Global, output: &Output) -> Result<ExitCode> {
    match session {
        Session::Start { file, session, watch } => start(&file, session, watch, global, output),
        Session::List { stale } => list(stale, global, output),
        Session::Show { session, stale } => show(&session, stale, global, output),
        Session::Watch { session } => block_on(follow(&session, global, output)),
        Session::Cancel { session } => cancel(&session, global, output),
        Session::Delete { session } => delete(&session, global, output),
    }
}

fn start(file: &Path, session: Option<String>, watch: bool, global: &Global, output: &Output) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct Started {
        session: String,
        already_running: bool,
    }
    let prepared = prepare(file)?;
    let session = session.unwrap_or_else(random_session);
    block_on(async {
        let client = client(global)?;
        let already_running = match prepared.start(&client, &session).await {
            Ok(started) => started.already_running,
            Err(error) if is_name_taken(&error) => {
                bail!(
                    "the session did not start: {error:#}\n\
                     hint: `rekindle session delete {session}` frees the name; --session takes another one"
                );
            }
            Err(error) => return Err(error),
        };
        if already_running {
            say_that_it_runs(&session);
        }
        if watch {
            return follow(&session, global, output).await;
        }
        let started = Started { session, already_running };
        output.value(&started, |started| started.session.clone())?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn follow(session: &str, global: &Global, output: &Output) -> Result<ExitCode> {
    let summary = watch::follow(&client(global)?, session, output).await?;
    output.value(&summary, |summary| watch::summary_text(summary, output))?;
    Ok(if summary.outcome == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cancel(session: &str, global: &Global, output: &Output) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct Cancelled<'a> {
        session: &'a str,
        outcome: &'a str,
    }
    block_on(async {
        let request = v1::CancelSessionRequest { session: session.to_owned(), ..Default::default() };
        client(global)?.cancel_session(request).await?;
        let cancelled = Cancelled { session, outcome: "cancelled" };
        output.value(&cancelled, |_| format!("session {session} is cancelled"))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn delete(session: &str, global: &Global, output: &Output) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct Deleted<'a> {
        session: &'a str,
        deleted: bool,
    }
    block_on(async {
        let request = v1::DeleteSessionRequest { session: session.to_owned(), ..Default::default() };
        client(global)?.delete_session(request).await?;
        output.value(&Deleted { session, deleted: true }, |_| format!("session {session} is deleted"))?;
        Ok(ExitCode::SUCCESS)
    })
}

#[derive(Serialize)]
struct Row {
    session: String,
    protocol: String,
    phase: String,
    started_at_ms: u64,
    recoveries: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

impl From<v1::SessionSummary> for Row {
    fn from(summary: v1::SessionSummary) -> Self {
        Row {
            session: summary.session,
            protocol: summary.protocol_id,
            phase: summary.phase,
            started_at_ms: summary.started_at_ms,
            recoveries: summary.recoveries,
            reason: summary.reason,
        }
    }
}

fn list(stale: bool, global: &Global, output: &Output) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct List {
        sessions: Vec<Row>,
    }
    let sessions = block_on(async { Ok(client(global)?.list_sessions(stale).await?) })?;
    let list = List { sessions: sessions.into_iter().map(Row::from).collect() };
    output.value(&list, |list| {
        if list.sessions.is_empty() {
            return "no sessions".to_owned();
        }
        let heading = ["SESSION", "PROTOCOL", "PHASE", "RECOVERIES", "REASON"].map(str::to_owned).to_vec();
        let rows = list.sessions.iter().map(|row| {
            vec![
                row.session.clone(),
                row.protocol.clone(),
                row.phase.clone(),
                row.recoveries.to_string(),
                row.reason.clone(),
            ]
        });
        columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
    })?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: Row,
    epoch: u64,
    ended_at_ms: Option<u64>,
    roles: Vec<ShownRole>,
    recoveries_in_short: Vec<RecoverySummary>,
}

#[derive(Serialize)]
struct ShownRole {
    role: String,
    agent: String,
    incarnation: u64,
    mode: String,
    done: bool,
    checkpoints: Vec<u64>,
}

impl From<v1::Session> for Shown {
    fn from(session: v1::Session) -> Self {
        let roles = session.roles.iter().map(|role| ShownRole {
            role: role.name.clone(),
            agent: role.agent.clone(),
            incarnation: role.incarnation,
            mode: mode_name(role.mode()).to_owned(),
            done: role.done,
            checkpoints: role.checkpoints.clone(),
        });
        Shown {
            epoch: session.epoch,
            ended_at_ms: (session.ended_at_ms > 0).then_some(session.ended_at_ms),
            roles: roles.collect(),
            recoveries_in_short: session.recoveries.iter().map(RecoverySummary::new).collect(),
            summary: session.summary.unwrap_or_default().into(),
        }
    }
}

fn mode_name(mode: v1::Mode) -> &'static str {
    match mode {
        v1::Mode::Restart => "restart",
        v1::Mode::Checkpoint => "checkpoint",
        v1::Mode::Stateless => "stateless",
        v1::Mode::Replay => "replay",
    }
}

fn show(session: &str, stale: bool, global: &Global, output: &Output) -> Result<ExitCode> {
    let session = block_on(async { Ok(client(global)?.get_session(session, stale).await?) })?;
    output.value(&Shown::from(session), |shown| text(shown, output))?;
    Ok(ExitCode::SUCCESS)
}

fn text(shown: &Shown, output: &Output) -> String {
    let summary = &shown.summary;
    let mut text = format!(
        "session {} of {}: {}, epoch {}, {} recoveries\n",
        output.paint(Tone::Strong, &summary.session),
        summary.protocol,
        summary.phase,
        shown.epoch,
        summary.recoveries
    );
    if !summary.reason.is_empty() {
        text.push_str(&format!("because {}\n", summary.reason));
    }
    let heading = ["ROLE", "AGENT", "INCARNATION", "MODE", "DONE", "CHECKPOINTS"].map(str::to_owned).to_vec();
    let rows = shown.roles.iter().map(|role| {
        let checkpoints: Vec<_> = role.checkpoints.iter().map(u64::to_string).collect();
        vec![
            role.role.clone(),
            role.agent.clone(),
            role.incarnation.to_string(),
            role.mode.clone(),
            if role.done { "yes" } else { "no" }.to_owned(),
            checkpoints.join(" "),
        ]
    });
    text.push_str(&columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()));
    text
}
