//! The reachable configurations of roles that talk to each other: their states and what lies in their channels.
//!
//! Invariants
//! * a configuration's predecessors are all that reach it in one event, so every walk back from it is a real run;
//! * nothing here depends on the order of a hash map.

use std::collections::HashMap;
use std::ops::Range;

use crate::image::{Direction, Image, StateId};
use crate::recovery::policy::Mode;
use crate::recovery::table::rows::Policy;

/// Set in a role's place of a configuration once it has done an event, where its state alone does not tell.
const STARTED: u32 = 1 << 31;

/// Words that the configurations of a group may take, but for what lies in their channels.
const MAX_WORDS: usize = 1 << 20;

/// An edge of one role's machine.
pub(super) struct Step {
    to: u32,
    /// Index into [`Space::channels`].
    pub(super) channel: usize,
    sends: bool,
    label: u32,
}

/// One event that leads to a configuration.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) role: usize,
    /// Index into [`Space::steps`] of the role.
    pub(super) step: usize,
    /// The configuration before it.
    pub(super) before: usize,
}

/// All reachable configurations of a group of roles. Roles are numbered within the group.
pub(super) struct Space {
    /// The group's roles, as indices into the image.
    pub(super) roles: Vec<usize>,
    /// Sender and receiver of each channel.
    pub(super) channels: Vec<(usize, usize)>,
    /// The edges of each role, in the order of the states they leave.
    pub(super) steps: Vec<Vec<Step>>,
    /// By role and state, the range of the steps that leave it.
    leaving: Vec<Vec<Range<usize>>>,
    /// By role and state, the sends that enter it.
    sends_into: Vec<Vec<Vec<usize>>>,
    /// By configuration, how it can be reached.
    pub(super) arrivals: Vec<Vec<Arrival>>,
    /// For each role that only its position 0 can restart, whether its initial state can be entered again.
    tracked: Vec<bool>,
    initial: Vec<u32>,
    /// By configuration, the places of all roles, then for each channel the number of its messages and their labels.
    configurations: Vec<Box<[u32]>>,
    /// By configuration and channel, whether it holds a message.
    filled: Vec<Vec<bool>>,
}

impl Space {
    /// Explores the group; `None` if it has more than `limit` configurations, or a channel that seems to have no bound.
    pub(super) fn explore(image: &Image, policy: &Policy, group: &[usize], limit: usize) -> Option<Self> {
        let mut space = Space::empty(image, policy, group)?;
        // Roles and channels make a configuration larger; what all of them together take is bounded too.
        let limit = limit.min(MAX_WORDS / (space.roles.len() + space.channels.len()));
        let start: Vec<u32> = space.initial.iter().copied().chain(space.channels.iter().map(|_| 0)).collect();
        let mut numbers = HashMap::new();
        space.number(start, &mut numbers);
        let mut next = 0;
        while next < space.configurations.len() {
            if space.configurations.len() > limit {
                return None;
            }
            space.expand(next, &mut numbers)?;
            next += 1;
        }
        Some(space)
    }

    fn empty(image: &Image, policy: &Policy, group: &[usize]) -> Option<Self> {
        let mut space = Space {
            roles: group.to_vec(),
            channels: Vec::new(),
            steps: Vec::new(),
            leaving: Vec::new(),
            sends_into: Vec::new(),
            arrivals: Vec::new(),
            tracked: Vec::new(),
            initial: Vec::new(),
            configurations: Vec::new(),
            filled: Vec::new(),
        };
        let mut labels = HashMap::new();
        for (me, &role) in group.iter().enumerate() {
            let machine = image.machines.get(role)?;
            let mut steps = Vec::new();
            let mut leaving = Vec::with_capacity(machine.states.len());
            let mut sends_into = vec![Vec::new(); machine.states.len()];
            for state in &machine.states {
                let first = steps.len();
                for edge in &state.edges {
                    let peer = group.iter().position(|&peer| peer == edge.action.peer.index())?;
                    let sends = edge.action.direction == Direction::Send;
                    let channel = space.channel(if sends { (me, peer) } else { (peer, me) });
                    let fresh = u32::try_from(labels.len()).ok()?;
                    let label = *labels.entry(&edge.action.label).or_insert(fresh);
                    if sends {
                        sends_into.get_mut(edge.to.index())?.push(steps.len());
                    }
                    steps.push(Step { to: edge.to.0, channel, sends, label });
                }
                leaving.push(first..steps.len());
            }
            let reentered = steps.iter().any(|step| step.to == machine.initial.0);
            space.tracked.push(policy.modes.get(role) == Some(&Mode::Restart) && reentered);
            space.initial.push(machine.initial.0);
            space.steps.push(steps);
            space.leaving.push(leaving);
            space.sends_into.push(sends_into);
        }
        Some(space)
    }

    fn channel(&mut self, ends: (usize, usize)) -> usize {
        self.channels.iter().position(|known| *known == ends).unwrap_or_else(|| {
            self.channels.push(ends);
            self.channels.len() - 1
        })
    }

    /// The number of a configuration, a new one if it was not seen before.
    fn number(&mut self, configuration: Vec<u32>, numbers: &mut HashMap<Box<[u32]>, usize>) -> usize {
        if let Some(&known) = numbers.get(configuration.as_slice()) {
            return known;
        }
        let configuration = configuration.into_boxed_slice();
        let offsets = self.offsets(&configuration);
        self.filled.push(offsets.iter().map(|&at| configuration[at] > 0).collect());
        self.arrivals.push(Vec::new());
        self.configurations.push(configuration.clone());
        numbers.insert(configuration, self.configurations.len() - 1);
        self.configurations.len() - 1
    }

    /// Where each channel's contents begin.
    fn offsets(&self, configuration: &[u32]) -> Vec<usize> {
        let mut at = self.roles.len();
        let mut offsets = Vec::with_capacity(self.channels.len());
        for _ in &self.channels {
            offsets.push(at);
            at += 1 + configuration[at] as usize;
        }
        offsets
    }

    /// Adds all that follows a configuration. `None` where a channel grows beyond what its sender can have sent without
    /// going round a loop.
    fn expand(&mut self, before: usize, numbers: &mut HashMap<Box<[u32]>, usize>) -> Option<()> {
        let configuration = self.configurations[before].clone();
        let offsets = self.offsets(&configuration);
        for role in 0..self.roles.len() {
            let state = self.state(before, role).index();
            for step in self.leaving[role].get(state).cloned().unwrap_or_default() {
                let Some(after) = self.after(&configuration, &offsets, role, step) else { continue };
                let (sender, _) = self.channels[self.steps[role][step].channel];
                let held = after[offsets[self.steps[role][step].channel]] as usize;
                if held > self.steps[sender].len() + 1 {
                    return None;
                }
                let after = self.number(after, numbers);
                self.arrivals[after].push(Arrival { role, step, before });
            }
        }
        Some(())
    }

    fn after(&self, configuration: &[u32], offsets: &[usize], role: usize, step: usize) -> Option<Vec<u32>> {
        let step = &self.steps[role][step];
        let at = offsets[step.channel];
        let held = configuration[at];
        let mut after = Vec::with_capacity(configuration.len() + 1);
        if step.sends {
            let end = at + 1 + held as usize;
            after.extend_from_slice(&configuration[..end]);
            after.push(step.label);
            after.extend_from_slice(&configuration[end..]);
            after[at] = held + 1;
        } else {
            if held == 0 || configuration[at + 1] != step.label {
                return None;
            }
            after.extend_from_slice(&configuration[..=at]);
            after.extend_from_slice(&configuration[at + 2..]);
            after[at] = held - 1;
        }
        after[role] = step.to | if self.tracked[role] { STARTED } else { 0 };
        Some(after)
    }

    /// The sends of a role that end in its state in a configuration.
    pub(super) fn sends_into(&self, configuration: usize, role: usize) -> &[usize] {
        self.sends_into[role].get(self.state(configuration, role).index()).map_or(&[], Vec::as_slice)
    }

    /// The number of configurations.
    pub(super) fn len(&self) -> usize {
        self.configurations.len()
    }

    /// The state of a role in a configuration.
    pub(super) fn state(&self, configuration: usize, role: usize) -> StateId {
        StateId(self.configurations[configuration][role] & !STARTED)
    }

    /// Whether a role in mode `restart` has done nothing yet.
    pub(super) fn at_start(&self, configuration: usize, role: usize) -> bool {
        self.configurations[configuration][role] == self.initial[role]
    }

    /// Whether a channel holds a message.
    pub(super) fn is_filled(&self, configuration: usize, channel: usize) -> bool {
        self.filled[configuration][channel]
    }
}
