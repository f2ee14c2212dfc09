//! `protocol plan`: the recovery line of a run that somebody describes, JSON in, JSON out.
//!
//! The input names the protocol, the retention, the mode and checkpoints of each role, what each role has done, and who
//! failed. All keys are required but `retention` (then `retained`) and `roles`; a role left out of `roles` is in mode
//! `restart` without checkpoints, a role left out of `histories` has done nothing. Everything else that is unknown,
//! double or impossible is refused with the place where it stands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::history::History;
use crate::image::{Image, RoleId};
use crate::recovery::explain::because;
use crate::recovery::line::recovery_line;
use crate::recovery::plan::events::read_history;
use crate::recovery::plan::execution::check_executable;
use crate::recovery::policy::{FailureKind, Mode, Retention};
use crate::recovery::run::{Lost, RecoveryLine, RoleRun, Run, RunError};

mod events;
mod execution;
mod objects;

/// A run and its failures, as a user writes them down.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct PlanInput {
    /// The file of the protocol, relative to the input file.
    pub protocol: String,
    /// The simple name of the global protocol in that file.
    pub name: String,
    /// What is kept of messages.
    #[serde(default, deserialize_with = "objects::word")]
    pub retention: Retention,
    /// Recovery mode and checkpoints by role name.
    #[serde(default, deserialize_with = "objects::by_role")]
    pub roles: BTreeMap<String, PlanRole>,
    /// Events by role name, first event first: `peer!label` or `peer?label`.
    #[serde(deserialize_with = "objects::by_role")]
    pub histories: BTreeMap<String, Vec<String>>,
    /// Who failed, and how.
    pub failed: Vec<PlanFailure>,
}

/// How a role recovers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct PlanRole {
    /// Its recovery mode.
    #[serde(default, deserialize_with = "objects::word")]
    pub recovery: Mode,
    /// Positions of its checkpoints, in any order.
    #[serde(default, deserialize_with = "objects::positions")]
    pub checkpoints: Vec<u64>,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct PlanFailure {
    /// Name of the role.
    pub role: String,
    /// How much it took with it.
    #[serde(deserialize_with = "objects::word")]
    pub kind: FailureKind,
}

/// The answer. Roles are in the order of their declaration throughout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The position of each role on the line, as a map by role name.
    #[serde(serialize_with = "as_map")]
    pub line: Vec<(String, u64)>,
    /// Roles whose worker is restarted.
    pub restarted: Vec<String>,
    /// Roles that run on.
    pub untouched: Vec<String>,
    /// Everything sent and not received at the line, ordered by sender, receiver, index.
    pub in_transit: Vec<PlanMessage>,
    /// One for each role.
    pub reasons: Vec<PlanReason>,
}

/// A message in transit at the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanMessage {
    /// Sender.
    pub from: String,
    /// Receiver.
    pub to: String,
    /// 1 for the first message of the channel.
    pub index: u64,
    /// Its label.
    pub label: String,
}

/// Why a role stands where it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanReason {
    /// The role.
    pub role: String,
    /// Its position on the line.
    pub to: u64,
    /// The reason, as a clause.
    pub because: String,
}

/// Why a described run has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct PlanError {
    /// Where in the input.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl PlanError {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        PlanError { place: place.into(), problem: problem.into() }
    }
}

impl PlanInput {
    /// Reads the JSON text of a run.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        serde_json::from_str(text).map_err(|error| PlanError::new("run", error.to_string()))
    }
}

impl Plan {
    /// One JSON object on one line, without a line end.
    pub fn to_json(&self) -> String {
        // Strings and numbers under string keys always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Answers a described run of the protocol `image`.
pub fn plan(image: &Image, input: &PlanInput) -> Result<Plan, PlanError> {
    check_names(image, input)?;
    let mut roles = Vec::with_capacity(image.roles.len());
    for (role, name) in image.role_ids().zip(&image.roles) {
        let events = input.histories.get(name).map_or(&[][..], Vec::as_slice);
        let history = read_history(image, role, events)?;
        roles.push(Some(role_run(input, name, history)?));
    }
    let run = Run { image, retention: input.retention, roles };
    check_executable(&run)?;
    let line = recovery_line(&run).map_err(|error| run_error(image, error))?;
    Ok(answer(image, &line))
}

fn check_names(image: &Image, input: &PlanInput) -> Result<(), PlanError> {
    let roles = input.roles.keys().map(|name| ("roles".to_owned(), name));
    let histories = input.histories.keys().map(|name| ("histories".to_owned(), name));
    let failed = input.failed.iter().enumerate().map(|(at, failure)| (format!("failed[{at}]"), &failure.role));
    for (place, name) in roles.chain(histories).chain(failed) {
        if image.role(name).is_none() {
            let problem = format!("protocol `{}` has no role `{name}`; its roles are {}", image.name, names(image));
            return Err(PlanError::new(place, problem));
        }
    }
    for (at, failure) in input.failed.iter().enumerate() {
        if input.failed[..at].iter().any(|earlier| earlier.role == failure.role) {
            let problem = format!("role `{}` has failed already in this list", failure.role);
            return Err(PlanError::new(format!("failed[{at}]"), problem));
        }
    }
    Ok(())
}

fn names(image: &Image) -> String {
    image.roles.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn role_run(input: &PlanInput, name: &str, history: History) -> Result<RoleRun, PlanError> {
    let described = input.roles.get(name).cloned().unwrap_or_default();
    for (at, checkpoint) in described.checkpoints.iter().enumerate() {
        if *checkpoint > history.position() {
            return Err(PlanError::new(
                format!("roles.{name}.checkpoints[{at}]"),
                format!("position {checkpoint} is past the end of the role's history of {} events", history.position()),
            ));
        }
    }
    Ok(RoleRun {
        history,
        mode: described.recovery,
        checkpoints: described.checkpoints.into_iter().collect(),
        failed: input.failed.iter().find(|failure| failure.role == name).map(|failure| failure.kind),
        lost: Lost::default(),
    })
}

/// What the checks before have ruled out, should it come up all the same.
fn run_error(image: &Image, error: RunError) -> PlanError {
    let place = match error {
        RunError::RoleCount { .. } => "histories".to_owned(),
        RunError::NotAPath { role, .. } | RunError::LostCount { role, .. } => {
            format!("histories.{}", image.role_name(role))
        }
        RunError::CheckpointPastEnd { role, .. } => format!("roles.{}.checkpoints", image.role_name(role)),
    };
    PlanError::new(place, error.to_string())
}

fn answer(image: &Image, line: &RecoveryLine) -> Plan {
    let name = |role: RoleId| image.role_name(role).to_owned();
    let mut plan = Plan {
        line: Vec::new(),
        restarted: Vec::new(),
        untouched: Vec::new(),
        in_transit: Vec::new(),
        reasons: Vec::new(),
    };
    for (role, at) in image.role_ids().zip(&line.roles) {
        let to = at.position.unwrap_or_default();
        plan.line.push((name(role), to));
        if at.restarted { &mut plan.restarted } else { &mut plan.untouched }.push(name(role));
        plan.reasons.push(PlanReason { role: name(role), to, because: because(role, at, image) });
    }
    plan.in_transit.extend(line.in_transit.iter().map(|message| PlanMessage {
        from: name(message.from),
        to: name(message.to),
        index: message.index,
        label: message.label.clone(),
    }));
    plan
}

fn as_map<S: Serializer>(entries: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(name, position)| (name, position)))
}
