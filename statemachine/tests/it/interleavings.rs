//! Any order, loss and repetition of orders and reports comes to the same end.

use proptest::prelude::*;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_statemachine::command::Outcome;
use rekindle_statemachine::ids::AgentId;
use rekindle_statemachine::session::Phase;

use crate::images::{TALK, image};
use crate::world::{Setting, Step, World};

/// Protocols that end: two senders to one, rounds of a ring, a conversation of five, a chain, choices in both directions,
/// bursts.
fn protocols() -> Vec<Image> {
    let rounds = |events: &str| [events; 4].join(" ");
    let line = |who: &str, events: &str| format!("{who}: {} ", rounds(events));
    vec![
        image("Join", &[line("A", "B?x C?y"), line("B", "A!x"), line("C", "A!y")].join("\n")),
        image("Ring", &[line("A", "B!1 C?3"), line("B", "A?1 C!2"), line("C", "B?2 A!3")].join("\n")),
        image("Talk", TALK),
        image("Chain", "A: B!1\nB: A?1 C!2\nC: B?2 D!3\nD: C?3"),
        image(
            "Shop",
            &[
                line("A", "B!ask B?offer|none B!take|leave") + "C!paid",
                line("B", "A?ask A!offer|none A?take|leave") + "C!bill",
                "C: A?paid B?bill".to_owned(),
            ]
            .join("\n"),
        ),
        image(
            "Burst",
            &[line("A", "B!1|2 B!3") + "C!4", line("B", "A?1|2 A?3") + "C!5", "C: A?4 B?5".to_owned()].join("\n"),
        ),
    ]
}

fn modes() -> impl Strategy<Value = Vec<Mode>> {
    let mode = prop_oneof![Just(Mode::Restart), Just(Mode::Checkpoint), Just(Mode::Stateless), Just(Mode::Replay)];
    prop::collection::vec(mode, 5)
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![any_setting(), forgetful_setting()]
}

fn any_setting() -> impl Strategy<Value = Setting> {
    let retention = prop_oneof![Just(Retention::Volatile), Just(Retention::Retained)];
    let restarts = prop_oneof![Just(1u32), Just(100)];
    let all = (0..protocols().len(), modes(), retention, 1..4usize, restarts, any::<bool>());
    all.prop_map(|(protocol, mut modes, retention, agents, max_restarts, pinned)| {
        let image = protocols().swap_remove(protocol);
        modes.truncate(image.roles.len());
        Setting { image, modes, retention, agents, max_restarts, pinned }
    })
}

/// Each role has its own supervisor, so what one loses with it the others may have to send again much later.
fn forgetful_setting() -> impl Strategy<Value = Setting> {
    (0..2usize, modes()).prop_map(|(protocol, mut modes)| {
        let image = protocols().swap_remove(protocol);
        modes.truncate(image.roles.len());
        let agents = image.roles.len();
        Setting { image, modes, retention: Retention::Retained, agents, max_restarts: 100, pinned: true }
    })
}

/// Takes steps by choice, with at most so many faults.
fn wander(world: &mut World, choices: &[u32], mut faults: usize) {
    for choice in choices {
        if matches!(world.phase(), Phase::Ended { .. }) {
            return;
        }
        let step = world.step(*choice, faults > 0);
        faults -= usize::from(matches!(step, Step::Crash(_) | Step::Kill(..)));
        world.take(&step);
    }
}

/// Runs the session up to a point where everything is quiet, by choice.
fn quiet(setting: &Setting, choices: &[u32]) -> World {
    let mut world = World::new(setting.clone());
    (0..4).for_each(|_| world.settle_once());
    let roles = u32::try_from(setting.image.roles.len()).expect("few roles");
    for choice in choices {
        let role = RoleId(u16::try_from(choice % roles).expect("few roles"));
        let step = match choice / roles % 4 {
            0 => Step::Save(role),
            1 => Step::Carry(role, 0),
            _ => Step::Work(role, 0),
        };
        world.take(&step);
    }
    world
}

/// What a supervisor took with it long ago may be needed again, and nobody has it: whoever sent it must send it again.
#[test]
fn lost_memory_is_remembered() {
    let modes = vec![Mode::Checkpoint, Mode::Stateless, Mode::Restart];
    let (image, retention) = (protocols().swap_remove(0), Retention::Retained);
    let mut world = World::new(Setting { image, modes, retention, agents: 3, max_restarts: 100, pinned: true });
    let settle = |world: &mut World| (0..8).for_each(|_| world.settle_once());
    let (a, b, c) = (RoleId(0), RoleId(1), RoleId(2));
    settle(&mut world);
    for role in [b, c] {
        world.take(&Step::Work(role, 0));
    }
    settle(&mut world);
    for _ in 0..2 {
        world.take(&Step::Work(a, 0));
    }
    world.take(&Step::Save(a));
    assert_eq!(world.cut(), [2, 1, 1]);
    world.take(&Step::Kill(AgentId("a0".to_owned()), true));
    settle(&mut world);
    assert_eq!(world.cut(), [2, 1, 1]);
    world.take(&Step::Crash(c));
    settle(&mut world);
    assert_eq!(world.cut(), [0, 0, 0]);
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 5_000, ..ProptestConfig::default() })]

    /// Crashes of workers, supervisors and leaders at any moment, over a network that loses, repeats and reorders: every
    /// resume finds a configuration that a run without failures could have reached, and the session comes to its end.
    #[test]
    fn whatever_happens_the_session_ends_well(
        setting in setting(),
        choices in prop::collection::vec(any::<u32>(), 0..400),
        faults in 0..12usize,
    ) {
        let mut world = World::new(setting);
        wander(&mut world, &choices, faults);
        world.finish();
        match world.phase() {
            Phase::Ended { outcome: Outcome::Completed, .. } => {}
            Phase::Ended { outcome: Outcome::Failed, reason, .. } => {
                let reason = reason.unwrap_or_default();
                prop_assert!(reason.contains("restart budget exhausted"), "{}", reason);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// The same failures of the same run come to the same cut, in whatever order and however often their reports, the
    /// orders and the answers arrive.
    #[test]
    fn any_interleaving_ends_in_the_same_cut(
        setting in setting(),
        past in prop::collection::vec(any::<u32>(), 0..60),
        failed in prop::collection::vec(0..5u16, 1..3),
        choices in prop::collection::vec(any::<u32>(), 0..80),
    ) {
        // Whether a failure that another one covers is counted depends on which comes first.
        let setting = Setting { max_restarts: 100, ..setting };
        let run = |choices: &[u32]| {
            let mut world = quiet(&setting, &past);
            for role in &failed {
                world.crash(RoleId(role % u16::try_from(setting.image.roles.len()).expect("few roles")));
            }
            for choice in choices {
                let step = world.step(*choice, false);
                if !matches!(step, Step::Work(..) | Step::Save(_)) {
                    world.take(&step);
                }
            }
            (0..20).for_each(|_| world.settle_once());
            assert!(matches!(world.phase(), Phase::Running | Phase::Ended { .. }), "{:?}", world.phase());
            world
        };
        prop_assert_eq!(run(&choices).cut(), run(&[]).cut());
    }

    /// Replaying the log gives the same bytes as a snapshot at any place and the tail after it.
    #[test]
    fn replay_equals_snapshot_and_tail(
        setting in setting(),
        choices in prop::collection::vec(any::<u32>(), 0..200),
        place in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(setting);
        wander(&mut world, &choices, 4);
        let log = &world.fixture.log;
        let (head, tail) = log.split_at(place.index(log.len()));
        let mut whole = rekindle_statemachine::StateMachine::default();
        let mut index = 1;
        for entry in head {
            index += 1;
            whole.apply(index, entry);
        }
        let mut resumed = rekindle_statemachine::StateMachine::restore(&whole.snapshot()).expect("a snapshot restores");
        for entry in tail {
            index += 1;
            prop_assert_eq!(whole.apply(index, entry), resumed.apply(index, entry));
        }
        prop_assert_eq!(whole.snapshot(), resumed.snapshot());
        prop_assert_eq!(whole.snapshot(), world.fixture.machine.snapshot());
    }
}
