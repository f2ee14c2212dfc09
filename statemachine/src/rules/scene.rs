//! What rules read besides the session, and what they all check.

use std::collections::BTreeMap;

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, Machine, RoleId};

use crate::agents::Agent;
use crate::command::Rejection;
use crate::ids::{AgentId, EntryTime, Generation, Incarnation, NodeId};
use crate::index::Index;
use crate::session::{Phase, Role, Session};

/// The entry that is being applied, without its command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) time: EntryTime,
    pub(crate) proposer: NodeId,
}

/// What surrounds a session that an entry works on. The index is without this session meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) moment: Moment,
    pub(crate) image: &'a Image,
    pub(crate) agents: &'a BTreeMap<AgentId, Agent>,
    pub(crate) index: &'a Index,
}

/// Which process of which role something is reported of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) generation: Generation,
    pub(crate) role: RoleId,
    pub(crate) incarnation: Incarnation,
}

/// What an agent reports that a process has done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) process: Process,
    pub(crate) history: &'a History,
}

/// Refuses to go on with a session that has ended.
pub(crate) fn require_live(session: &Session) -> Result<(), Rejection> {
    if session.has_ended() {
        return Err(Rejection::SessionEnded(session.id.clone()));
    }
    Ok(())
}

/// The role and its machine, if the process named is its current one and the session is the one meant and lives.
pub(crate) fn require_current<'s, 'a>(
    scene: &Scene<'a>,
    session: &'s Session,
    process: Process,
) -> Result<(&'s Role, &'a Machine), Rejection> {
    let Process { generation, role, incarnation: named } = process;
    if generation != session.generation && generation != Generation::UNNAMED {
        let (session, current) = (session.id.clone(), session.generation);
        return Err(Rejection::StaleGeneration { session, current, named: generation });
    }
    require_live(session)?;
    let unknown = || Rejection::UnknownRole { session: session.id.clone(), role: role.0 };
    let known = session.role(role).ok_or_else(unknown)?;
    let machine = scene.image.machine(role).ok_or_else(unknown)?;
    let current = known.incarnation;
    if named < current {
        return Err(Rejection::StaleIncarnation { current, named });
    }
    if named > current {
        let name = scene.image.role_name(role);
        return Err(Rejection::Invalid(format!("incarnation {named} of role `{name}` does not exist yet")));
    }
    Ok((known, machine))
}

/// The refusal of what a process says that is being replaced. Version 0.1 had no word of its own for it, and replicas that
/// replay its log are to agree with those that have its snapshot.
pub(crate) fn being_replaced(process: Process, name: &str, before: &str) -> Rejection {
    if process.generation == Generation::UNNAMED {
        return Rejection::Invalid(format!("role `{name}` {before}"));
    }
    Rejection::BeingReplaced { role: name.to_owned() }
}

/// What a role has done, by a report on its current process and by the log: the longer of both, if the report is a path of
/// the role's machine, agrees with the log, and does not go past where an open recovery holds the role.
pub(crate) fn reconcile(
    scene: &Scene<'_>,
    session: &Session,
    role: RoleId,
    reported: &History,
) -> Result<History, Rejection> {
    let name = scene.image.role_name(role);
    let (Some(known), Some(machine)) = (session.role(role), scene.image.machine(role)) else {
        return Err(Rejection::UnknownRole { session: session.id.clone(), role: role.0 });
    };
    if let Err(position) = reported.state(machine) {
        return Err(Rejection::Invalid(format!("event {position} of role `{name}` is no edge of its machine")));
    }
    let recorded = &known.recorded;
    let differs = recorded.steps.iter().zip(&reported.steps).position(|(log, report)| log != report);
    if let Some(position) = differs {
        return Err(Rejection::Invalid(format!("event {position} of role `{name}` is another one in the log")));
    }
    if let Some(bound) = held_at(session, role, known).filter(|&bound| reported.position() > bound) {
        return Err(Rejection::Invalid(format!("role `{name}` is held at {bound} until the session resumes")));
    }
    let longer = if reported.position() > recorded.position() { reported } else { recorded };
    Ok(longer.clone())
}

/// The position that the role must not go past before the session resumes.
fn held_at(session: &Session, id: RoleId, role: &Role) -> Option<u64> {
    if role.restarting {
        return Some(role.recorded.position());
    }
    match &session.phase {
        Phase::Gathering(open) => open.positions.get(&id).map(History::position),
        Phase::Restoring(open) => open.decision.line.roles.get(id.index())?.position,
        Phase::Running | Phase::Ended { .. } => None,
    }
}
