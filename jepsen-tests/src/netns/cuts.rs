//! Who no longer hears whom: the shapes of partitions, as pure functions.
//!
//! Places 0.. are nodes; local supervisors come after them. A pair (at, from) means that what comes from `from` is
//! dropped at `at`.

use crate::faults::Fault;
use crate::schedule::Dice;

/// Which hosts a partition is about.
#[derive(Clone, Copy, Debug)]
pub struct Hosts {
    /// How many nodes.
    pub nodes: usize,
    /// How many local supervisors.
    pub agents: usize,
    /// The place of the leader.
    pub leader: usize,
}

/// The pairs of a partition, and in words what it is. `None`: the fault is none.
pub fn pairs(fault: Fault, hosts: Hosts, dice: &mut Dice) -> Option<(Vec<(usize, usize)>, String)> {
    let Hosts { nodes, agents, leader } = hosts;
    let order = dice.shuffled(nodes);
    let others: Vec<usize> = order.iter().copied().filter(|place| *place != leader).collect();
    let agent = nodes + dice.below(agents);
    let everyone: Vec<usize> = (0..nodes).collect();
    let found = match fault {
        Fault::Halves => {
            let (minority, majority) = order.split_at((nodes - 1) / 2);
            (apart(minority, majority), format!("{} | {}", names(minority), names(majority)))
        }
        Fault::MajorityRing => {
            // With one more neighbour on each side everybody sees a majority, itself included.
            let reach = (nodes / 2).div_ceil(2);
            let far = |one: usize, other: usize| {
                let distance = one.abs_diff(other);
                distance.min(nodes - distance) > reach
            };
            let mut cut = Vec::new();
            for (one, at) in order.iter().enumerate() {
                for (other, from) in order.iter().enumerate() {
                    if far(one, other) {
                        cut.push((*at, *from));
                    }
                }
            }
            (cut, format!("ring {}", names(&order)))
        }
        Fault::Bridge => {
            let (bridge, rest) = others.split_first()?;
            let (alone, connected) = rest.split_first()?;
            let mut cut = apart(&[leader], connected);
            let reached: Vec<usize> = everyone.iter().copied().filter(|place| place != alone).collect();
            cut.extend(apart(&[*alone], &reached));
            let words = format!(
                "leader {} – {} – {} | {}",
                names(&[leader]),
                names(&[*bridge]),
                names(connected),
                names(&[*alone])
            );
            (cut, words)
        }
        Fault::TwoLeaves => {
            let mut cut = Vec::new();
            for one in &others {
                cut.extend(others.iter().filter(|other| *other != one).map(|other| (*one, *other)));
            }
            (cut, format!("{} see only the leader {}", names(&others), names(&[leader])))
        }
        Fault::OneWay => {
            let mute = order[0];
            let cut = everyone.iter().filter(|place| **place != mute).map(|place| (*place, mute)).collect();
            (cut, format!("nobody hears {}", names(&[mute])))
        }
        Fault::IsolatedLeader => (apart(&[leader], &others), format!("leader {}", names(&[leader]))),
        Fault::AgentCut => (apart(&[agent], &everyone), format!("a{}", agent - nodes + 1)),
        Fault::AgentsApart => {
            let all: Vec<usize> = (nodes..nodes + agents).collect();
            let mut cut = Vec::new();
            for one in &all {
                cut.extend(all.iter().filter(|other| *other != one).map(|other| (*one, *other)));
            }
            (cut, "all local supervisors".to_owned())
        }
        Fault::Loss
        | Fault::Pause
        | Fault::KillLeader
        | Fault::KillAll
        | Fault::KillRandom
        | Fault::KillAgent
        | Fault::KillWorker
        | Fault::DiskFull
        | Fault::DiskFreeze
        | Fault::PowerLoss
        | Fault::ClockJump
        | Fault::Wipe => return None,
    };
    Some(found)
}

/// Both ways.
fn apart(some: &[usize], others: &[usize]) -> Vec<(usize, usize)> {
    some.iter().flat_map(|one| others.iter().flat_map(|other| [(*one, *other), (*other, *one)])).collect()
}

fn names(places: &[usize]) -> String {
    let names: Vec<_> = places.iter().map(|place| format!("n{}", place + 1)).collect();
    names.join(" ")
}
