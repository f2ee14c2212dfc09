//! Exploration of a [`System`], with fewer configurations than there are.
//!
//! * Where the next events of one member suffice (they commute with all that the others can do), only those are taken.
//! * Configurations with one way on are not remembered, except at the heads of loops, so a long sequence costs no memory.
//! * No member is ignored: in a component that is never left, every member that can act does (Valmari's condition for
//!   stubborn sets). So whatever can still happen in the whole system can still happen in the part explored.
//!
//! The faults looked for are stable (once there, nothing takes them away), so the part explored meets each that exists,
//! and it is enough to look at the configurations that are remembered. A crash could take a fault away; where roles may
//! crash for good all orders are explored, and every configuration is remembered.

use std::collections::HashMap;

use super::faults::{Fault, Faults};
use super::scc;
use super::store::Store;
use super::{Actor, Config, System};

/// How many configurations are remembered at most.
pub(in crate::check) const MAX_CONFIGURATIONS: usize = 500_000;

/// How many numbers the remembered configurations may have together: 128 MiB.
const MAX_NUMBERS: usize = 32 << 20;

/// Once there is a fault the verdict is known: how many more configurations are looked at for others.
const MORE_AFTER_FAULT: usize = 20_000;

/// What exploration found.
pub(in crate::check) struct Explored {
    /// Faults of single configurations.
    pub(in crate::check) faults: Vec<Fault>,
    /// Configurations in which nothing can happen any more.
    pub(in crate::check) ends: Vec<Config>,
    /// Sets of configurations that are never left.
    pub(in crate::check) traps: Vec<Trap>,
    /// Whether the bound was met: there may be more than was found.
    pub(in crate::check) stopped: Option<Stop>,
}

/// A set of configurations that is never left, and in which events go on for ever.
pub(in crate::check) struct Trap {
    /// One of the configurations.
    pub(in crate::check) sample: Config,
    /// Members that act in it.
    pub(in crate::check) acts: Vec<bool>,
    /// Channels that are empty at some point of it.
    pub(in crate::check) emptied: Vec<bool>,
}

/// Explores a system, remembering at most `bound` configurations; fewer where there are faults.
pub(in crate::check) fn explore(system: &System<'_>, bound: usize) -> Explored {
    let initial = system.initial();
    let bound = bound.min(MAX_NUMBERS / initial.len().max(1));
    let mut explorer = Explorer {
        system,
        store: Store::new(initial.len()),
        nodes: Vec::new(),
        edges: Vec::new(),
        looked_at_later: HashMap::new(),
        todo: Vec::new(),
        faults: Faults::default(),
        faulty_since: None,
        ends: Vec::new(),
        bound,
    };
    explorer.remember(&initial, None);
    let stopped = explorer.run();
    let traps = if stopped.is_some() { Vec::new() } else { explorer.traps() };
    Explored { faults: explorer.faults.into_found(), ends: explorer.ends, traps, stopped }
}

/// Whose next events are taken in a configuration.
#[derive(Clone, Copy, Debug)]
enum LookedAt {
    /// Still to be found: one member if that suffices.
    Fewest,
    One(u16),
    All,
}

/// Why exploration comes to an end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::check) enum Stop {
    /// The bound was met.
    Bound,
    /// Faults were found before.
    EnoughFaults,
}

struct Explorer<'a> {
    system: &'a System<'a>,
    store: Store,
    /// Parallel to the rows of the store.
    nodes: Vec<Node>,
    /// Where the configurations lead: a target, and the next edge of the same configuration.
    edges: Vec<(u32, u32)>,
    /// What was looked at in a configuration besides [`Node::looked_at`].
    looked_at_later: HashMap<u32, Vec<LookedAt>>,
    todo: Vec<(u32, LookedAt)>,
    faults: Faults,
    /// How many configurations were remembered when the first fault was met.
    faulty_since: Option<usize>,
    ends: Vec<Config>,
    bound: usize,
}

/// A remembered configuration. There may be very many: no allocation of its own.
struct Node {
    /// The first of its edges; [`NONE`] for none.
    first: u32,
    /// Whose events gave the edges; [`LookedAt::Fewest`] before there are any.
    looked_at: LookedAt,
    /// Who acted last on the way here, and with whom.
    led_to_by: Option<(u16, u16)>,
}

const NONE: u32 = u32::MAX;

impl Explorer<'_> {
    /// Explores until nothing is left and no member is ignored, or until it must stop.
    fn run(&mut self) -> Option<Stop> {
        loop {
            while let Some((number, members)) = self.todo.pop() {
                if self.store.len() > self.bound {
                    return Some(Stop::Bound);
                }
                if self.faulty_since.is_some_and(|since| self.store.len() - since > MORE_AFTER_FAULT) {
                    return Some(Stop::EnoughFaults);
                }
                self.expand(number, members);
            }
            for component in self.never_left() {
                self.include_ignored(&component);
            }
            if self.todo.is_empty() {
                return None;
            }
        }
    }

    fn remember(&mut self, config: &[u32], by: Option<Actor>) -> u32 {
        let (number, new) = self.store.insert(config);
        if new {
            let led_to_by = by.map(|actor| (narrow(actor.member), narrow(actor.peer)));
            self.nodes.push(Node { first: NONE, looked_at: LookedAt::Fewest, led_to_by });
            self.todo.push((number, LookedAt::Fewest));
            self.faults.look(self.system, config);
            if self.faulty_since.is_none() && self.faults.any() {
                self.faulty_since = Some(self.store.len());
            }
        }
        number
    }

    fn expand(&mut self, number: u32, members: LookedAt) {
        let config = self.store.row(number).to_vec();
        let members = match members {
            LookedAt::Fewest => {
                let by = self.nodes[number as usize].led_to_by.map(|(one, other)| [one.into(), other.into()]);
                order(self.system, by)
                    .find(|member| self.system.suffices(&config, *member))
                    .map_or(LookedAt::All, |member| LookedAt::One(narrow(member)))
            }
            other => other,
        };
        let ends = follow_all(self.system, &config, members, &mut |_, _| {});
        if ends.iter().all(|(_, by)| by.crash) {
            self.ends.push(config);
        }
        for (end, by) in ends {
            let target = self.remember(&end, Some(by));
            // That somebody may crash is no way on.
            if by.crash {
                continue;
            }
            let edge = u32::try_from(self.edges.len()).unwrap_or(NONE);
            let first = std::mem::replace(&mut self.nodes[number as usize].first, edge);
            self.edges.push((target, first));
        }
        let looked_at = &mut self.nodes[number as usize].looked_at;
        match looked_at {
            LookedAt::Fewest => *looked_at = members,
            _ => self.looked_at_later.entry(number).or_default().push(members),
        }
    }

    fn successors(&self, node: usize) -> impl Iterator<Item = u32> + '_ {
        let mut edge = self.nodes[node].first;
        std::iter::from_fn(move || {
            let &(target, next) = self.edges.get(edge as usize)?;
            edge = next;
            Some(target)
        })
    }

    fn looked_at(&self, node: u32) -> impl Iterator<Item = LookedAt> + '_ {
        let later = self.looked_at_later.get(&node).into_iter().flatten();
        std::iter::once(self.nodes[node as usize].looked_at).chain(later.copied())
    }

    /// Components with an edge inside and none to the outside.
    fn never_left(&self) -> Vec<Vec<u32>> {
        let components = scc::components(self.store.len(), |node| self.successors(node));
        let of = scc::numbers(self.store.len(), &components);
        let stays = |component: &Vec<u32>| {
            let mut edges = component.iter().flat_map(|node| self.successors(*node as usize).map(|to| (*node, to)));
            let mut any = false;
            edges.all(|(from, to)| {
                any = true;
                of[from as usize] == of[to as usize]
            }) && any
        };
        components.into_iter().filter(stays).collect()
    }

    /// Looks also at a member that can act in a component and does not.
    ///
    /// It can do so everywhere in the component or nowhere, so one configuration tells.
    fn include_ignored(&mut self, component: &[u32]) {
        let (acts, _) = self.activity(component);
        let config = self.store.row(component[0]).to_vec();
        let mut steps = Vec::new();
        for member in (0..acts.len()).filter(|member| !acts[*member]) {
            self.system.steps_of(&config, member, &mut steps);
            if steps.iter().any(|(_, actor)| !actor.crash) {
                let enough = self.system.suffices(&config, member);
                self.todo.push((component[0], if enough { LookedAt::One(narrow(member)) } else { LookedAt::All }));
                return;
            }
        }
    }

    /// Which members act in a component, and which channels are empty at some point of it.
    fn activity(&self, component: &[u32]) -> (Vec<bool>, Vec<bool>) {
        let channels = self.system.channels().len();
        let mut acts = vec![false; self.system.members().len()];
        let mut emptied = vec![false; channels];
        for &number in component {
            let config = self.store.row(number).to_vec();
            for (channel, emptied) in emptied.iter_mut().enumerate() {
                *emptied |= self.system.slot(&config, channel).is_none();
            }
            for members in self.looked_at(number) {
                follow_all(self.system, &config, members, &mut |_, actor| {
                    if actor.crash {
                        return;
                    }
                    acts[actor.member] = true;
                    actor.partner.into_iter().for_each(|partner| acts[partner] = true);
                    actor.freed.into_iter().for_each(|channel| emptied[channel] = true);
                });
            }
        }
        (acts, emptied)
    }

    fn traps(&self) -> Vec<Trap> {
        let components = self.never_left();
        let mut traps = Vec::new();
        for component in components {
            let (acts, emptied) = self.activity(&component);
            traps.push(Trap { sample: self.store.row(component[0]).to_vec(), acts, emptied });
        }
        traps
    }
}

/// Where the steps from a configuration lead, single ways followed to their end, with the last actor of each.
///
/// `log` sees each configuration passed.
fn follow_all(
    system: &System<'_>,
    config: &[u32],
    members: LookedAt,
    log: &mut dyn FnMut(&[u32], Actor),
) -> Vec<(Config, Actor)> {
    let mut steps = Vec::new();
    match members {
        LookedAt::One(member) => system.steps_of(config, usize::from(member), &mut steps),
        LookedAt::Fewest | LookedAt::All => {
            (0..system.members().len()).for_each(|member| system.steps_of(config, member, &mut steps));
        }
    }
    let mut ends: Vec<(Config, Actor)> = Vec::with_capacity(steps.len());
    for (config, actor) in steps {
        ends.push(follow(system, config, actor, log));
    }
    ends
}

/// Goes on while there is one way only and no loop begins.
fn follow(
    system: &System<'_>,
    mut config: Config,
    mut actor: Actor,
    log: &mut dyn FnMut(&[u32], Actor),
) -> (Config, Actor) {
    loop {
        log(&config, actor);
        if system.at_loop_head(&config, actor) {
            return (config, actor);
        }
        // Others that go round a loop are left for later: they would be met again and again.
        let single = |member: &usize| {
            let nearby = *member == actor.member || *member == actor.peer;
            system.state(&config, *member).moves.len() == 1
                && (nearby || !system.in_loop(&config, *member))
                && system.suffices(&config, *member)
        };
        let Some(member) = order(system, Some([actor.member, actor.peer])).find(single) else { return (config, actor) };
        actor = system.advance(&mut config, member);
    }
}

/// The members, those of the conversation that is going on first: so conversations are explored one after another, not
/// in all their interleavings.
fn order(system: &System<'_>, last: Option<[usize; 2]>) -> impl Iterator<Item = usize> + use<> {
    last.into_iter().flatten().chain(0..system.members().len())
}

/// Members are roles, and so as few.
fn narrow(member: usize) -> u16 {
    u16::try_from(member).unwrap_or(u16::MAX)
}
