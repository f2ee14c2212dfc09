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
        edges: Vec::new(),
        looked_at: Vec::new(),
        todo: Vec::new(),
        faults: Faults::default(),
        ends: Vec::new(),
        bound,
    };
    explorer.faults.look(system, &initial);
    explorer.remember(&initial);
    let bounded = !explorer.run();
    let traps = if bounded { Vec::new() } else { explorer.traps() };
    Explored { faults: explorer.faults.into_found(), ends: explorer.ends, traps, bounded }
}

/// Whose next events are taken in a configuration.
#[derive(Clone, Copy, Debug)]
enum LookedAt {
    One(usize),
    All,
}

struct Explorer<'a> {
    system: &'a System<'a>,
    store: Store,
    /// Successors of each remembered configuration.
    edges: Vec<Vec<u32>>,
    /// Whose events gave these.
    looked_at: Vec<LookedAt>,
    /// Configurations to expand, and whether all members are to be looked at.
    todo: Vec<(u32, bool)>,
    faults: Faults,
    ends: Vec<Config>,
    bound: usize,
}

impl Explorer<'_> {
    /// Explores until nothing is left and no member is ignored. `false` if the bound was met.
    fn run(&mut self) -> bool {
        loop {
            while let Some((number, all)) = self.todo.pop() {
                if self.store.len() > self.bound {
                    return false;
                }
                self.expand(number, all);
            }
            for component in self.never_left() {
                self.include_ignored(&component);
            }
            if self.todo.is_empty() {
                return true;
            }
        }
    }

    fn remember(&mut self, config: &[u32]) -> u32 {
        let (number, new) = self.store.insert(config);
        if new {
            self.edges.push(Vec::new());
            self.looked_at.push(LookedAt::All);
            self.todo.push((number, false));
        }
        number
    }

    fn expand(&mut self, number: u32, all: bool) {
        let config = self.store.row(number).to_vec();
        let (looked_at, ends) =
            if all { (LookedAt::All, self.ends_of(&config, LookedAt::All)) } else { self.fewest(&config) };
        if ends.is_empty() {
            self.ends.push(config);
        }
        let targets = ends.iter().map(|end| self.remember(end)).collect();
        self.edges[number as usize] = targets;
        self.looked_at[number as usize] = looked_at;
    }

    /// One member if that suffices, one that leads to something new if there is: so loops of some do not hide others.
    fn fewest(&mut self, config: &[u32]) -> (LookedAt, Vec<Config>) {
        let mut first = None;
        for member in 0..self.system.members().len() {
            if !self.system.suffices(config, member) {
                continue;
            }
            let ends = self.ends_of(config, LookedAt::One(member));
            if ends.iter().any(|end| self.store.find(end).is_none()) {
                return (LookedAt::One(member), ends);
            }
            first.get_or_insert((LookedAt::One(member), ends));
        }
        first.unwrap_or_else(|| (LookedAt::All, self.ends_of(config, LookedAt::All)))
    }

    fn ends_of(&mut self, config: &[u32], members: LookedAt) -> Vec<Config> {
        let faults = &mut self.faults;
        follow_all(self.system, config, members, &mut |config, _| faults.look(self.system, config))
    }

    /// Components with an edge inside and none to the outside.
    fn never_left(&self) -> Vec<Vec<u32>> {
        let components = scc::components(self.store.len(), |node| self.edges[node].iter().copied());
        let mut of = vec![0u32; self.store.len()];
        for (index, component) in components.iter().enumerate() {
            for &node in component {
                of[node as usize] = u32::try_from(index).unwrap_or(u32::MAX);
            }
        }
        let stays = |component: &Vec<u32>| {
            let mut edges = component.iter().flat_map(|node| self.edges[*node as usize].iter().map(|to| (*node, *to)));
            let mut any = false;
            edges.all(|(from, to)| {
                any = true;
                of[from as usize] == of[to as usize]
            }) && any
        };
        components.into_iter().filter(stays).collect()
    }

    /// Looks at all members in one configuration of a component in which some member can act and does not.
    ///
    /// A member that does not act can do so everywhere in the component or nowhere, so one configuration tells.
    fn include_ignored(&mut self, component: &[u32]) {
        let (acts, _) = self.activity(component);
        let config = self.store.row(component[0]).to_vec();
        let mut steps = Vec::new();
        for member in (0..acts.len()).filter(|member| !acts[*member]) {
            self.system.steps_of(&config, member, &mut steps);
        }
        if !steps.is_empty() {
            self.todo.push((component[0], true));
        }
    }

    /// Which members act in a component, and which channels are empty at some point of it.
    fn activity(&mut self, component: &[u32]) -> (Vec<bool>, Vec<bool>) {
        let channels = self.system.channels().len();
        let mut acts = vec![false; self.system.members().len()];
        let mut emptied = vec![false; channels];
        for &number in component {
            let config = self.store.row(number).to_vec();
            for (channel, emptied) in emptied.iter_mut().enumerate() {
                *emptied |= self.system.slot(&config, channel).is_none();
            }
            follow_all(self.system, &config, self.looked_at[number as usize], &mut |_, actor| {
                acts[actor.member] = true;
                actor.partner.into_iter().for_each(|partner| acts[partner] = true);
                actor.freed.into_iter().for_each(|channel| emptied[channel] = true);
            });
        }
        (acts, emptied)
    }

    fn traps(&mut self) -> Vec<Trap> {
        let components = self.never_left();
        let mut traps = Vec::new();
        for component in components {
            let (acts, emptied) = self.activity(&component);
            traps.push(Trap { sample: self.store.row(component[0]).to_vec(), acts, emptied });
        }
        traps
    }
}

/// Where the steps from a configuration lead, single ways followed to their end. `log` sees each configuration passed.
fn follow_all(
    system: &System<'_>,
    config: &[u32],
    members: LookedAt,
    log: &mut dyn FnMut(&[u32], Actor),
) -> Vec<Config> {
    let mut steps = Vec::new();
    match members {
        LookedAt::One(member) => system.steps_of(config, member, &mut steps),
        LookedAt::All => (0..system.members().len()).for_each(|member| system.steps_of(config, member, &mut steps)),
    }
    let mut ends: Vec<Config> = steps.into_iter().map(|(config, actor)| follow(system, config, actor, log)).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Goes on while there is one way only and no loop begins.
fn follow(system: &System<'_>, config: Config, actor: Actor, log: &mut dyn FnMut(&[u32], Actor)) -> Config {
    let (mut config, mut actor) = (config, actor);
    let mut steps = Vec::new();
    loop {
        log(&config, actor);
        if system.at_loop_head(&config, actor) {
            return config;
        }
        let Some(member) = only_way(system, &config, actor) else { return config };
        steps.clear();
        system.steps_of(&config, member, &mut steps);
        match steps.pop() {
            Some(step) if steps.is_empty() => (config, actor) = step,
            _ => return config,
        }
    }
}

/// A member whose single next event suffices, sought first around the one that just acted.
fn only_way(system: &System<'_>, config: &[u32], last: Actor) -> Option<usize> {
    let members = system.members().len();
    (0..members)
        .map(|offset| (last.member + offset) % members)
        .find(|member| system.state(config, *member).moves.len() == 1 && system.suffices(config, *member))
}
