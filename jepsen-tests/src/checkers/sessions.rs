//! Sessions lose nothing, do nothing twice, and come to what a run without faults comes to.
//!
//! From the outside log of a session the *standing* events of each role are rebuilt: what its processes did, cut back
//! where a later process began. In a completed session they must be those of a calm run of the same session, message by
//! message, and each role must have finished with the same result. What was undone by a recovery does not stand.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Judgement;
use crate::outside::{Line, What};

/// An event of a role that stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message to `peer`.
    Send {
        /// The receiver.
        peer: String,
        /// Its label.
        label: String,
        /// Its payload.
        payload: Value,
    },
    /// A message from `peer`.
    Receive {
        /// The sender.
        peer: String,
        /// Its label.
        label: String,
        /// Its payload.
        payload: Value,
    },
    /// A receive that was done, though the process died before it could write it down.
    Unseen,
}

/// What stands of one role.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Its events.
    pub events: Vec<Event>,
    /// What it finished with, if the last process that acted has finished.
    pub result: Option<Value>,
}

/// A session as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its name.
    pub session: String,
    /// Whether the cluster calls it completed.
    pub completed: bool,
    /// What its workers wrote.
    pub lines: Vec<Line>,
}

/// What stands of each role, and what cannot be put together.
pub fn standing(lines: &[Line]) -> (BTreeMap<String, Standing>, Vec<String>) {
    let mut by_role: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        by_role.entry(&line.role).or_default().push(line);
    }
    let (mut roles, mut findings) = (BTreeMap::new(), Vec::new());
    for (role, mut lines) in by_role {
        // A process that lingers may write after its successor began; its lines belong to its own time.
        lines.sort_by_key(|line| line.incarnation);
        let mut stands = Standing::default();
        let mut asked = false;
        for line in lines {
            if let What::Start { base, .. } = line.what
                && let Err(finding) = begin(&mut stands, base, asked)
            {
                findings.push(format!("role `{role}`, incarnation {}: {finding}", line.incarnation));
            }
            asked = line.what == What::Ask;
            match &line.what {
                What::Start { .. } | What::Ask => {}
                What::Send { peer, label, payload } => stands.events.push(Event::Send {
                    peer: peer.clone(),
                    label: label.clone(),
                    payload: payload.clone(),
                }),
                What::Receive { peer, label, payload } => stands.events.push(Event::Receive {
                    peer: peer.clone(),
                    label: label.clone(),
                    payload: payload.clone(),
                }),
                What::Finish { result } => stands.result = Some(result.clone()),
            }
        }
        roles.insert(role.to_owned(), stands);
    }
    (roles, findings)
}

/// A process begins after `base` events; `asked`: the one before it died while it waited for a message.
fn begin(stands: &mut Standing, base: u64, asked: bool) -> Result<(), String> {
    let base = usize::try_from(base).unwrap_or(usize::MAX);
    let known = stands.events.len();
    stands.result = None;
    if base == known + 1 && asked {
        stands.events.push(Event::Unseen);
    } else if base > known {
        return Err(format!("it is told that {base} events are done, its predecessors did {known}"));
    }
    stands.events.truncate(base);
    Ok(())
}

/// Judges sessions against the calm run that each is to equal.
pub fn check(sessions: &[(Seen, BTreeMap<String, Standing>)]) -> Judgement {
    let mut findings = Vec::new();
    let mut examined = 0;
    for (seen, calm) in sessions {
        examined += seen.lines.len();
        let (roles, broken) = standing(&seen.lines);
        let mut found = broken;
        if seen.completed {
            for (role, calm) in calm {
                compare(role, roles.get(role).unwrap_or(&Standing::default()), calm, &mut found);
            }
            channels(&roles, &mut found);
        }
        findings.extend(found.into_iter().map(|finding| format!("session `{}`: {finding}", seen.session)));
    }
    Judgement::from_findings(findings, examined)
}

fn compare(role: &str, stands: &Standing, calm: &Standing, findings: &mut Vec<String>) {
    let matches = |(one, other): (&Event, &Event)| {
        one == other || (*one == Event::Unseen && matches!(other, Event::Receive { .. }))
    };
    if let Some(place) = stands.events.iter().zip(&calm.events).position(|pair| !matches(pair)) {
        findings.push(format!(
            "event {place} of role `{role}` is {:?}, in the calm run {:?}",
            stands.events[place], calm.events[place]
        ));
    } else if stands.events.len() != calm.events.len() {
        findings.push(format!(
            "role `{role}` did {} events, {} in the calm run",
            stands.events.len(),
            calm.events.len()
        ));
    }
    if stands.result != calm.result {
        findings.push(format!("role `{role}` came to {:?}, in the calm run to {:?}", stands.result, calm.result));
    }
}

/// What was received is what was sent: in order, nothing lost, nothing twice.
fn channels(roles: &BTreeMap<String, Standing>, findings: &mut Vec<String>) {
    for (from, sender) in roles {
        for (to, receiver) in roles {
            if receiver.events.contains(&Event::Unseen) {
                continue;
            }
            let sent = sender.events.iter().filter_map(|event| match event {
                Event::Send { peer, label, payload } if peer == to => Some((label, payload)),
                _ => None,
            });
            let received = receiver.events.iter().filter_map(|event| match event {
                Event::Receive { peer, label, payload } if peer == from => Some((label, payload)),
                _ => None,
            });
            let (sent, received): (Vec<_>, Vec<_>) = (sent.collect(), received.collect());
            if sent != received {
                let place = sent.iter().zip(&received).position(|(one, other)| one != other);
                let place = place.unwrap_or(sent.len().min(received.len()));
                findings.push(format!(
                    "from `{from}` to `{to}`: {} messages sent, {} received, they differ from message {place} on",
                    sent.len(),
                    received.len()
                ));
            }
        }
    }
}
