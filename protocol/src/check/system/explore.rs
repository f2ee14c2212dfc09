//! Exploration of a [`System`], with fewer configurations than there are.
//!
//! * Where the next events of one member suffice (they commute with all that the others can do), only those are taken.
//! * Configurations with one way on are not remembered, except at the heads of loops, so a long sequence costs no memory.
//! * No member is ignored: in a component that is never left, every member that can act does (Valmari's condition for
//!   stubborn sets). So whatever can still happen in the whole system can still happen in the part explored.
//!
//! The faults looked for are stable (once there, nothing takes them away), so the part explored meets each that exists.

use super::faults::{Fault, Faults};
use super::scc;
use super::store::Store;
use super::{Actor, Config, System};

/// How many configurations are remembered at most.
pub(in crate::check) const MAX_CONFIGURATIONS: usize = 2_000_000;

/// What exploration found.
pub(in crate::check) struct Explored {
    /// Faults of single configurations.
    pub(in crate::check) faults: Vec<Fault>,
    /// Configurations in which nothing can happen any more.
    pub(in crate::check) ends: Vec<Config>,
    /// Sets of configurations that are never left.
    pub(in crate::check) traps: Vec<Trap>,
    /// Whether the bound was met: there may be more than was found.
    pub(in crate::check) bounded: bool,
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

/// Explores a system, remembering at most `bound` configurations.
pub(in crate::check) fn explore(system: &System<'_>, bound: usize) -> Explored {
    let initial = system.initial();
    let mut explorer = Explorer {
        system,
        store: Store::new(initial.len()),
        nodes: Vec::new(),
        todo: Vec::new(),
        faults: Faults::default(),
        ends: Vec::new(),
        bound,
    };
    explorer.faults.look(system, &initial);
    explorer.remember(&initial, None);
    let bounded = !explorer.run();
    let traps = if bounded { Vec::new() } else { explorer.traps() };
    Explored { faults: explorer.faults.into_found(), ends: explorer.ends, traps, bounded }
}

/// Whose next events are taken in a configuration.
#[derive(Clone, Copy, Debug)]
enum LookedAt {
    /// Still to be found: one member if that suffices.
    Fewest,
    One(usize),
    All,
}

struct Explorer<'a> {
    system: &'a System<'a>,
    store: Store,
    /// Per remembered configuration: where it leads, whose events gave that, and who led to it first.
    nodes: Vec<Node>,
    todo: Vec<(u32, LookedAt)>,
    faults: Faults,
    ends: Vec<Config>,
    bound: usize,
}

#[derive(Default)]
struct Node {
    successors: Vec<u32>,
    looked_at: Vec<LookedAt>,
    led_to_by: Option<Actor>,
}

impl Explorer<'_> {
    /// Explores until nothing is left and no member is ignored. `false` if the bound was met.
    fn run(&mut self) -> bool {
        loop {
            while let Some((number, members)) = self.todo.pop() {
                if self.store.len() > self.bound {
                    return false;
                }
                self.expand(number, members);
            }
            for component in self.never_left() {
                self.include_ignored(&component);
            }
            if self.todo.is_empty() {
                return true;
            }
        }
    }

    fn remember(&mut self, config: &[u32], by: Option<Actor>) -> u32 {
        let (number, new) = self.store.insert(config);
        if new {
            self.nodes.push(Node { led_to_by: by, ..Node::default() });
            self.todo.push((number, LookedAt::Fewest));
        }
        number
    }

    fn expand(&mut self, number: u32, members: LookedAt) {
        let config = self.store.row(number).to_vec();
        let members = match members {
            LookedAt::Fewest => {
                let by = self.nodes[number as usize].led_to_by;
                order(self.system, by)
                    .find(|member| self.system.suffices(&config, *member))
                    .map_or(LookedAt::All, LookedAt::One)
            }
            other => other,
        };
        let faults = &mut self.faults;
        let ends = follow_all(self.system, &config, members, &mut |config, actor| {
            faults.look_after(self.system, config, actor);
        });
        if ends.iter().all(|(_, by)| by.crash) {
            self.ends.push(config);
        }
        for (end, by) in ends {
            let target = self.remember(&end, Some(by));
            let node = &mut self.nodes[number as usize];
            // That somebody may crash is no way on.
            if !by.crash && !node.successors.contains(&target) {
                node.successors.push(target);
            }
        }
        self.nodes[number as usize].looked_at.push(members);
    }

    /// Components with an edge inside and none to the outside.
    fn never_left(&self) -> Vec<Vec<u32>> {
        let components = scc::components(self.store.len(), |node| self.nodes[node].successors.iter().copied());
        let mut of = vec![0u32; self.store.len()];
        for (index, component) in components.iter().enumerate() {
            for &node in component {
                of[node as usize] = u32::try_from(index).unwrap_or(u32::MAX);
            }
        }
        let stays = |component: &Vec<u32>| {
            let mut edges =
                component.iter().flat_map(|node| self.nodes[*node as usize].successors.iter().map(|to| (*node, *to)));
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
                self.todo.push((component[0], if enough { LookedAt::One(member) } else { LookedAt::All }));
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
            for &members in &self.nodes[number as usize].looked_at {
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
        LookedAt::One(member) => system.steps_of(config, member, &mut steps),
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
        let Some(member) = order(system, Some(actor)).find(single) else { return (config, actor) };
        actor = system.advance(&mut config, member);
    }
}

/// The members, those of the conversation that is going on first: so conversations are explored one after another, not
/// in all their interleavings.
fn order(system: &System<'_>, last: Option<Actor>) -> impl Iterator<Item = usize> + use<> {
    let first = last.into_iter().flat_map(|actor| [actor.member, actor.peer]);
    first.chain(0..system.members().len())
}
