//! `rekindle bench recovery`: from the crash of one worker to its first event after it.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use rekindle_proto::client::Client;
use rekindle_proto::v1::Recovery;
use serde::Serialize;

use crate::args::Global;
use crate::commands::block_on;
use crate::local::{LocalSite, SiteConfig};
use crate::output::{Output, columns};
use crate::start::{prepare, random_session};

const PROTOCOL: &str = "module ball;
global protocol Ball(role A, role B) {
  rec Again {
    ping() from A to B;
    pong() from B to A;
    continue Again;
  }
}
";

/// Events of one incarnation before it crashes.
const CRASH_EVERY: u64 = 40;
const PATIENCE: Duration = Duration::from_secs(2);
const STARTS_MEASURED: usize = 20;

/// Measures `crashes` recoveries and prints the distribution of each part.
pub(super) fn run(crashes: u32, global: &Global, output: &Output) -> Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("rekindle-bench-").tempdir()?;
    let times = folder.path().join("times");
    let own_start = own_start(folder.path())?;
    block_on(measure(crashes, folder.path(), &times, global))?;
    let report = Report::new(&std::fs::read_to_string(&times)?, &own_start)?;
    output.value(&report, text)?;
    Ok(ExitCode::SUCCESS)
}

/// How long the worker takes from being spawned to its first instruction, without Rekindle.
fn own_start(folder: &Path) -> Result<Histogram<u64>> {
    let times = folder.join("own-start");
    let mut starts = histogram()?;
    for _ in 0..STARTS_MEASURED {
        let begin = Instant::now();
        let status = Command::new(std::env::current_exe()?)
            .args(["bench", "worker", "--crash-every", "0", "--times"])
            .arg(&times)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        // Without input the worker ends at once, so its whole life is its start.
        ensure!(!status.success(), "the worker must end without input");
        starts.record(micros(begin.elapsed()))?;
    }
    Ok(starts)
}

async fn measure(crashes: u32, folder: &Path, times: &Path, global: &Global) -> Result<()> {
    let deployment = format!(
        "protocol = \"ball.scr\"\nmax_restarts = {max}\n\
         [roles.A]\ncommand = [\"rekindle\", \"bench\", \"worker\", \"--crash-every\", \"0\", \"--times\", \"/dev/null\"]\n\
         recovery = \"stateless\"\n\
         [roles.B]\ncommand = [\"rekindle\", \"bench\", \"worker\", \"--crash-every\", \"{CRASH_EVERY}\", \"--times\", \"{times}\"]\n\
         recovery = \"stateless\"\n",
        times = times.display(),
        max = crashes.saturating_mul(2).saturating_add(10),
    );
    std::fs::write(folder.join("ball.scr"), PROTOCOL)?;
    std::fs::write(folder.join("ball.toml"), deployment)?;
    let prepared = prepare(&folder.join("ball.toml"))?;
    let config =
        SiteConfig { folder: folder.to_owned(), log: global.log.clone(), crashes: Vec::new(), kill_leader: false };
    let (told, _faults) = tokio::sync::mpsc::unbounded_channel();
    let site = LocalSite::start(config, told).await?;
    let outcome = async {
        let client = Client::connect(site.endpoints())?.with_timeout(global.timeout);
        let session = random_session();
        prepared.start(&client, &session).await?;
        enough(&client, &session, crashes).await
    }
    .await;
    site.stop().await;
    outcome
}

/// Waits until so many recoveries are over.
async fn enough(client: &Client, session: &str, crashes: u32) -> Result<()> {
    let mut last = (0, Instant::now());
    loop {
        let shown = client.get_session(session, true).await?;
        let summary = shown.summary.context("a session without a summary")?;
        if !summary.reason.is_empty() {
            bail!("the session ended: {}", summary.reason);
        }
        let resumed = shown.recoveries.iter().filter(|recovery: &&Recovery| recovery.resumed_ms.is_some()).count();
        if summary.recoveries > crashes {
            return Ok(());
        }
        if last.0 != summary.recoveries {
            last = (summary.recoveries, Instant::now());
        } else if last.1.elapsed() > PATIENCE * 10 {
            bail!("recovery {} does not end; {resumed} have", summary.recoveries);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[derive(Serialize)]
struct Report {
    crashes: u64,
    /// From the last moment of the old process to the first event of the new one: all of it.
    crash_to_first_event: Spread,
    /// From the last moment of the old process to the first instruction of the new one.
    crash_to_start: Spread,
    /// Spawning the same worker without Rekindle, until it ends by itself at once.
    own_start: Spread,
}

/// Microseconds.
#[derive(Serialize)]
struct Spread {
    median_us: u64,
    p90_us: u64,
    p99_us: u64,
    max_us: u64,
}

impl Spread {
    fn new(histogram: &Histogram<u64>) -> Self {
        Spread {
            median_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Report {
    /// From the marks that the workers wrote: crash, start, event, crash, …
    fn new(times: &str, own_start: &Histogram<u64>) -> Result<Self> {
        let (mut to_start, mut to_event) = (histogram()?, histogram()?);
        let mut crash = None;
        for line in times.lines() {
            let (what, at) = line.split_once(' ').with_context(|| format!("not a mark: {line}"))?;
            let at: u64 = at.parse()?;
            match (what, crash) {
                ("crash", _) => crash = Some(at),
                ("start", Some(from)) => to_start.record(at.saturating_sub(from).max(1))?,
                ("event", Some(from)) => {
                    to_event.record(at.saturating_sub(from).max(1))?;
                    crash = None;
                }
                _ => {}
            }
        }
        ensure!(!to_event.is_empty(), "no recovery was measured");
        Ok(Report {
            crashes: to_event.len(),
            crash_to_first_event: Spread::new(&to_event),
            crash_to_start: Spread::new(&to_start),
            own_start: Spread::new(own_start),
        })
    }
}

fn text(report: &Report) -> String {
    let ms = |us: u64| format!("{}.{:01} ms", us / 1000, us % 1000 / 100);
    let row = |name: &str, spread: &Spread| {
        let mut row = vec![name.to_owned()];
        row.extend([spread.median_us, spread.p90_us, spread.p99_us, spread.max_us].map(ms));
        row
    };
    let rows = [
        vec![format!("{} CRASHES", report.crashes), "MEDIAN".into(), "P90".into(), "P99".into(), "MAX".into()],
        row("crash to first event", &report.crash_to_first_event),
        row("crash to start of worker", &report.crash_to_start),
        row("worker's own start", &report.own_start),
    ];
    columns(&rows)
}
