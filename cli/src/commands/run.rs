//! `rekindle run`: the main job on this machine.
//!
//! A cluster of three nodes as child processes, the local supervisor in this process, the workers below it. All of it
//! is gone when this ends, however it ends.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rekindle_proto::client::Client;
use rekindle_protocol::image::Image;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;

use super::{Interrupts, block_on};
use crate::args::{Crash, Global, Run};
use crate::exit;
use crate::local::{Fault, LocalSite, SiteConfig};
use crate::output::{Output, Tone};
use crate::start::{Prepared, is_name_taken, prepare, say_that_it_runs};
use crate::watch::{self, Summary, Watcher};

/// Runs a deployment to its end.
pub(crate) fn run(args: Run, global: &Global, output: &Output) -> Result<ExitCode> {
    let prepared = prepare(&args.file)?;
    check_faults(&args, &prepared.image)?;
    block_on(supervise(args, global, prepared, output))
}

fn check_faults(args: &Run, image: &Image) -> Result<()> {
    match args.crash.iter().find(|crash| image.role(&crash.role).is_none()) {
        Some(crash) => {
            let roles = image.roles.join(", ");
            let role = &crash.role;
            Err(exit::usage(format!(
                "--crash: protocol `{}` has no role `{role}`\nhint: its roles are {roles}",
                image.name
            )))
        }
        None => Ok(()),
    }
}

/// Where nodes and supervisor keep their data.
enum DataFolder {
    /// Removed at the end.
    Temporary(TempDir),
    Given(PathBuf),
}

impl DataFolder {
    fn new(given: Option<PathBuf>) -> Result<Self> {
        let Some(folder) = given else {
            let folder = tempfile::Builder::new().prefix("rekindle-").tempdir();
            return Ok(DataFolder::Temporary(folder.context("cannot make a temporary folder")?));
        };
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        // Workers have another current folder.
        Ok(DataFolder::Given(folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))?))
    }

    fn path(&self) -> &Path {
        match self {
            DataFolder::Temporary(folder) => folder.path(),
            DataFolder::Given(folder) => folder,
        }
    }
}

async fn supervise(args: Run, global: &Global, mut prepared: Prepared, output: &Output) -> Result<ExitCode> {
    let mut interrupts = Interrupts::new()?;
    let folder = DataFolder::new(args.data_dir)?;
    let temporary = folder.path().join("tmp");
    std::fs::create_dir_all(&temporary).with_context(|| format!("cannot make the folder {}", temporary.display()))?;
    prepared.on_this_machine(&temporary)?;
    let mut wanted: Vec<_> =
        args.crash.into_iter().map(|Crash { role, events }| Fault::Worker { role, events }).collect();
    let config = SiteConfig {
        folder: folder.path().to_owned(),
        log: global.log.clone(),
        crashes: wanted.clone(),
        kill_leader: args.kill_leader,
    };
    let session = args.session.unwrap_or_else(crate::start::random_session);
    let mut watcher = Watcher::new(&session);
    let (told, mut faults) = mpsc::unbounded_channel();
    let site = LocalSite::start(config, told).await?;
    let outcome = tokio::select! {
        biased;
        signal = interrupts.next() => Ok(End::Signal(signal)),
        summary = play(&site, global, &prepared, &mut watcher, (&mut faults, &mut wanted), output) => {
            summary.map(End::Summary)
        }
    };
    site.stop().await;
    drop(folder);
    match outcome? {
        End::Summary(summary) => {
            for fault in wanted {
                let warning = output.paint_error(Tone::Change, "warning:");
                exit::eprint(&format!("{warning} this did not happen, the role did not get there: {fault}"));
            }
            finish(&summary, output)
        }
        End::Signal(signal) => {
            let summary = watcher.end("cancelled", &format!("interrupted by signal {signal}"));
            finish(&summary, output)?;
            Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)))
        }
    }
}

enum End {
    Summary(Summary),
    Signal(i32),
}

async fn play(
    site: &LocalSite,
    global: &Global,
    prepared: &Prepared,
    watcher: &mut Watcher,
    (faults, wanted): (&mut mpsc::UnboundedReceiver<Fault>, &mut Vec<Fault>),
    output: &Output,
) -> Result<Summary> {
    let client = Client::connect(site.endpoints())?.with_timeout(global.timeout);
    let session = watcher.session().to_owned();
    if output.is_text() {
        let roles = prepared.image.roles.join(", ");
        output.line(format!(
            "session {} of protocol {}: roles {roles}",
            output.paint(Tone::Strong, &session),
            output.paint(Tone::Strong, &prepared.image.name),
        ))?;
    }
    match prepared.start(&client, &session).await {
        Ok(started) if started.already_running => say_that_it_runs(&session),
        Ok(_) => {}
        Err(error) if is_name_taken(&error) => {
            return Err(error.context(
                "the session did not start\nhint: take another name with --session, or another --data-dir: this one \
                 remembers the session",
            ));
        }
        Err(error) => return Err(error.context("the session did not start")),
    }
    let mut events = pin!(client.watch_session(&session, 0));
    loop {
        tokio::select! {
            biased;
            Some(fault) = faults.recv() => {
                wanted.retain(|wanted| *wanted != fault);
                if output.is_text() {
                    output.line(format!("             {}", output.paint(Tone::Bad, fault)))?;
                }
            }
            event = events.next() => {
                let event = event.transpose()?;
                let Some(event) = event else { bail!("the events of session `{session}` ended before the session did") };
                if output.is_text() {
                    watch::print(&event, output)?;
                }
                if let Some(summary) = watcher.take(&event) {
                    return Ok(summary);
                }
            }
        }
    }
}

fn finish(summary: &Summary, output: &Output) -> Result<ExitCode> {
    output.value(summary, |summary| watch::summary_text(summary, output))?;
    Ok(if summary.outcome == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
