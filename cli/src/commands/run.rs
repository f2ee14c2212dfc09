//! `rekindle run`: the main job on this machine.
//!
//! A cluster of three nodes as child processes, the local supervisor in this process, the workers below it. All of it
//! is gone when this ends, however it ends.
//!
//! The job does not depend on who reads what it prints: a reader that hangs misses lines and is told how many, one that
//! goes away ends nothing, and the exit status is that of the job.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rekindle_files::Links;
use rekindle_proto::client::Client;
use rekindle_protocol::image::Image;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;

use super::{Interrupts, block_on};
use crate::args::{Crash, Global, Run};
use crate::exit;
use crate::local::{Fault, LocalSite, SiteConfig};
use crate::output::{Output, Tone, not_whole};
use crate::queue::Queue;
use crate::start::{Prepared, is_name_taken, prepare, say_that_it_runs};
use crate::talk::say;
use crate::watch::{self, Summary, Watcher};

/// How long an interrupted run waits for a reader that does not read.
const FAREWELL: Duration = Duration::from_secs(1);

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
        rekindle_files::own_folder(&folder, &["addresses", "agent", "node-1"], Links::Followed)
            .with_context(|| format!("cannot use the folder {}", folder.display()))?;
        // Workers have another current folder.
        Ok(DataFolder::Given(folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))?))
    }

    fn path(&self) -> &Path {
        match self {
            DataFolder::Temporary(folder) => folder.path(),
            DataFolder::Given(folder) => folder,
        }
    }

    /// The command that goes on with a session whose data is kept here.
    fn go_on(&self, file: &Path, session: &str) -> Option<String> {
        let DataFolder::Given(folder) = self else { return None };
        let (file, folder) = (shell_word(file), shell_word(folder));
        Some(format!("rekindle run {file} --data-dir {folder} --session {session}"))
    }
}

/// As a shell reads it back.
fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+=@%,:".contains(&byte)) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

async fn supervise(args: Run, global: &Global, mut prepared: Prepared, output: &Output) -> Result<ExitCode> {
    let mut interrupts = Interrupts::new()?;
    let lines =
        Queue::start("output", io::stdout(), |count| format!("{GAP}… {count} lines are missing: nobody read them"))
            .context("cannot start the thread that writes to standard output")?;
    let folder = DataFolder::new(args.data_dir)?;
    let temporary = folder.path().join("tmp");
    rekindle_files::own_folder(&temporary, &[], Links::Refused)
        .with_context(|| format!("cannot make the folder {}", temporary.display()))?;
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
        summary = play(&site, global, &prepared, &mut watcher, (&mut faults, &mut wanted), (output, &lines)) => {
            summary.map(End::Summary)
        }
    };
    site.stop().await;
    match outcome? {
        End::Summary(summary) => {
            drop(folder);
            let warning = output.paint_error(Tone::Change, "warning:");
            for fault in wanted {
                say(&format!("{warning} this did not happen, the role did not get there: {fault}"));
            }
            finish(&summary, (output, &lines), &mut interrupts).await
        }
        End::Signal(signal) => {
            let mut summary = watcher.end("interrupted", &format!("by signal {signal}"));
            summary.go_on_with = folder.go_on(&args.file, watcher.session());
            let hint = match &summary.go_on_with {
                Some(command) => format!("to go on, run: {command}"),
                None => "it cannot go on, its data was in a temporary folder; keep it with --data-dir".to_owned(),
            };
            say(&format!("hint: {hint}"));
            lines.insist(text_of(&summary, output)?);
            tokio::select! {
                () = lines.flushed() => {}
                () = tokio::time::sleep(FAREWELL) => {}
            }
            Ok(signalled(signal))
        }
    }
}

enum End {
    Summary(Summary),
    Signal(i32),
}

/// In the place of the time in front of a line.
const GAP: &str = "             ";

fn signalled(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
}

async fn play(
    site: &LocalSite,
    global: &Global,
    prepared: &Prepared,
    watcher: &mut Watcher,
    (faults, wanted): (&mut mpsc::UnboundedReceiver<Fault>, &mut Vec<Fault>),
    (output, lines): (&Output, &Queue),
) -> Result<Summary> {
    let client = Client::connect(site.endpoints())?.with_timeout(global.timeout);
    let session = watcher.session().to_owned();
    if output.is_text() {
        let roles = prepared.image.roles.join(", ");
        let (name, protocol) = (output.paint(Tone::Strong, &session), output.paint(Tone::Strong, &prepared.image.name));
        lines.offer(format!("session {name} of protocol {protocol}: roles {roles}\n").into_bytes());
    }
    match prepared.start(&client, &session).await {
        Ok(started) if started.already_running => say_that_it_runs(&session),
        Ok(_) => {}
        Err(error) if is_name_taken(&error) => {
            bail!(
                "the session did not start: {error:#}\n\
                 hint: take another name with --session, or another --data-dir: this one remembers the session"
            );
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
                    lines.offer(format!("{GAP}{}\n", output.paint(Tone::Bad, fault)).into_bytes());
                }
            }
            event = events.next() => {
                let event = event.transpose()?;
                let Some(event) = event else { bail!("the events of session `{session}` ended before the session did") };
                if output.is_text() && let Some(line) = watch::line(&event, output)? {
                    lines.offer(format!("{line}\n").into_bytes());
                }
                if let Some(summary) = watcher.take(&event) {
                    return Ok(summary);
                }
            }
        }
    }
}

fn text_of(summary: &Summary, output: &Output) -> Result<Vec<u8>> {
    let text = output.render(summary, |summary| watch::summary_text(summary, output))?;
    Ok(format!("{text}\n").into_bytes())
}

/// Waits until the summary is written: everything else is over, and only a signal is more important.
async fn finish(
    summary: &Summary,
    (output, lines): (&Output, &Queue),
    interrupts: &mut Interrupts,
) -> Result<ExitCode> {
    lines.insist(text_of(summary, output)?);
    tokio::select! {
        () = lines.flushed() => {}
        signal = interrupts.next() => return Ok(signalled(signal)),
    }
    match lines.failure() {
        None => {}
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            let warning = output.paint_error(Tone::Change, "warning:");
            say(&format!("{warning} the reader of standard output went away; the job went on to its end"));
        }
        Some(error) => return Err(not_whole(&error).into()),
    }
    Ok(if summary.outcome == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
