//! Whole sessions on two agents, without I/O: random schedules, connections that break, workers that crash at any time,
//! recoveries ordered along the recovery line, orders that come late and twice.
//!
//! What is checked: every session runs to its end, and every role has received exactly what its peers have sent, in
//! order, as their standing histories have it, whatever was sent and undone meanwhile.

mod cluster;
mod network;
mod programs;
mod world;

use proptest::prelude::*;
use rekindle_protocol::recovery::policy::{Mode, Retention};

use programs::PROTOCOLS;
use world::{World, WorldSetup};

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Restart), Just(Mode::Checkpoint), Just(Mode::Stateless), Just(Mode::Replay)]
}

fn world() -> impl Strategy<Value = WorldSetup> {
    (
        0..PROTOCOLS.len(),
        prop::collection::vec(mode(), 3),
        prop_oneof![Just(Retention::Volatile), Just(Retention::Retained)],
        prop::collection::vec(any::<bool>(), 3),
        0..6u32,
        prop_oneof![Just(300usize), Just(1 << 20)],
        any::<u64>(),
    )
        .prop_map(|(protocol, modes, retention, east, crashes, channel_bytes, seed)| WorldSetup {
            protocol,
            modes,
            retention,
            east,
            crashes,
            channel_bytes,
            seed,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn sessions_end_and_every_role_has_received_what_was_sent(setup in world()) {
        let world = World::run(&setup);
        prop_assert!(world.ended(), "the session does not end: {}", world.stuck());
        for channel in world.channels() {
            prop_assert_eq!(channel.received, channel.sent, "from {} to {}", channel.from, channel.to);
        }
    }
}

/// The property above would hold for workers that are never undone; this says that they are.
#[test]
fn recoveries_really_happen() {
    let mut restarts = 0;
    for seed in 0..20 {
        let setup = WorldSetup {
            protocol: 1,
            modes: vec![Mode::Restart, Mode::Replay, Mode::Stateless],
            retention: Retention::Retained,
            east: vec![false, true, false],
            crashes: 3,
            channel_bytes: 1 << 20,
            seed,
        };
        restarts += World::run(&setup).restarts();
    }
    assert!(restarts >= 40, "only {restarts} restarts");
}
