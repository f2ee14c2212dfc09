//! Many clients that ask for sessions by name, each operation recorded.
//!
//! The sessions wait for a local supervisor that does not exist, so nothing but the clients changes them. A name is in
//! use for a part of the run and then left; there are fewer of them than ended sessions that the cluster remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rekindle_proto::client::{Client, ClientError};
use rekindle_proto::v1;
use tokio::task::JoinSet;

use crate::checkers::names::{Answer, Call};
use crate::history::{Operation, Outcome, Recorder};
use crate::schedule::Dice;

/// The history of this load.
pub type History = Recorder<Call, Answer>;
/// One operation of it.
pub type Asked = Operation<Call, Answer>;

const PROTOCOL: &str = "module pair;

global protocol Pair(role X, role Y) {
  hello() from X to Y;
}
";
/// Names in use at a time.
const AT_A_TIME: usize = 8;
/// Names of a whole run.
const NAMES: u32 = 120;
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two operations of a client.
const PAUSE: Duration = Duration::from_millis(40);

/// The clients.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Nodes.
    pub endpoints: Vec<String>,
    /// Seed of what they ask.
    pub seed: u64,
    /// How long names are in use, all together.
    pub duration: Duration,
    /// Where they record.
    pub history: Arc<History>,
    /// Set when they are to stop.
    pub stop: Arc<AtomicBool>,
}

impl Clients {
    /// Runs them until they are stopped.
    pub async fn run(self, count: u32) -> Result<()> {
        let protocol = self.client()?.register_protocol(registration("pair.scr", PROTOCOL)).await;
        let protocol = protocol.context("the protocol of the clients is not accepted")?;
        let mut clients = JoinSet::new();
        for number in 0..count {
            let (this, protocol) = (self.clone(), protocol.clone());
            clients.spawn(async move { this.ask(number, &protocol).await });
        }
        while let Some(ended) = clients.join_next().await {
            ended.context("a client was lost")??;
        }
        Ok(())
    }

    fn client(&self) -> Result<Client, ClientError> {
        Ok(Client::connect(&self.endpoints)?.with_timeout(PATIENCE))
    }

    async fn ask(&self, number: u32, protocol: &str) -> Result<()> {
        let client = self.client()?;
        let mut dice = Dice::new(self.seed ^ (u64::from(number) << 32));
        while !self.stop.load(Ordering::Relaxed) {
            let call = self.draw(&mut dice);
            self.carry_out(&client, number, call, protocol).await?;
            tokio::time::sleep(dice.between(PAUSE / 2, PAUSE * 3 / 2)).await;
        }
        Ok(())
    }

    /// Late in the life of a name it is cancelled more often than before.
    fn draw(&self, dice: &mut Dice) -> Call {
        let life = (self.duration * u32::try_from(AT_A_TIME).unwrap_or(1) / NAMES).max(Duration::from_secs(2));
        let now = Duration::from_nanos(self.history.now());
        let (generation, age) = (now.as_millis() / life.as_millis(), now.as_millis() % life.as_millis());
        let name = format!("k{}-{generation}", dice.below(AT_A_TIME));
        let cancels = if age * 10 < life.as_millis() * 7 { 1 } else { 8 };
        match dice.below(100) {
            draw if draw < cancels => Call::Cancel { name },
            draw if draw < 30 => Call::Start { name, variant: 0 },
            draw if draw < 35 => Call::Start { name, variant: 1 },
            _ => Call::Get { name },
        }
    }

    /// Asks once, and records what is heard.
    pub async fn carry_out(&self, client: &Client, number: u32, call: Call, protocol: &str) -> Result<()> {
        let invoked = self.history.now();
        let outcome = match &call {
            Call::Start { name, variant } => {
                heard(client.start_session(start(name, *variant, protocol)).await.map(|_| Answer::Started), true)?
            }
            Call::Cancel { name } => {
                let request = v1::CancelSessionRequest { session: name.clone(), ..Default::default() };
                heard(client.cancel_session(request).await.map(|()| Answer::Cancelled), true)?
            }
            Call::Get { name } => heard(client.get_session(name, false).await.map(|session| seen(&session)), false)?,
        };
        let returned = self.history.now();
        self.history.record(Operation { client: number, call, outcome, invoked, returned, index: None });
        Ok(())
    }
}

fn seen(session: &v1::Session) -> Answer {
    match session.summary.as_ref().map(|summary| summary.phase.as_str()) {
        Some("cancelled") => Answer::SeenCancelled,
        _ => Answer::SeenOpen,
    }
}

/// What an answer of the client library means; an error is one that the harness cannot place.
fn heard(answer: Result<Answer, ClientError>, changes: bool) -> Result<Outcome<Answer>> {
    match answer {
        Ok(answer) => Ok(Outcome::Known(answer)),
        Err(ClientError::NoLeader { .. }) => Ok(Outcome::Failed),
        Err(ClientError::OutcomeUnknown { .. }) => Ok(if changes { Outcome::Unknown } else { Outcome::Failed }),
        Err(ClientError::Refused { reason, .. }) if reason == "UNKNOWN_SESSION" => Ok(Outcome::Known(Answer::Absent)),
        Err(ClientError::Refused { reason, .. }) if reason == "SESSION_EXISTS" => Ok(Outcome::Known(Answer::Exists)),
        Err(ClientError::Refused { reason, .. }) if reason == "SESSION_ENDED" => Ok(Outcome::Known(Answer::Ended)),
        // Started again after its end.
        Err(ClientError::Refused { reason, .. }) if reason == "NAME_TAKEN" => Ok(Outcome::Known(Answer::Ended)),
        Err(ClientError::Refused { reason, .. }) if reason == "LIMIT" => Ok(Outcome::Failed),
        Err(error) => Err(error).context("a client was answered something that the harness does not know"),
    }
}

fn start(name: &str, variant: u8, protocol: &str) -> v1::StartSessionRequest {
    let role = |role: &str| v1::RoleSpec {
        role: role.to_owned(),
        command: vec!["true".to_owned()],
        agent: "nowhere".to_owned(),
        ..Default::default()
    };
    let spec = v1::SessionSpec {
        roles: vec![role("X"), role("Y")],
        max_restarts: 1 + u32::from(variant),
        window_ms: 60_000,
        folder: "/".to_owned(),
        ..Default::default()
    };
    v1::StartSessionRequest {
        session: name.to_owned(),
        protocol_id: protocol.to_owned(),
        spec: Some(spec),
        ..Default::default()
    }
}

/// A protocol of one module.
pub fn registration(path: &str, text: &str) -> v1::RegisterProtocolRequest {
    v1::RegisterProtocolRequest {
        sources: vec![v1::Source { path: path.to_owned(), text: text.to_owned() }],
        main: path.to_owned(),
        ..Default::default()
    }
}
