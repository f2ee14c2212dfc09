//! Roles that may crash for good: machines that may stop at any point.

use std::borrow::Cow;

use crate::global::{Global, Role};
use crate::local::{Act, ActKind, Local, LocalState, Move};

/// The machines of a protocol's roles; those of roles that may crash do so at any point.
pub(in crate::check) fn crashing<'a>(global: &Global, machines: &'a [Local]) -> Cow<'a, [Local]> {
    if !global.handles_crashes() {
        return Cow::Borrowed(machines);
    }
    let crashing = global.role_ids().zip(machines).map(|(role, machine)| {
        if global.reliable[usize::from(role)] { machine.clone() } else { with_crashes(role, machine) }
    });
    Cow::Owned(crashing.collect())
}

/// The machine of a role that may crash wherever it has something left to do. Its last state is that of the dead.
fn with_crashes(role: Role, machine: &Local) -> Local {
    let mut machine = machine.clone();
    let dead = u32::try_from(machine.states.len()).unwrap_or(u32::MAX);
    let act = Act { kind: ActKind::Crash, peer: role, message: crate::global::MessageId::NONE };
    for state in machine.states.iter_mut().filter(|state| !state.moves.is_empty()) {
        state.moves.push(Move { act, to: dead });
    }
    machine.states.push(LocalState::default());
    machine
}

/// The state of the dead, if the machine has one.
pub(super) fn dead(machine: &Local) -> Option<u32> {
    let crash = machine.states.iter().flat_map(|state| &state.moves).find(|step| step.act.kind == ActKind::Crash);
    crash.map(|step| step.to)
}
