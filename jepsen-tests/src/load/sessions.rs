//! Sessions of workers that write down what they do, some at a time, in mixed recovery modes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rekindle_proto::client::{Client, ClientError};
use rekindle_proto::v1;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::commands::registration;
use super::relay;
use crate::schedule::Dice;

const PATIENCE: Duration = Duration::from_secs(5);
/// Sessions of a whole run: together with the names of the clients fewer than ended sessions that are remembered.
const MOST: u64 = 120;
/// For the calm session, on a busy machine too.
const CALM: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(200);
/// Milliseconds between rounds.
const PAUSE: u64 = 20;
const MODES: [v1::Mode; 3] = [v1::Mode::Restart, v1::Mode::Checkpoint, v1::Mode::Replay];

/// The sessions of a run.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// Nodes.
    pub endpoints: Vec<String>,
    /// Names of the local supervisors.
    pub agents: Vec<String>,
    /// Folder of the outside logs.
    pub folder: PathBuf,
    /// Rounds of each session.
    pub rounds: u64,
    /// Seed of their modes and places.
    pub seed: u64,
    /// Set when no more are to be started.
    pub stop: Arc<AtomicBool>,
    /// Names of those that were started, as far as is known.
    pub started: Arc<Mutex<Vec<String>>>,
    /// The number of the next one.
    pub next: Arc<AtomicU64>,
}

impl Sessions {
    /// One session without faults: what all others are compared with. How long it took.
    pub async fn calm(&self) -> Result<Duration> {
        let begin = Instant::now();
        let client = self.client()?;
        let protocol = self.register(&client).await?;
        client.start_session(self.request("calm", 0, &protocol)?).await.context("the calm session does not start")?;
        let deadline = begin + CALM;
        loop {
            let phase = phase(&client, "calm").await.unwrap_or_default();
            if phase == "completed" {
                return Ok(begin.elapsed());
            }
            ensure!(Instant::now() < deadline, "the calm session is `{phase}` after {CALM:?}: nothing to compare with");
            sleep(LOOK).await;
        }
    }

    /// Keeps so many sessions under way until it is stopped.
    pub async fn run(self, at_a_time: usize) -> Result<()> {
        let client = self.client()?;
        let protocol = self.register(&client).await?;
        let mut lanes = JoinSet::new();
        for _ in 0..at_a_time {
            let (this, client, protocol) = (self.clone(), client.clone(), protocol.clone());
            lanes.spawn(async move { this.lane(&client, &protocol).await });
        }
        while let Some(ended) = lanes.join_next().await {
            ended.context("a lane of sessions was lost")??;
        }
        Ok(())
    }

    async fn lane(&self, client: &Client, protocol: &str) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number > MOST {
                break;
            }
            let name = format!("s{number}");
            let request = self.request(&name, number, protocol)?;
            // The name is counted before it is asked for: one whose outcome is unknown may exist.
            loop {
                match client.start_session(request.clone()).await {
                    Ok(_) => break,
                    // An attempt whose outcome was unknown started it, and it has ended since.
                    Err(ClientError::Refused { reason, .. }) if reason == "NAME_TAKEN" => break,
                    Err(ClientError::NoLeader { .. } | ClientError::OutcomeUnknown { .. }) => {
                        // The same content under the same name is the same session.
                        sleep(LOOK).await;
                    }
                    Err(error) => return Err(error).with_context(|| format!("session `{name}` does not start")),
                }
            }
            self.started.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
            while !self.stop.load(Ordering::Relaxed) {
                match phase(client, &name).await.as_deref() {
                    Some("completed" | "failed" | "cancelled") => break,
                    _ => sleep(LOOK).await,
                }
            }
        }
        Ok(())
    }

    /// A client of the cluster.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::connect(&self.endpoints)?.with_timeout(PATIENCE))
    }

    async fn register(&self, client: &Client) -> Result<String> {
        let id = client.register_protocol(registration("relay.scr", relay::PROTOCOL)).await;
        id.context("the protocol of the sessions is not accepted")
    }

    fn request(&self, name: &str, number: u64, protocol: &str) -> Result<v1::StartSessionRequest> {
        let mut dice = Dice::new(self.seed ^ (number << 16));
        let own = std::env::current_exe()?.to_string_lossy().into_owned();
        let folder = self.folder.to_string_lossy().into_owned();
        let (rounds, pause) = (self.rounds.to_string(), PAUSE.to_string());
        let command = [&own, "worker", "--folder", &folder, "--rounds", &rounds, "--pause", &pause].map(str::to_owned);
        let mut role = |role: &str| {
            let mode =
                if role == "C" && dice.below(3) == 0 { v1::Mode::Stateless } else { MODES[dice.below(MODES.len())] };
            // Half of the roles may run anywhere.
            let agent =
                if dice.below(2) == 0 { String::new() } else { self.agents[dice.below(self.agents.len())].clone() };
            v1::RoleSpec {
                role: role.to_owned(),
                mode: mode.into(),
                command: command.to_vec(),
                agent,
                ..Default::default()
            }
        };
        let spec = v1::SessionSpec {
            retention: v1::Retention::Retained.into(),
            roles: ["A", "B", "C"].map(&mut role).to_vec(),
            max_restarts: 1_000,
            window_ms: 60_000,
            folder,
        };
        Ok(v1::StartSessionRequest {
            session: name.to_owned(),
            protocol_id: protocol.to_owned(),
            spec: Some(spec),
            ..Default::default()
        })
    }
}

/// How a session stands; `None` if nobody can say.
pub async fn phase(client: &Client, name: &str) -> Option<String> {
    let session = client.get_session(name, false).await.ok()?;
    session.summary.map(|summary| summary.phase)
}
