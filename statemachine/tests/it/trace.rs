//! What happened, as text.

use std::fmt::Write;

use rekindle_protocol::image::{Image, RoleId};
use rekindle_statemachine::agents::{Awaited, Owed};
use rekindle_statemachine::command::Reply;
use rekindle_statemachine::effect::{Effect, Goal, Order, Place, Restore, RoleOrder};
use rekindle_statemachine::events::SessionEventKind;
use rekindle_statemachine::ids::{EntryTime, NodeId};
use rekindle_statemachine::recovery::Record;
use rekindle_statemachine::session::{Phase, Session};

pub(crate) fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Done => "reply: done\n".to_owned(),
        Reply::AlreadyRunning => "reply: already running\n".to_owned(),
        Reply::Protocol(id) => format!("reply: protocol {}\n", id.0.split('@').next().unwrap_or_default()),
        Reply::Rejected(rejection) => format!("refused: {rejection}\n"),
    }
}

pub(crate) fn effects(effects: &[Effect], image: Option<&Image>) -> String {
    let mut text = String::new();
    let mut last: Option<Restore> = None;
    for effect in effects {
        match effect {
            Effect::Send { agent, order: sent } => {
                let _ = write!(text, "{agent} <- {}", order(sent, image));
                if let (Goal::Restore(restore), Some(image)) = (&sent.goal, image) {
                    let checkpoints = checkpoints(restore, image);
                    let bare = without_checkpoints(restore);
                    if last.as_ref() == Some(&bare) {
                        let _ = writeln!(text, ", the same{checkpoints}");
                    } else {
                        let _ = writeln!(text, "{checkpoints}");
                        let roles = (0..).zip(sent.places.iter().zip(&restore.roles));
                        roles.for_each(|(id, (place, role))| text += &role_order(RoleId(id), place, role, image));
                    }
                    last = Some(bare);
                } else {
                    text.push('\n');
                }
            }
            Effect::Dismiss { agent, instance, superseded_by } => {
                let _ = write!(text, "{agent} <- dismiss instance={instance}");
                if let Some(newer) = superseded_by {
                    let _ = write!(text, " for instance={} at {}", newer.instance, newer.address);
                }
                text.push('\n');
            }
        }
    }
    text
}

pub(crate) fn order(order: &Order, image: Option<&Image>) -> String {
    let goal = match &order.goal {
        Goal::Freeze { recovery, roles } => format!("freeze {} recovery={recovery}", names(roles, image)),
        Goal::Restore(restore) => format!("restore recovery={}", restore.recovery),
        Goal::Run => "run".to_owned(),
        Goal::End => "end".to_owned(),
    };
    format!("{} epoch={} revision={} {goal}", order.session, order.epoch, order.revision)
}

fn checkpoints(restore: &Restore, image: &Image) -> String {
    let with = |(id, role): (u16, &RoleOrder)| {
        let data = role.restart.as_ref()?.checkpoint.as_ref()?;
        Some(format!(" checkpoint of {}: {} bytes", image.role_name(RoleId(id)), data.len()))
    };
    (0..).zip(&restore.roles).filter_map(with).collect()
}

fn without_checkpoints(restore: &Restore) -> Restore {
    let mut restore = restore.clone();
    let restarts = restore.roles.iter_mut().filter_map(|role| role.restart.as_mut());
    restarts.for_each(|restart| restart.checkpoint = None);
    restore
}

fn role_order(id: RoleId, place: &Place, role: &RoleOrder, image: &Image) -> String {
    let mut text = format!("  {} ", image.role_name(id));
    let nowhere = place.address.is_empty();
    let place = if nowhere { "nowhere".to_owned() } else { format!("{} {}", place.agent, place.address) };
    let _ = write!(text, "on {place} incarnation={}", role.incarnation);
    match &role.restart {
        None => text += " as it is",
        Some(restart) => {
            let _ = write!(text, " restart at {}", restart.history.position());
            if restart.base != restart.history.position() {
                let _ = write!(text, " from {}", restart.base);
            }
            let _ = write!(text, "{}", counts(" sent", &restart.sent, image));
            let _ = write!(text, "{}", counts(" received", &restart.received, image));
        }
    }
    for floor in &role.floors {
        let sent = counts("", &floor.sent, image);
        let _ = write!(text, " floor {}:{}", floor.incarnation, if sent.is_empty() { " 0" } else { &sent });
    }
    text.push('\n');
    text
}

fn counts(what: &str, counts: &[u64], image: &Image) -> String {
    let shown = (0..).zip(counts).filter(|(_, count)| **count > 0);
    let shown: Vec<String> = shown.map(|(peer, count)| format!(" {}={count}", image.role_name(RoleId(peer)))).collect();
    if shown.is_empty() { String::new() } else { format!("{what}{}", shown.concat()) }
}

pub(crate) fn names(roles: &[RoleId], image: Option<&Image>) -> String {
    if roles.is_empty() {
        return "nobody".to_owned();
    }
    let name = |role: &RoleId| image.map_or("?", |image| image.role_name(*role)).to_owned();
    roles.iter().map(name).collect::<Vec<_>>().join(" ")
}

pub(crate) fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Gathering(_) => "gathering".to_owned(),
        Phase::Restoring(_) => "restoring".to_owned(),
        Phase::Running => "running".to_owned(),
        Phase::Ended { outcome, reason, .. } => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{}{reason}", format!("{outcome:?}").to_lowercase())
        }
    }
}

pub(crate) fn session(session: &Session, image: &Image) -> String {
    let mut text = format!("{} {} epoch={}\n", session.id, phase(&session.phase), session.epoch);
    for (id, role) in session.numbered_roles() {
        let agent = role.agent.as_ref().map_or("nowhere", |agent| agent.0.as_str());
        let name = image.role_name(id);
        let _ = write!(text, "  {name} on {agent} incarnation={}", role.incarnation);
        let _ = write!(text, " known={} proven={}", role.known, role.proven);
        let saved: Vec<String> = role.checkpoints().map(|(position, _)| position.to_string()).collect();
        if !saved.is_empty() {
            let _ = write!(text, " checkpoints={}", saved.join(","));
        }
        text += if role.done { " done" } else { "" };
        text += if role.restarting { " restarting" } else { "" };
        text.push('\n');
    }
    text
}

pub(crate) fn events(session: &Session, image: &Image) -> String {
    let mut text = String::new();
    for event in &session.events {
        let kind = match &event.kind {
            SessionEventKind::Started => "started".to_owned(),
            SessionEventKind::RoleFailed { role, incarnation, kind, cause, position } => {
                let (role, kind) = (image.role_name(*role), format!("{kind:?}").to_lowercase());
                format!("{role} failed at {position} ({kind}, incarnation {incarnation}): it {cause}")
            }
            SessionEventKind::RecoveryOpened { recovery } => format!("recovery {recovery} opened"),
            SessionEventKind::Decided { recovery } => format!("recovery {recovery} decided"),
            SessionEventKind::Resumed { recovery } => format!("resumed after recovery {recovery}"),
            SessionEventKind::RoleDone { role, position } => format!("{} done at {position}", image.role_name(*role)),
            SessionEventKind::Ended { outcome, reason } => format!("ended {outcome:?} {reason:?}"),
        };
        let _ = writeln!(text, "{} at {}: {kind}", event.sequence, event.time);
    }
    text
}

pub(crate) fn recovery(recovery: Record<'_>, image: &Image) -> String {
    let opening = recovery.opening;
    let mut text = format!(
        "recovery {} {:?} {:?} epoch={} frozen {}\n",
        opening.number,
        recovery.stage,
        opening.scope,
        opening.epoch,
        names(&opening.frozen, Some(image))
    );
    for failed in &opening.failed {
        let (name, kind) = (image.role_name(failed.role), format!("{:?}", failed.kind).to_lowercase());
        let _ = writeln!(text, "  {name} ({kind}, incarnation {}) {}", failed.incarnation, failed.cause);
    }
    let step = |step: Option<(EntryTime, NodeId)>| {
        step.map_or("- by -".to_owned(), |(time, node)| format!("{time} by {node}"))
    };
    let _ = writeln!(
        text,
        "  detected {} opened {} decided {} resumed {}",
        opening.detected,
        step(Some((opening.opened, opening.opened_by))),
        step(recovery.decision.map(|decision| (decision.time, decision.by))),
        step(recovery.resumed),
    );
    for role in image.role_ids() {
        if let Some(because) = recovery.because(role, image) {
            let restarts = if recovery.restarts(role) { "restarts" } else { "stays" };
            let _ = writeln!(text, "  {} {restarts}: {because}", image.role_name(role));
        }
    }
    text
}

pub(crate) fn awaited(awaited: &[Awaited], image: Option<&Image>) -> String {
    let line = |awaited: &Awaited| {
        let Awaited { agent, instance, session, recovery, roles, what, since, generation: _, revision: _ } = awaited;
        let roles = names(roles, image);
        let what = match what {
            Owed::Positions => "",
            Owed::Acknowledgements => "acknowledgements of ",
        };
        format!("{agent} instance={instance} owes {session} recovery={recovery} {what}{roles} since {since}\n")
    };
    awaited.iter().map(line).collect()
}
