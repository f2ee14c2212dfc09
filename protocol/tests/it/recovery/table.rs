//! The recovery table against the recovery line.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::image::{Image, RoleId, StateId};
use rekindle_protocol::recovery::line::recovery_line;
use rekindle_protocol::recovery::policy::{FailureKind, Mode, Retention};
use rekindle_protocol::recovery::table::render::{named_table, table_text};
use rekindle_protocol::recovery::table::{
    Effort, MAX_ENTRIES, Policy, RecoveryTable, Row, recovery_table, recovery_table_within,
};
use serde_json::json;

use super::line::{for_seeds, run_of};
use super::oracle::{Case, Player};
use super::random::{Rng, Shape, protocol};
use super::sequence::sequence;
use super::world::World;

const MODES: [Mode; 4] = [Mode::Restart, Mode::Checkpoint, Mode::Stateless, Mode::Replay];
const RETENTIONS: [Retention; 3] = [Retention::Volatile, Retention::Retained, Retention::Durable];

/// The example of the talk on which the idea rests.
fn talk() -> Image {
    let messages = [("B", "E"), ("C", "E"), ("B", "A"), ("C", "A"), ("A", "D"), ("D", "B")];
    sequence("Talk", &["A", "B", "C", "D", "E"], &messages)
}

const TALK: &str = "\
module Talk;
global protocol Talk(role A, role B, role C, role D, role E) {
    l1() from B to E;
    l2() from C to E;
    l3() from B to A;
    l4() from C to A;
    l5() from A to D;
    l6() from D to B;
}
";

#[test]
fn the_example_of_the_talk_reads_the_same_from_scribble() {
    let mut read = |path: &str| (path == "Talk.scr").then(|| TALK.to_owned());
    let program = rekindle_protocol::load("Talk.scr", &[], &mut read).expect("readable");
    let image = program.compile(Some("Talk")).expect("valid");
    let text =
        |image: &Image| table_text(&recovery_table(image, &policy(image, Mode::Stateless, Retention::Volatile)), image);
    assert_eq!(text(&image), text(&talk()));
}

fn policy(image: &Image, mode: Mode, retention: Retention) -> Policy {
    Policy { retention, modes: vec![mode; image.roles.len()] }
}

#[test]
fn the_example_of_the_talk_reads_as_there() {
    let image = talk();
    let table = recovery_table(&image, &policy(&image, Mode::Stateless, Retention::Volatile));
    let expected = "\
failure of A at 3   →   A:3, B:3, C:4        (D, E untouched)
failure of A at 4   →   A:4, C:4        (B, D, E untouched)
failure of A at 5   →   A:5        (B, C, D, E untouched)
failure of A at end   →   A:end        (B, C, D, E untouched)
failure of B at 1   →   B:1        (A, C, D, E untouched)
failure of B at 3   →   B:3        (A, C, D, E untouched)
failure of B at 6   →   B:6, D:6        (A, C, E untouched)
failure of B at end   →   B:end        (A, C, D, E untouched)
failure of C at 2   →   C:2        (A, B, D, E untouched)
failure of C at 4   →   C:4        (A, B, D, E untouched)
failure of C at end   →   C:end        (A, B, D, E untouched)
failure of D at 5   →   A:5, D:5        (B, C, E untouched)
failure of D at 6   →   D:6        (A, B, C, E untouched)
failure of D at end   →   D:end        (A, B, C, E untouched)
failure of E at 1   →   A:3, B:1, C:2, D:5, E:1
failure of E at 2   →   A:4, B:6, C:2, D:5, E:2
failure of E at end   →   E:end        (A, B, C, D untouched)
";
    assert_eq!(table_text(&table, &image), expected);
}

#[test]
fn json_names_roles_and_states() {
    let image = sequence("Pair", &["A", "B", "C"], &[("A", "B")]);
    let table = recovery_table(&image, &policy(&image, Mode::Restart, Retention::Retained));
    let named = serde_json::to_string(&named_table(&table, &image)).expect("names");
    assert!(named.starts_with(
        r#"{"protocol":"Pair","rows":[{"role":"A","state":"1","resumes":{"A":["1"]},"untouched":["B","C"]},"#
    ));
    let named: serde_json::Value = serde_json::from_str(&named).expect("JSON");
    assert_eq!(
        named["rows"][1],
        json!({ "role": "A", "state": "end", "resumes": { "A": ["1"], "B": ["1"] }, "untouched": ["C"] })
    );
}

#[test]
fn kept_messages_leave_a_failed_role_alone() {
    let image = talk();
    for (mode, retention) in [
        (Mode::Stateless, Retention::Retained),
        (Mode::Stateless, Retention::Durable),
        (Mode::Replay, Retention::Retained),
        (Mode::Replay, Retention::Durable),
    ] {
        let table = recovery_table(&image, &policy(&image, mode, retention));
        for (role, rows) in image.role_ids().zip(&table.rows) {
            for (state, row) in (0u32..).zip(rows) {
                assert_eq!(row.named().collect::<Vec<_>>(), [role]);
                assert_eq!(row.roles[role.index()], BTreeSet::from([StateId(state)]));
            }
        }
    }
}

fn random_policy(rng: &mut Rng, image: &Image) -> Policy {
    let uniform = rng.chance(40).then(|| *rng.pick(&MODES));
    let modes = image.roles.iter().map(|_| uniform.unwrap_or_else(|| *rng.pick(&MODES))).collect();
    Policy { retention: *rng.pick(&RETENTIONS), modes }
}

/// The run at some moment, nobody failed yet.
fn case_of(world: &World<'_>, policy: &Policy, checkpoints: &[BTreeSet<usize>]) -> Case {
    let none = vec![0; world.done.len()];
    let player = |role: usize| Player {
        done: world.done[role].clone(),
        mode: policy.modes[role],
        checkpoints: checkpoints[role].clone(),
        failed: None,
        lost_sent: none.clone(),
        lost_received: none.clone(),
    };
    Case { retention: policy.retention, players: (0..world.done.len()).map(player).collect() }
}

/// Where the line puts each role that it restarts.
fn resumes(image: &Image, case: &Case) -> BTreeMap<usize, StateId> {
    let line = recovery_line(&run_of(image, case)).expect("a run of the protocol");
    let restarted = line.roles.iter().enumerate().filter(|(_, role)| role.restarted);
    restarted.map(|(role, at)| (role, at.state.expect("asked"))).collect()
}

/// The union of the rows for these roles in their present states, as the run time unites them.
fn united(table: &RecoveryTable, world: &World<'_>, failed: &BTreeSet<usize>) -> Vec<BTreeSet<StateId>> {
    let mut all = vec![BTreeSet::new(); world.done.len()];
    for &role in failed {
        let id = RoleId(u16::try_from(role).expect("few roles"));
        let row = table.row(id, world.states[role]).expect("every state has a row");
        assert!(row.named().any(|named| named == id), "the failed role is named");
        for (all, states) in all.iter_mut().zip(&row.roles) {
            all.extend(states);
        }
    }
    all
}

#[test]
fn no_line_leaves_its_row() {
    for_seeds(4_000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::random(&mut rng);
        let image = protocol(&mut rng, shape);
        let policy = random_policy(&mut rng, &image);
        let effort = if rng.chance(70) {
            Effort { configurations: 3_000, visits: 30_000 }
        } else {
            Effort { configurations: rng.below(60), visits: rng.below(600) }
        };
        let table = recovery_table_within(&image, &policy, effort);
        for _ in 0..20 {
            let mut world = World::new(&image);
            let steps = rng.below(60);
            world.run(&mut rng, steps, |_| true);
            let density = rng.below(100);
            let saved = |rng: &mut Rng, end: usize| (0..=end).filter(|_| rng.chance(density)).collect();
            let checkpoints: Vec<BTreeSet<usize>> = world.done.iter().map(|done| saved(&mut rng, done.len())).collect();
            let mut case = case_of(&world, &policy, &checkpoints);
            let failed: BTreeSet<usize> = (0..=rng.below(2)).map(|_| rng.below(image.roles.len())).collect();
            for &role in &failed {
                case.players[role].failed = Some(FailureKind::Worker);
            }
            let row = united(&table, &world, &failed);
            for (role, state) in resumes(&image, &case) {
                assert!(row[role].contains(&state), "role {role} resumes in {state:?}, the row says {:?}", row[role]);
            }
            check_asking_fewer(&image, &case, &row);
        }
    });
}

/// Asking only the roles that the row names gives the same line.
fn check_asking_fewer(image: &Image, case: &Case, row: &[BTreeSet<StateId>]) {
    let all = recovery_line(&run_of(image, case)).expect("a run of the protocol");
    let mut run = run_of(image, case);
    for (role, states) in run.roles.iter_mut().zip(row) {
        if states.is_empty() {
            *role = None;
        }
    }
    let fewer = recovery_line(&run).expect("a run of the protocol");
    for (asked, (fewer, all)) in run.roles.iter().zip(fewer.roles.iter().zip(&all.roles)) {
        assert_eq!(fewer.restarted, all.restarted);
        if asked.is_some() {
            assert_eq!(
                (fewer.position, fewer.state, fewer.base, &fewer.sent, &fewer.received, &fewer.lost),
                (all.position, all.state, all.base, &all.sent, &all.received, &all.lost)
            );
        }
    }
}

#[test]
fn several_failures_of_workers_meet_at_the_minimum_of_their_lines() {
    for_seeds(4_000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::random(&mut rng);
        let image = protocol(&mut rng, shape);
        let policy = random_policy(&mut rng, &image);
        let mut world = World::new(&image);
        let steps = rng.below(40);
        world.run(&mut rng, steps, |_| true);
        let checkpoints: Vec<BTreeSet<usize>> =
            world.done.iter().map(|done| (0..=done.len()).filter(|_| rng.chance(30)).collect()).collect();
        let case = case_of(&world, &policy, &checkpoints);
        let line = |failed: &[usize]| -> Vec<Option<u64>> {
            let mut case = case.clone();
            for &role in failed {
                case.players[role].failed = Some(FailureKind::Worker);
            }
            let line = recovery_line(&run_of(&image, &case)).expect("a run of the protocol");
            line.roles.iter().map(|role| role.position).collect()
        };
        let (one, two) = (rng.below(image.roles.len()), rng.below(image.roles.len()));
        let least: Vec<Option<u64>> = line(&[one]).into_iter().zip(line(&[two])).map(|(a, b)| a.min(b)).collect();
        assert_eq!(line(&[one, two]), least);
    });
}

/// Every run of a protocol without loops, by what each role has done; `None` if there are too many.
fn all_runs(image: &Image) -> Option<Vec<World<'_>>> {
    let key = |world: &World<'_>| -> Vec<Vec<u16>> {
        world.done.iter().map(|done| done.iter().map(|event| event.edge).collect()).collect()
    };
    let mut found = vec![World::new(image)];
    let mut seen = BTreeSet::from([key(&found[0])]);
    let mut next = 0;
    while next < found.len() {
        for (role, edge) in found[next].enabled() {
            let mut after = found[next].clone();
            after.step(role, edge);
            if seen.insert(key(&after)) {
                found.push(after);
            }
        }
        if found.len() > 300 {
            return None;
        }
        next += 1;
    }
    Some(found)
}

/// Every set of checkpoints that matters for the line; `None` if there are too many.
fn all_checkpoints(world: &World<'_>, policy: &Policy) -> Option<Vec<Vec<BTreeSet<usize>>>> {
    let mut sets = vec![Vec::new()];
    for (done, mode) in world.done.iter().zip(&policy.modes) {
        let matters = matches!(mode, Mode::Checkpoint | Mode::Replay);
        let positions = if matters { done.len() } else { 0 };
        if sets.len() << positions > 256 {
            return None;
        }
        let subset = |bits: usize| (1..=positions).filter(|position| bits & (1 << (position - 1)) != 0).collect();
        sets = sets
            .into_iter()
            .flat_map(|set: Vec<BTreeSet<usize>>| {
                (0..1usize << positions).map(move |bits| set.iter().cloned().chain([subset(bits)]).collect())
            })
            .collect();
    }
    Some(sets)
}

/// For each role and state, what its failure there does in some run with some set of checkpoints.
fn exact(image: &Image, policy: &Policy) -> Option<Vec<Vec<Vec<BTreeSet<StateId>>>>> {
    let row = vec![BTreeSet::new(); image.roles.len()];
    let mut exact: Vec<Vec<Vec<BTreeSet<StateId>>>> =
        image.machines.iter().map(|machine| vec![row.clone(); machine.states.len()]).collect();
    for world in all_runs(image)? {
        for checkpoints in all_checkpoints(&world, policy)? {
            for failed in 0..image.roles.len() {
                let mut case = case_of(&world, policy, &checkpoints);
                case.players[failed].failed = Some(FailureKind::Worker);
                for (role, state) in resumes(image, &case) {
                    exact[failed][world.states[failed].index()][role].insert(state);
                }
            }
        }
    }
    Some(exact)
}

#[test]
fn rows_are_exact_on_protocols_small_enough_to_enumerate() {
    let (protocols, needed, named) = (Cell::new(0), Cell::new(0), Cell::new(0));
    for_seeds(600, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape { roles: 2 + rng.below(3), size: 1 + rng.below(5), loops: false };
        let image = protocol(&mut rng, shape);
        let policy = random_policy(&mut rng, &image);
        let Some(exact) = exact(&image, &policy) else { return };
        let table = recovery_table(&image, &policy);
        let rough = policy.retention == Retention::Volatile && policy.modes.contains(&Mode::Replay);
        for (exact, rows) in exact.iter().zip(&table.rows) {
            for (exact, row) in exact.iter().zip(rows) {
                if !rough {
                    assert_eq!(&row.roles, exact, "{policy:?}");
                }
                needed.set(needed.get() + exact.iter().map(BTreeSet::len).sum::<usize>());
                named.set(named.get() + row.roles.iter().map(BTreeSet::len).sum::<usize>());
            }
        }
        protocols.set(protocols.get() + 1);
    });
    if std::env::var("REKINDLE_SEED").is_err() {
        println!("{} protocols: {} states named, {} needed", protocols.get(), named.get(), needed.get());
        assert!(protocols.get() > 200, "too few protocols are small enough");
    }
}

#[test]
fn without_effort_the_rows_still_hold() {
    let image = talk();
    let policy = policy(&image, Mode::Stateless, Retention::Volatile);
    let rough = recovery_table_within(&image, &policy, Effort { configurations: 0, visits: 0 });
    let fine = recovery_table(&image, &policy);
    for (rough, fine) in rough.rows.iter().flatten().zip(fine.rows.iter().flatten()) {
        for (rough, fine) in rough.roles.iter().zip(&fine.roles) {
            assert!(fine.is_subset(rough));
        }
    }
    assert_ne!(rough, fine);
}

#[test]
fn conversations_apart_do_not_concern_each_other() {
    let image = sequence("Apart", &["A", "B", "C", "D"], &[("A", "B"), ("C", "D"), ("B", "A"), ("D", "C")]);
    for effort in [Effort::default(), Effort { configurations: 0, visits: 0 }] {
        let table = recovery_table_within(&image, &policy(&image, Mode::Restart, Retention::Volatile), effort);
        for (role, rows) in table.rows.iter().enumerate() {
            for named in rows.iter().flat_map(Row::named) {
                assert_eq!(named.index() / 2, role / 2);
            }
        }
    }
}

#[test]
fn a_table_with_too_many_entries_leaves_rows_out_and_says_so() {
    let messages: Vec<(&str, &str)> = [("A", "B"), ("B", "C"), ("C", "A")].into_iter().cycle().take(3_000).collect();
    let image = sequence("Long", &["A", "B", "C"], &messages);
    let policy = policy(&image, Mode::Stateless, Retention::Volatile);
    let table = recovery_table_within(&image, &policy, Effort { configurations: 0, visits: 0 });
    let entries = table.rows.iter().flatten().flat_map(|row| &row.roles).map(|states| states.len() + 1);
    assert!(entries.sum::<usize>() <= MAX_ENTRIES);
    let out = table.rows.iter().position(Vec::is_empty).expect("a role without rows");
    let line = format!(
        "failure of {}   →   any role in any state        (the protocol is too large to tell)\n",
        image.roles[out]
    );
    assert!(table_text(&table, &image).contains(&line));
    assert_eq!(table.row(RoleId(u16::try_from(out).expect("few roles")), StateId(0)), None);
}
