//! A session is started: what is checked, and its launch, which is recovery 0, to the start.

use std::collections::{BTreeMap, VecDeque};

use rekindle_protocol::image::{Image, Machine};
use rekindle_protocol::recovery::line::{Cause, Lost, RecoveryLine, RoleLine};
use rekindle_protocol::recovery::policy::Retention;
use rekindle_protocol::recovery::table::RecoveryTable;

use crate::command::{Rejection, Reply};
use crate::effect::Effect;
use crate::events::SessionEventKind;
use crate::ids::{Epoch, Generation, Incarnation, ProtocolId, RecoveryNumber, SessionId};
use crate::limits;
use crate::recovery::{Decision, Opening, Restoring, Scope};
use crate::rules::scene::{Moment, Scene};
use crate::rules::{orders, placement};
use crate::session::{Phase, Role, Session};
use crate::spec::{RoleSpec, SessionSpec};

/// A request to start a session.
pub(crate) struct Launch<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) protocol: &'a ProtocolId,
    pub(crate) spec: &'a SessionSpec,
    pub(crate) table: &'a RecoveryTable,
    pub(crate) generation: Option<Generation>,
}

/// The answer to a request for a name that is taken.
pub(crate) fn name_is_taken(existing: &Session, launch: &Launch<'_>) -> Result<Reply, Rejection> {
    let session = existing.id.clone();
    let same = existing.protocol == *launch.protocol && existing.spec == *launch.spec;
    if launch.generation == Some(Generation::BEFORE) {
        // What version 0.1 answered: replicas that replay its log and those that have its snapshot are to agree.
        return if same { Ok(Reply::Done) } else { Err(Rejection::SessionExists(session)) };
    }
    if let Phase::Ended { outcome, reason, .. } = &existing.phase {
        return Err(Rejection::NameTaken { session, outcome: *outcome, reason: reason.clone() });
    }
    if same { Ok(Reply::AlreadyRunning) } else { Err(Rejection::SessionExists(session)) }
}

/// A session that was checked, about to be launched.
pub(crate) fn new_session(moment: Moment, generation: Generation, launch: &Launch<'_>, image: &Image) -> Session {
    let Moment { time, proposer } = moment;
    let opening = Opening {
        number: RecoveryNumber(0),
        epoch: Epoch(1),
        scope: Scope::Minimal,
        failed: Vec::new(),
        frozen: Vec::new(),
        widened: Vec::new(),
        detected: time,
        opened: time,
        opened_by: proposer,
    };
    let decision = Decision { line: start(image), time, by: proposer };
    let role = || Role { incarnation: Incarnation(1), restarting: true, ..Role::new() };
    Session {
        id: launch.session.clone(),
        generation,
        protocol: launch.protocol.clone(),
        spec: launch.spec.clone(),
        started: time,
        phase: Phase::Restoring(Box::new(Restoring { opening, decision, acknowledged: BTreeMap::new() })),
        epoch: Epoch(1),
        revision: 0,
        roles: image.roles.iter().map(|_| role()).collect(),
        events: VecDeque::new(),
        failures: Vec::new(),
        past: VecDeque::new(),
        table: Some(launch.table.clone()),
        orders: BTreeMap::new(),
    }
}

/// Handles the rest of [`Command::StartSession`](crate::command::Command::StartSession): starts every role.
pub(crate) fn launch(scene: &Scene<'_>, session: &mut Session, effects: &mut Vec<Effect>) {
    placement::place(scene, &session.spec, &mut session.roles);
    session.tell(scene.moment.time, SessionEventKind::Started);
    orders::order_everyone(scene, session, effects);
}

/// The cut of all zeros.
fn start(image: &Image) -> RecoveryLine {
    let peers = image.roles.len();
    let at_start = |machine: &Machine| RoleLine {
        position: Some(0),
        state: Some(machine.initial),
        restarted: true,
        base: 0,
        sent: vec![0; peers],
        received: vec![0; peers],
        lost: Lost::default(),
        cause: Cause::NothingUndone,
    };
    RecoveryLine { roles: image.machines.iter().map(at_start).collect(), in_transit: Vec::new() }
}

/// Whether a session can be started like this.
pub(crate) fn check(launch: &Launch<'_>, image: &Image) -> Result<(), Rejection> {
    let name = &launch.session.0;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > limits::SESSION_BYTES || !name.bytes().all(fits) {
        return invalid(format!(
            "a session's name is 1 to {} lower-case letters, digits or `-`",
            limits::SESSION_BYTES
        ));
    }
    check_spec(launch.spec, image)?;
    check_table(launch.table, image)
}

fn check_spec(spec: &SessionSpec, image: &Image) -> Result<(), Rejection> {
    if spec.roles.len() != image.roles.len() {
        return invalid(format!("protocol `{}` has {} roles", image.name, image.roles.len()));
    }
    if spec.retention == Retention::Durable {
        return invalid("retention `durable` is not supported yet".to_owned());
    }
    if let Some(role) = spec.roles.iter().position(|role| role.command.first().is_none_or(String::is_empty)) {
        return invalid(format!("role `{}` has no command", image.roles[role]));
    }
    if spec.roles.iter().map(command_bytes).sum::<usize>() > limits::COMMAND_BYTES {
        return Err(Rejection::limit("bytes of the commands and environments of a session", limits::COMMAND_BYTES));
    }
    if spec.folder.len() > limits::FOLDER_BYTES {
        return Err(Rejection::limit("bytes of a session's folder", limits::FOLDER_BYTES));
    }
    if spec.budget.max_restarts > limits::RESTARTS {
        return Err(Rejection::limit("restarts of a budget", limits::RESTARTS as usize));
    }
    Ok(())
}

/// Size of a role's command and environment. A word counts at least one byte, so that empty ones are bounded too.
fn command_bytes(role: &RoleSpec) -> usize {
    let variables = role.environment.iter().flat_map(|(name, value)| [name, value]);
    let words = role.command.iter().chain(variables).chain(role.agent.as_ref().map(|agent| &agent.0));
    words.map(|word| word.len() + 1).sum()
}

fn check_table(table: &RecoveryTable, image: &Image) -> Result<(), Rejection> {
    let wrong = || invalid(format!("the recovery table is not one of protocol `{}`", image.name));
    if table.rows.len() != image.roles.len() {
        return wrong();
    }
    let mut entries = 0;
    for (rows, machine) in table.rows.iter().zip(&image.machines) {
        if !rows.is_empty() && rows.len() != machine.states.len() {
            return wrong();
        }
        for row in rows {
            let fits =
                row.roles.len() == image.roles.len()
                    && row.roles.iter().zip(&image.machines).all(|(states, machine)| {
                        states.last().is_none_or(|&greatest| machine.state(greatest).is_some())
                    });
            if !fits {
                return wrong();
            }
            entries += row.roles.iter().map(|states| states.len() + 1).sum::<usize>();
        }
    }
    if entries > limits::TABLE_ENTRIES {
        return Err(Rejection::limit("entries of a recovery table", limits::TABLE_ENTRIES));
    }
    Ok(())
}

fn invalid(reason: String) -> Result<(), Rejection> {
    Err(Rejection::Invalid(reason))
}
