//! One run: calm, faults, aftermath, verdict.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::nemesis::Nemesis;
use super::site::Site;
use super::watch::Watch;
use super::{Options, enter};
use crate::checkers::linearizable;
use crate::checkers::liveness::{self, Aftermath, Span};
use crate::checkers::names::{Call, Names};
use crate::checkers::sessions::{self as standing, Seen};
use crate::checkers::{Judgement, order, overlap, replicas};
use crate::faults::Fault;
use crate::history::edn;
use crate::load::commands::{Asked, Clients, History};
use crate::load::sessions::{Sessions, phase};
use crate::outside::{self, Line};
use crate::schedule::{self, Planned};
use crate::timeline;
use crate::verdict::{Bite, Verdict, Word, guarded};

/// For the cluster to come up, and for clients to stop.
const START: Duration = Duration::from_secs(30);
/// A connected majority elects and goes on well within this, on a busy machine too.
const STALL: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(200);
/// Sessions that a run is planned for.
const SESSIONS: u64 = 80;
/// What a round of a calm session takes, about.
const ROUND: Duration = Duration::from_millis(24);

/// Everything that a run has seen.
struct Evidence {
    operations: Vec<Asked>,
    observations: Vec<replicas::Observation>,
    sessions: Vec<(Seen, BTreeMap<String, standing::Standing>)>,
    lines: Vec<Line>,
    aftermath: Aftermath,
    bites: Vec<Bite>,
    /// Ends of processes that no fault brought about, and what processes did during faults that they must not.
    ends: Vec<String>,
    /// Index at which all nodes stood in the end.
    agreed: Option<u64>,
}

/// Runs, unless it is told to stop.
pub async fn run(options: &Options) -> Result<Verdict> {
    let mounts = tempfile::Builder::new().prefix("rekindle-jepsen-").tempdir()?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let outcome = tokio::select! {
        outcome = whole(options, mounts.path()) => outcome,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted: there is no verdict")),
        _ = terminate.recv() => Err(anyhow::anyhow!("interrupted: there is no verdict")),
        () = enter::told_to_stop() => Err(anyhow::anyhow!("interrupted: there is no verdict")),
    };
    // Mounts below it belong to the run's own namespace, but the folder does not.
    let _ = std::process::Command::new("sh")
        .args(["-c", "for m in \"$1\"/*/; do umount -l \"$m\"; done 2>/dev/null", "sh"])
        .arg(mounts.path())
        .status();
    outcome
}

/// Exit status of a verdict.
pub fn exit_code(verdict: &Verdict) -> ExitCode {
    ExitCode::from(match verdict.word {
        Word::Valid => 0,
        Word::Invalid => 1,
        Word::Unknown => 3,
    })
}

async fn whole(options: &Options, mounts: &Path) -> Result<Verdict> {
    let plan = match &options.schedule {
        Some(schedule) => schedule.clone(),
        None => schedule::plan(options.seed, options.duration, &options.faults),
    };
    ensure!(
        options.faults.is_empty() || !plan.is_empty(),
        "no fault fits into {} s: use a longer --duration",
        options.duration.as_secs()
    );
    std::fs::write(options.out.join("schedule.txt"), schedule::text(&plan))?;
    enter::prepare(mounts)?;
    let folder = options.out.join("sessions");
    fresh(&folder)?;
    let site = Arc::new(Site::new(options, mounts)?);
    site.start()?;
    let sessions = sessions(options, &site, folder);
    ready(&site).await?;
    let calm = sessions.calm().await?;
    note(&format!("calm: one session of {} rounds in {} ms", sessions.rounds, calm.as_millis()));
    let evidence = under_faults(options, &site, sessions, &plan).await?;
    report(options, &plan, &evidence)
}

fn sessions(options: &Options, site: &Site, folder: PathBuf) -> Sessions {
    let lanes = u32::try_from(options.sessions).unwrap_or(u32::MAX).max(1);
    let each = options.duration * lanes / u32::try_from(SESSIONS).unwrap_or(1);
    let rounds = u64::try_from(each.as_millis() / ROUND.as_millis()).unwrap_or(u64::MAX).clamp(40, 20_000);
    Sessions {
        endpoints: site.endpoints(),
        agents: site.agents.iter().map(|agent| agent.host.name.clone()).collect(),
        folder,
        rounds,
        seed: options.seed,
        stop: Arc::default(),
        started: Arc::default(),
        next: Arc::new(1.into()),
    }
}

/// An empty folder that any worker may write to.
fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(std::fs::create_dir_all(folder)?)
}

/// Waits until there is a leader and every local supervisor is known.
async fn ready(site: &Site) -> Result<()> {
    let client = rekindle_proto::client::Client::connect(site.endpoints())?;
    let deadline = Instant::now() + START;
    loop {
        let status = client.get_status(rekindle_proto::v1::GetStatusRequest::default()).await;
        if status.is_ok_and(|status| status.agents.iter().filter(|agent| agent.live).count() == site.agents.len()) {
            return Ok(());
        }
        for member in site.members() {
            if !member.process().is_running()? {
                bail!("{} does not run: see {}.log", member.host.name, member.host.name);
            }
        }
        ensure!(Instant::now() < deadline, "the cluster is not there after {} s: see the logs", START.as_secs());
        sleep(LOOK).await;
    }
}

async fn under_faults(options: &Options, site: &Arc<Site>, sessions: Sessions, plan: &[Planned]) -> Result<Evidence> {
    let begin = Instant::now();
    let history = Arc::new(History::new(begin));
    let stop_clients = Arc::new(AtomicBool::new(false));
    let clients = Clients {
        endpoints: site.endpoints(),
        seed: options.seed,
        duration: options.duration,
        history: Arc::clone(&history),
        stop: Arc::clone(&stop_clients),
    };
    let watch = Watch::new(begin);
    let watching = tokio::spawn(watch.clone().run(site.nodes.clone()));
    let asking = tokio::spawn(clients.run(options.clients));
    let working = tokio::spawn(sessions.clone().run(options.sessions));
    let nemesis = Nemesis::new(Arc::clone(site), begin);
    let bites = strike(&nemesis, plan, begin, options.duration).await?;
    site.heal()?;
    site.start()?;
    let healed = history.now();
    sessions.stop.store(true, Ordering::Relaxed);
    let aftermath = settle(&sessions, options.patience).await?;
    stop_clients.store(true, Ordering::Relaxed);
    joined(asking, "clients").await?;
    joined(working, "sessions").await?;
    let agreed = agree(&watch, options.nodes, options.patience).await;
    watch.stop();
    joined(watching, "watch").await?;
    let mut ends = nemesis.take_findings();
    for member in site.members() {
        let mut process = member.process();
        process.is_running()?;
        ends.extend(process.take_ends());
    }
    let operations = history.take();
    let changes = operations.iter().filter(|operation| is_change(operation) && operation.invoked >= healed);
    let first = changes.map(|operation| operation.returned).min();
    let aftermath = Aftermath { first_change_ms: first.map(|at| (at - healed) / 1_000_000), ..aftermath };
    let (sessions, lines) = logs(&sessions, &aftermath)?;
    Ok(Evidence { operations, observations: watch.seen(), sessions, lines, aftermath, bites, ends, agreed })
}

fn is_change(operation: &Asked) -> bool {
    use crate::checkers::names::Answer;
    use crate::history::Outcome;
    let acknowledged = matches!(operation.outcome, Outcome::Known(Answer::Started | Answer::Cancelled));
    acknowledged && !matches!(operation.call, Call::Get { .. })
}

async fn joined(task: JoinHandle<Result<()>>, what: &str) -> Result<()> {
    let ended = tokio::time::timeout(START, task).await;
    ended.with_context(|| format!("the {what} do not stop"))?.with_context(|| format!("the {what} were lost"))?
}

async fn strike(nemesis: &Nemesis, plan: &[Planned], begin: Instant, duration: Duration) -> Result<Vec<Bite>> {
    let mut bites = Vec::new();
    for planned in plan {
        sleep(planned.at.saturating_sub(begin.elapsed())).await;
        let bite = nemesis.strike(planned).await?;
        let effect = bite.effect.as_deref().unwrap_or("NO EFFECT");
        note(&format!("{:>7} ms  {} on {}: {effect}", bite.from / 1_000_000, bite.fault, bite.target));
        bites.push(bite);
    }
    sleep(duration.saturating_sub(begin.elapsed())).await;
    Ok(bites)
}

/// Waits until every session has ended, or patience is at its end.
async fn settle(sessions: &Sessions, patience: Duration) -> Result<Aftermath> {
    let client = sessions.client()?;
    let begin = Instant::now();
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let names = sessions.started.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for name in &names {
            let known = last.get(name).map_or("", String::as_str);
            if known != "completed"
                && let Some(phase) = phase(&client, name).await
            {
                last.insert(name.clone(), phase);
            }
            last.entry(name.clone()).or_insert_with(|| "unknown".to_owned());
        }
        // Long enough for a change to be acknowledged, too.
        let settled = last.values().all(|phase| phase == "completed") && begin.elapsed() > Duration::from_secs(3);
        if settled || begin.elapsed() > patience {
            let waited_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Ok(Aftermath { sessions: last.into_iter().collect(), first_change_ms: None, waited_ms });
        }
        sleep(LOOK).await;
    }
}

/// Waits until all nodes stand at one index, without load.
async fn agree(watch: &Watch, nodes: usize, patience: Duration) -> Option<u64> {
    let begin = Instant::now();
    while begin.elapsed() < patience {
        if let Some(index) = watch.agreement(nodes) {
            return Some(index);
        }
        sleep(LOOK).await;
    }
    None
}

type Logs = (Vec<(Seen, BTreeMap<String, standing::Standing>)>, Vec<Line>);

fn logs(sessions: &Sessions, aftermath: &Aftermath) -> Result<Logs> {
    let read = |name: &str| {
        outside::read(&sessions.folder, name).with_context(|| format!("the outside log of session `{name}` is missing"))
    };
    let (calm, broken) = standing::standing(&read("calm")?);
    ensure!(broken.is_empty() && calm.len() == 3, "the calm session is not whole: {broken:?}");
    let (mut seen, mut all) = (Vec::new(), Vec::new());
    for (name, phase) in &aftermath.sessions {
        let completed = phase == "completed";
        // One that never came to run has written nothing.
        if !completed && !outside::path(&sessions.folder, name).exists() {
            continue;
        }
        let lines = read(name)?;
        all.extend(lines.iter().cloned());
        seen.push((Seen { session: name.clone(), completed, lines }, calm.clone()));
    }
    Ok((seen, all))
}

fn report(options: &Options, plan: &[Planned], evidence: &Evidence) -> Result<Verdict> {
    let operations = &evidence.operations;
    let name = |call: &Call| call.name().to_owned();
    let replicas = || match (replicas::check(&evidence.observations), evidence.agreed) {
        (Judgement::Holds { .. }, None) => {
            Judgement::Violated(vec!["without load the nodes do not come to one index".to_owned()])
        }
        (judgement, _) => judgement,
    };
    let mut checked = vec![
        ("linearizable", guarded(AssertUnwindSafe(|| linearizable::check(&Names, operations, name)))),
        ("replicas", guarded(AssertUnwindSafe(replicas))),
        ("sessions", guarded(AssertUnwindSafe(|| standing::check(&evidence.sessions)))),
        ("overlap", guarded(AssertUnwindSafe(|| overlap::check(&evidence.lines)))),
        ("liveness", guarded(AssertUnwindSafe(|| liveness::check(&evidence.aftermath)))),
    ];
    let successes = acknowledged_changes(operations);
    let spans: Vec<Span> = evidence.bites.iter().filter_map(connected).collect();
    if !spans.is_empty() {
        let limit = u64::try_from(STALL.as_nanos()).unwrap_or(u64::MAX);
        checked.push(("progress", guarded(AssertUnwindSafe(|| liveness::progress(&successes, &spans, limit)))));
    }
    if operations.iter().any(|operation| operation.index.is_some()) {
        checked.push(("order", guarded(AssertUnwindSafe(|| order::check(&Names, operations, name)))));
    }
    if !evidence.ends.is_empty() {
        checked.push(("processes", Ok(Judgement::Violated(evidence.ends.clone()))));
    }
    let verdict = Verdict::new(checked, &evidence.bites);
    let write = |file: &str, text: &str| {
        let path = options.out.join(file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write("history.edn", &edn::history(operations))?;
    write("verdict.json", &serde_json::to_string_pretty(&(&verdict, &evidence.bites))?)?;
    write("timeline.html", &timeline::page(operations, &evidence.bites, &verdict))?;
    summary(options, plan, evidence);
    Ok(verdict)
}

/// When changes were acknowledged, in order.
fn acknowledged_changes(operations: &[Asked]) -> Vec<u64> {
    let changes = operations.iter().filter(|operation| is_change(operation));
    let mut at: Vec<u64> = changes.map(|operation| operation.returned).collect();
    at.sort_unstable();
    at
}

/// A fault during which there must be progress.
fn connected(bite: &Bite) -> Option<Span> {
    let fault = Fault::ALL.into_iter().find(|fault| fault.name() == bite.fault)?;
    let span = Span { fault: bite.fault.clone(), from: bite.from, to: bite.to };
    (fault.leaves_majority() && bite.effect.is_some()).then_some(span)
}

/// What a reader wants to know besides the verdict.
fn summary(options: &Options, plan: &[Planned], evidence: &Evidence) {
    let successes = acknowledged_changes(&evidence.operations);
    let calm_end = plan.first().map_or(options.duration, |planned| planned.at);
    let nanos = u64::try_from(calm_end.as_nanos()).unwrap_or(u64::MAX);
    let calm = evidence.operations.iter().filter(|operation| operation.returned < nanos).count();
    note(&format!(
        "{} operations, {} sessions, {} operations/s before the first fault",
        evidence.operations.len(),
        evidence.aftermath.sessions.len(),
        calm as u128 * 1000 / calm_end.as_millis().max(1)
    ));
    for bite in &evidence.bites {
        let gap = liveness::longest_gap(&successes, bite.from, bite.to);
        note(&format!(
            "longest time without an acknowledged change around {}: {} ms",
            bite.fault,
            gap.length / 1_000_000
        ));
    }
    if let Some(index) = evidence.agreed {
        note(&format!("all nodes stand at index {index}"));
    }
    note(&format!("history, logs, verdict and timeline: {}", options.out.display()));
}

#[allow(clippy::print_stderr, reason = "talk goes to standard error")]
fn note(text: &str) {
    eprintln!("{text}");
}
