//! From a checked protocol to the image that nodes store and local supervisors execute.

use crate::check::Valid;
use crate::code::Code;
use crate::diagnostics::{Diagnostic, Report, listed};
use crate::global::{Feature, Global};
use crate::image::{Action, Direction, Edge, Image, Machine, RoleId, State, StateId};
use crate::local::{ActKind, Local};
use crate::program::{Program, ProtocolId};

impl Program {
    /// Checks and compiles the protocol of that name, or the only one that is not `aux`.
    ///
    /// The error holds every finding of the first stage that has any; a protocol that is fine but uses what the runtime
    /// cannot execute is refused by the name of the feature. The protocol need only be implementable, and choices count as
    /// fair: whether they are is up to the workers, and a role that waits long is none that cannot go on.
    pub fn compile(&self, protocol: Option<&str>) -> Result<Image, Report> {
        let id = self.choose(protocol)?;
        let valid = self.valid(id)?;
        let refused: Vec<Diagnostic> = valid.global.features.iter().filter_map(refusal).collect();
        if !refused.is_empty() {
            return Err(self.report(refused));
        }
        self.image(valid).map_err(|finding| self.report(vec![finding]))
    }

    /// The protocol of the main source that is meant.
    pub(crate) fn choose(&self, wanted: Option<&str>) -> Result<ProtocolId, Report> {
        let protocols = &self.main().protocols;
        let mut candidates = protocols.iter().enumerate().filter(|(_, protocol)| match wanted {
            Some(wanted) => self.names.text(protocol.name.name) == wanted,
            None => !protocol.aux,
        });
        let first = candidates.next();
        if let Some((index, _)) = first
            && (wanted.is_some() || candidates.next().is_none())
        {
            return Ok(ProtocolId { module: 0, index });
        }
        let names = listed(protocols.iter().map(|protocol| self.names.text(protocol.name.name)));
        let (message, hint) = match (wanted, protocols.is_empty()) {
            (_, true) => ("there is no protocol in this file".to_owned(), "write `global protocol …`".to_owned()),
            (Some(wanted), _) => (format!("no protocol `{wanted}` here"), format!("there is {names}")),
            (None, _) if first.is_none() => {
                ("every protocol here is `aux`".to_owned(), "leave `aux` out for the one that is run".to_owned())
            }
            (None, _) => ("there are several protocols here".to_owned(), format!("name one of {names}")),
        };
        let span = first.map_or_else(Default::default, |(_, protocol)| protocol.name.span);
        Err(self.report(vec![Diagnostic::new(Code::NoSuchProtocol, span, message).hint(hint)]))
    }

    fn image(&self, valid: Valid) -> Result<Image, Diagnostic> {
        let Valid { global, machines: locals, .. } = valid;
        let mut machines = Vec::with_capacity(locals.len());
        for (role, local) in global.role_ids().zip(locals) {
            machines.push(self.machine(&global, &self.deterministic(&global, role, local)?));
        }
        let roles = global.roles.iter().map(|role| self.names.text(role.public).to_owned()).collect();
        Ok(Image { name: self.names.text(global.name).to_owned(), roles, machines })
    }

    fn machine(&self, global: &Global, local: &Local) -> Machine {
        let states = local.states.iter().map(|state| {
            let edges = state.moves.iter().map(|step| Edge {
                action: Action {
                    direction: if step.act.kind == ActKind::Send { Direction::Send } else { Direction::Receive },
                    peer: RoleId(step.act.peer),
                    label: global
                        .messages
                        .label(step.act.message)
                        .map_or_else(String::new, |label| self.names.text(label).to_owned()),
                    payload: global.messages.payload(step.act.message).to_vec(),
                },
                to: StateId(step.to),
            });
            State { name: state_name(&state.numbers), edges: edges.collect() }
        });
        Machine { initial: StateId(local.initial), states: states.collect() }
    }
}

/// The numbers, in text order, of the next interactions: `3`, `3|5`, `end`.
pub(crate) fn state_name(numbers: &[u32]) -> String {
    if numbers.is_empty() {
        return "end".to_owned();
    }
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join("|")
}

/// Constructs that are checked and not executed.
fn refusal((feature, span): &(Feature, crate::diagnostics::Span)) -> Option<Diagnostic> {
    let (what, hint) = match feature {
        Feature::Connections => ("explicit connections", "leave `explicit`, `connect` and `disconnect` out"),
        Feature::Wrap => ("`wrap`", "leave it out"),
        Feature::Par => return None,
        Feature::Delegation => ("delegation", "send what the peer needs to know instead"),
        Feature::Reliable => ("`reliable` roles", "leave `reliable` out: Rekindle restarts roles that crash"),
        Feature::Crash => ("`crash` branches", "leave the branch out: Rekindle restarts roles that crash"),
    };
    Some(Diagnostic::new(Code::NotRunnable, *span, format!("the runtime cannot execute {what}")).hint(hint))
}
