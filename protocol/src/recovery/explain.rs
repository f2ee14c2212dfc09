//! The reasons of a recovery line, as sentences for a person.

use crate::image::{Image, RoleId};
use crate::recovery::policy::{FailureKind, Mode, Retention};
use crate::recovery::run::{Cause, RoleLine};

/// Where a role stands after recovery and why, as one sentence without a full stop.
///
/// `C back to 1 (state 4): its message 1 to A was in A's mailbox, lost with A`
pub fn explain(role: RoleId, line: &RoleLine, image: &Image) -> String {
    let name = image.role_name(role);
    let because = because(role, line, image);
    match line.position {
        Some(position) if line.restarted => {
            let machine = image.machine(role);
            let state = line.state.and_then(|state| machine?.state(state)).map_or("?", |state| state.name.as_str());
            format!("{name} back to {position} (state {state}): {because}")
        }
        _ => format!("{name} untouched: {because}"),
    }
}

/// The reason alone, as a clause: what follows the colon of [`explain`].
pub fn because(role: RoleId, line: &RoleLine, image: &Image) -> String {
    match &line.cause {
        Cause::NotConcerned => "whatever this failure undoes, it cannot reach this role".to_owned(),
        Cause::NothingUndone => "nothing that it received is undone, nothing that it sent is lost".to_owned(),
        Cause::Failed { kind, mode } => {
            format!("it failed ({}), {}", kind_text(*kind), resume_text(*mode, line))
        }
        Cause::Orphan { from, index, label, sender_at } => {
            let from = image.role_name(*from);
            let message = message_text(*index, label);
            format!("it received {message} from {from}, and {from} goes back to {sender_at}, before it sent that")
        }
        Cause::Lost { to, index, label, receiver_failed, consumed, earlier, retention } => {
            let message = message_text(*index, label);
            let (me, to) = (image.role_name(role), image.role_name(*to));
            let lost = match (retention, consumed, receiver_failed) {
                (Retention::Volatile, false, true) => {
                    format!("was in {to}'s mailbox, lost with {to}")
                }
                (Retention::Volatile, false, false) => {
                    format!("was in {to}'s mailbox, emptied when {to} went back")
                }
                (Retention::Volatile, true, _) => {
                    format!("must be received again by {to} and is not kept")
                }
                (Retention::Retained, ..) if *earlier => {
                    format!("was kept by {to}'s supervisor, lost with it in an earlier failure")
                }
                (Retention::Retained, ..) => format!("was kept by {to}'s supervisor, lost with it"),
                (Retention::Durable, ..) => format!("was on the disks of {me} and {to}, both lost"),
            };
            format!("its {message} to {to} {lost}")
        }
    }
}

fn message_text(index: u64, label: &str) -> String {
    if label.is_empty() { format!("message {index}") } else { format!("message {index} (`{label}`)") }
}

fn kind_text(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Worker => "worker",
        FailureKind::Supervisor => "supervisor",
        FailureKind::Host => "host",
    }
}

fn resume_text(mode: Mode, line: &RoleLine) -> String {
    let start = line.position == Some(0);
    match mode {
        Mode::Restart => "and can only start over".to_owned(),
        Mode::Checkpoint if start => "and has no checkpoint but the start".to_owned(),
        Mode::Checkpoint => "and this is its latest checkpoint".to_owned(),
        Mode::Stateless => "and can act again in the state where it stood".to_owned(),
        Mode::Replay if line.position == Some(line.base) => {
            "and can run on from here with nothing to replay".to_owned()
        }
        Mode::Replay => format!("and replays what it did since {}", line.base),
    }
}
