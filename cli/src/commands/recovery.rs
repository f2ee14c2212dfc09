//! `rekindle recovery …`

use std::process::ExitCode;

use anyhow::{Context, Result};
use rekindle_proto::v1;
use serde::Serialize;

use super::{block_on, client};
use crate::args::{Global, Recovery};
use crate::output::{Output, columns};
use crate::watch::{self, RecoverySummary};

pub(crate) fn run(recovery: Recovery, global: &Global, output: &Output) -> Result<ExitCode> {
    match recovery {
        Recovery::List { session } => list(&recoveries(&session, global)?, output)?,
        Recovery::Show { session, number } => {
            let recovery = find(&session, number, global)?;
            output.value(&RecoverySummary::new(&recovery), |_| watch::recovery_text(&recovery, output))?;
        }
        Recovery::Explain { session, number } => explain(&find(&session, number, global)?, output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn recoveries(session: &str, global: &Global) -> Result<Vec<v1::Recovery>> {
    block_on(async { Ok(client(global)?.get_session(session, false).await?.recoveries) })
}

fn find(session: &str, number: u32, global: &Global) -> Result<v1::Recovery> {
    let recoveries = recoveries(session, global)?;
    let count = recoveries.len();
    recoveries
        .into_iter()
        .find(|recovery| recovery.number == number)
        .with_context(|| format!("session `{session}` has no recovery {number}; it has {count}"))
}

fn list(recoveries: &[v1::Recovery], output: &Output) -> Result<()> {
    #[derive(Serialize)]
    struct List {
        recoveries: Vec<RecoverySummary>,
    }
    let list = List { recoveries: recoveries.iter().map(RecoverySummary::new).collect() };
    output.value(&list, |_| {
        if recoveries.is_empty() {
            return "no recoveries".to_owned();
        }
        let heading = ["NUMBER", "PHASE", "FAILED", "RESTARTED", "LEFT ALONE", "CRASH TO RESUMED"];
        let rows = recoveries.iter().map(|recovery| {
            let names = |restarted| {
                let lines = recovery.line.iter().filter(|line| line.restarted == restarted);
                lines.map(|line| line.role.as_str()).collect::<Vec<_>>().join(",")
            };
            let failed: Vec<_> = recovery.failed.iter().map(|failed| failed.role.as_str()).collect();
            let took = recovery.resumed_ms.zip(recovery.detected_ms).map(|(end, start)| end.saturating_sub(start));
            vec![
                recovery.number.to_string(),
                recovery.phase.clone(),
                failed.join(","),
                names(true),
                names(false),
                took.map_or_else(String::new, |ms| format!("{ms} ms")),
            ]
        });
        columns(&std::iter::once(heading.map(str::to_owned).to_vec()).chain(rows).collect::<Vec<_>>())
    })
}

fn explain(recovery: &v1::Recovery, output: &Output) -> Result<()> {
    #[derive(Serialize)]
    struct Explained<'a> {
        number: u32,
        reasons: Vec<Line<'a>>,
    }
    #[derive(Serialize)]
    struct Line<'a> {
        role: &'a str,
        restarted: bool,
        to: Option<u64>,
        state: &'a str,
        because: &'a str,
    }
    let lines = recovery.line.iter().map(|line| Line {
        role: &line.role,
        restarted: line.restarted,
        to: line.position,
        state: &line.state,
        because: &line.because,
    });
    let explained = Explained { number: recovery.number, reasons: lines.collect() };
    output.value(&explained, |explained| {
        if explained.reasons.is_empty() {
            return format!("recovery {} is not decided yet", explained.number);
        }
        let rows: Vec<_> =
            explained.reasons.iter().map(|line| vec![line.role.to_owned(), line.because.to_owned()]).collect();
        columns(&rows)
    })
}
