//! State as clients see it: role names instead of numbers, times relative to the session, causes as sentences.

use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::explain;
use rekindle_statemachine::agents::Agent;
use rekindle_statemachine::command::Outcome;
use rekindle_statemachine::events::{SessionEvent, SessionEventKind};
use rekindle_statemachine::ids::{EntryTime, NodeId, ProtocolId, RecoveryNumber};
use rekindle_statemachine::recovery::{FailedRole, Record, Scope, Stage};
use rekindle_statemachine::session::{Phase, Role, Session};

use super::{cause, mode_to_wire, retention_to_wire};
use crate::v1;
use crate::v1::session_event::Kind;

/// A protocol in a list.
pub fn protocol(id: &ProtocolId, image: &Image) -> v1::Protocol {
    let count = |states: usize| u32::try_from(states).unwrap_or(u32::MAX);
    v1::Protocol {
        protocol_id: id.0.clone(),
        name: image.name.clone(),
        roles: image.roles.clone(),
        states: image.machines.iter().map(|machine| count(machine.states.len())).collect(),
    }
}

/// An agent in a list.
pub fn agent(agent: &Agent, roles: usize) -> v1::Agent {
    v1::Agent {
        id: agent.id.0.clone(),
        address: agent.address.clone(),
        live: true,
        roles: u32::try_from(roles).unwrap_or(u32::MAX),
    }
}

/// A session in a list.
pub fn summary(session: &Session) -> v1::SessionSummary {
    let (phase, reason) = phase(session);
    v1::SessionSummary {
        session: session.id.0.clone(),
        protocol_id: session.protocol.0.clone(),
        phase: phase.to_owned(),
        started_at_ms: session.started.0,
        recoveries: session.recoveries().next_back().map_or(0, |last| last.opening.number.0),
        reason,
    }
}

/// A session with everything that is known about it.
pub fn session(session: &Session, image: &Image) -> v1::Session {
    let ended_at_ms = match &session.phase {
        Phase::Ended { time, .. } => time.0,
        Phase::Gathering(_) | Phase::Restoring(_) | Phase::Running => 0,
    };
    let launch = RecoveryNumber(0);
    v1::Session {
        summary: Some(summary(session)),
        epoch: session.epoch.0,
        ended_at_ms,
        roles: session.numbered_roles().map(|(id, role)| role_view(session, image, id, role)).collect(),
        recoveries: session
            .recoveries()
            .filter(|recovery| recovery.opening.number != launch)
            .map(|known| recovery(session, image, known))
            .collect(),
        retention: retention_to_wire(session.spec.retention).into(),
    }
}

/// An event of a session.
pub fn event(session: &Session, image: &Image, event: &SessionEvent) -> v1::SessionEvent {
    v1::SessionEvent {
        number: event.sequence,
        at_ms: since_start(session, event.time),
        kind: Some(event_kind(session, image, &event.kind)),
    }
}

fn event_kind(session: &Session, image: &Image, kind: &SessionEventKind) -> Kind {
    match kind {
        SessionEventKind::Started => Kind::Started(v1::SessionStarted {}),
        SessionEventKind::RoleFailed { role, incarnation, kind, cause, position } => {
            let failed = FailedRole { role: *role, kind: *kind, cause: cause.clone(), incarnation: *incarnation };
            Kind::RoleFailed(v1::RoleFailed { failed: Some(failed_role(image, &failed)), position: *position })
        }
        SessionEventKind::RecoveryOpened { recovery } => Kind::RecoveryOpened(remembered(session, image, *recovery)),
        SessionEventKind::Decided { recovery } => Kind::Decided(remembered(session, image, *recovery)),
        SessionEventKind::Resumed { recovery: RecoveryNumber(0) } => Kind::Running(v1::SessionRunning {}),
        SessionEventKind::Resumed { recovery } => Kind::Resumed(remembered(session, image, *recovery)),
        SessionEventKind::RoleDone { role, position } => {
            Kind::RoleDone(v1::RoleDone { role: image.role_name(*role).to_owned(), position: *position })
        }
        SessionEventKind::Ended { outcome, reason } => Kind::Ended(v1::SessionEnded {
            outcome: outcome_name(*outcome).to_owned(),
            reason: reason.clone().unwrap_or_default(),
        }),
    }
}

/// The record of a recovery; only its number if the session has forgotten the rest.
fn remembered(session: &Session, image: &Image, number: RecoveryNumber) -> v1::Recovery {
    match session.recovery(number) {
        Some(known) => recovery(session, image, known),
        None => v1::Recovery { number: number.0, ..v1::Recovery::default() },
    }
}

/// A recovery as far as it got.
pub fn recovery(session: &Session, image: &Image, recovery: Record<'_>) -> v1::Recovery {
    let since = |time: EntryTime| since_start(session, time);
    let Record { opening, stage, decision, resumed } = recovery;
    v1::Recovery {
        number: opening.number.0,
        epoch: opening.epoch.0,
        scope: scope_name(opening.scope).to_owned(),
        phase: stage_name(stage).to_owned(),
        failed: opening.failed.iter().map(|failed| failed_role(image, failed)).collect(),
        frozen: opening.frozen.iter().map(|role| image.role_name(*role).to_owned()).collect(),
        line: role_lines(image, recovery),
        detected_ms: Some(since(opening.detected)),
        opened_ms: Some(since(opening.opened)),
        decided_ms: decision.map(|decision| since(decision.time)),
        resumed_ms: resumed.map(|(time, _)| since(time)),
        opened_by: opening.opened_by.0,
        decided_by: decision.map_or(0, |decision| decision.by.0),
        resumed_by: resumed.map_or(0, |(_, NodeId(id))| id),
    }
}

fn role_lines(image: &Image, recovery: Record<'_>) -> Vec<v1::RoleLine> {
    let lines = recovery.decision.into_iter().flat_map(|decision| &decision.line.roles);
    image
        .role_ids()
        .zip(lines)
        .map(|(role, line)| {
            let state = line.state.and_then(|state| image.machine(role)?.state(state));
            v1::RoleLine {
                role: image.role_name(role).to_owned(),
                position: line.position,
                restarted: line.restarted,
                base: line.base,
                because: explain::because(role, line, image),
                state: state.map(|state| state.name.clone()).unwrap_or_default(),
            }
        })
        .collect()
}

fn failed_role(image: &Image, failed: &FailedRole) -> v1::FailedRole {
    v1::FailedRole {
        role: image.role_name(failed.role).to_owned(),
        kind: cause::kind_name(failed.kind).to_owned(),
        cause: cause::sentence(&failed.cause),
        incarnation: failed.incarnation.0,
    }
}

fn role_view(session: &Session, image: &Image, id: RoleId, role: &Role) -> v1::Role {
    let mode = session.spec.roles.get(id.index()).map(|spec| spec.mode).unwrap_or_default();
    v1::Role {
        name: image.role_name(id).to_owned(),
        agent: role.agent.as_ref().map(|agent| agent.0.clone()).unwrap_or_default(),
        incarnation: role.incarnation.0,
        mode: mode_to_wire(mode).into(),
        done: role.done,
        proven_position: role.proven,
        checkpoints: role.checkpoints().map(|(position, _)| position).collect(),
    }
}

fn phase(session: &Session) -> (&'static str, String) {
    match &session.phase {
        Phase::Running => ("running", String::new()),
        Phase::Gathering(_) | Phase::Restoring(_) => {
            let launching = session.open_recovery().is_none_or(|open| open.opening.number == RecoveryNumber(0));
            (if launching { "starting" } else { "recovering" }, String::new())
        }
        Phase::Ended { outcome, reason, .. } => (outcome_name(*outcome), reason.clone().unwrap_or_default()),
    }
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Minimal => "minimal",
        Scope::Affected => "affected",
        Scope::All => "everyone",
    }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Gathering => "positions",
        Stage::Restoring => "restoring",
        Stage::Resumed => "resumed",
        Stage::Superseded => "superseded",
        Stage::Abandoned => "abandoned",
    }
}

/// Milliseconds since the session was started.
fn since_start(session: &Session, time: EntryTime) -> u64 {
    time.0.saturating_sub(session.started.0)
}
