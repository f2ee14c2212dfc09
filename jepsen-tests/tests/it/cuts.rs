//! Partitions have the shape that they are named after.

use std::collections::BTreeSet;

use rekindle_jepsen::faults::Fault;
use rekindle_jepsen::netns::cuts::{Hosts, pairs};
use rekindle_jepsen::schedule::Dice;

const FIVE: Hosts = Hosts { nodes: 5, agents: 2, leader: 2 };

/// Whom each of five nodes exchanges messages with, itself included.
fn neighbours(fault: Fault, seed: u64) -> Vec<BTreeSet<usize>> {
    let (cut, words) = pairs(fault, FIVE, &mut Dice::new(seed)).expect("a partition");
    assert!(!cut.is_empty() && !words.is_empty());
    let linked = |one: usize, other: usize| !cut.contains(&(one, other)) && !cut.contains(&(other, one));
    (0..5).map(|one| (0..5).filter(|other| *other == one || linked(one, *other)).collect()).collect()
}

#[test]
fn halves_leave_one_majority() {
    for seed in 0..50 {
        let mut sizes: Vec<_> = neighbours(Fault::Halves, seed).iter().map(BTreeSet::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [2, 2, 3, 3, 3]);
    }
}

#[test]
fn in_a_ring_each_sees_another_majority() {
    for seed in 0..50 {
        let seen = neighbours(Fault::MajorityRing, seed);
        assert!(seen.iter().all(|seen| seen.len() == 3), "{seen:?}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 5);
    }
}

#[test]
fn a_bridge_connects_a_majority_without_the_leader() {
    for seed in 0..50 {
        let seen = neighbours(Fault::Bridge, seed);
        assert_eq!(seen[2].len(), 2, "the leader reaches one other");
        let mut sizes: Vec<_> = seen.iter().map(BTreeSet::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 2, 3, 3, 4], "{seen:?}");
    }
}

#[test]
fn leaves_see_only_the_leader() {
    let seen = neighbours(Fault::TwoLeaves, 1);
    for (place, seen) in seen.iter().enumerate() {
        assert_eq!(seen.len(), if place == 2 { 5 } else { 2 });
        assert!(seen.contains(&2));
    }
}

#[test]
fn one_way_is_one_way() {
    let (cut, _) = pairs(Fault::OneWay, FIVE, &mut Dice::new(1)).expect("a partition");
    let mute: BTreeSet<_> = cut.iter().map(|(_, from)| from).collect();
    assert_eq!((cut.len(), mute.len()), (4, 1));
    assert!(!cut.iter().any(|(at, _)| mute.contains(at)));
}

#[test]
fn local_supervisors_are_cut_from_all_nodes_or_from_each_other() {
    let (cut, _) = pairs(Fault::AgentCut, FIVE, &mut Dice::new(1)).expect("a partition");
    assert_eq!(cut.len(), 10);
    let (cut, _) = pairs(Fault::AgentsApart, FIVE, &mut Dice::new(1)).expect("a partition");
    assert_eq!(cut, [(5, 6), (6, 5)]);
}
