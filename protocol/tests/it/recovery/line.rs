//! The recovery line against exhaustive search.

use std::cell::Cell;

use rekindle_protocol::image::Image;
use rekindle_protocol::recovery::line::{Lost, RecoveryLine, RoleRun, Run, recovery_line};
use rekindle_protocol::recovery::plan::{PlanInput, plan};
use rekindle_protocol::recovery::policy::{FailureKind, Mode, Retention};

use serde_json::{Map, Value, json};

use super::oracle::{Case, Player};
use super::random::{Rng, Shape, protocol};
use super::world::{Done, World};

const CASES: u64 = 20_000;
/// Cuts that the exhaustive search has to look at, at most.
const CUTS: usize = 5_000;

const MODES: [Mode; 4] = [Mode::Restart, Mode::Checkpoint, Mode::Stateless, Mode::Replay];
const RETENTIONS: [Retention; 3] = [Retention::Volatile, Retention::Retained, Retention::Durable];
const KINDS: [FailureKind; 3] = [FailureKind::Worker, FailureKind::Supervisor, FailureKind::Host];

/// Runs `check` on every seed, or only on that of `REKINDLE_SEED`.
pub(crate) fn for_seeds(cases: u64, check: impl Fn(u64)) {
    if let Ok(seed) = std::env::var("REKINDLE_SEED") {
        return check(seed.parse().expect("REKINDLE_SEED is a number"));
    }
    for seed in 0..cases {
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(seed)));
        if let Err(panic) = failed {
            eprintln!("failed with REKINDLE_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// A random player at the end of what it did.
fn player(rng: &mut Rng, world: &World<'_>, role: usize) -> Player {
    let done = world.done[role].clone();
    let density = rng.below(60);
    let checkpoints = (0..=done.len()).filter(|_| rng.chance(density)).collect();
    let none = vec![0; world.done.len()];
    Player {
        done,
        mode: if rng.chance(10) { Mode::Restart } else { *rng.pick(&MODES[1..]) },
        checkpoints,
        failed: None,
        lost_sent: none.clone(),
        lost_received: none,
    }
}

fn random_case(rng: &mut Rng, image: &Image) -> Case {
    let mut world = World::new(image);
    let steps = rng.below(40);
    world.run(rng, steps, |world| world.done.iter().map(|done| done.len() + 1).product::<usize>() < CUTS);
    let roles = image.roles.len();
    let mut case =
        Case { retention: *rng.pick(&RETENTIONS), players: (0..roles).map(|role| player(rng, &world, role)).collect() };
    for _ in 0..=rng.below(3) {
        let role = rng.below(roles);
        case.players[role].failed = Some(*rng.pick(&KINDS));
    }
    case
}

/// What only a recovery after a recovery brings: lost messages, and positions that no surviving record proves.
fn disturb(rng: &mut Rng, case: &mut Case) {
    let roles = case.players.len();
    for role in 0..roles {
        for peer in 0..roles {
            let (sent, received) =
                (case.sends(role, peer, case.current(role)), case.receives(peer, role, case.current(role)));
            case.players[role].lost_sent[peer] = rng.below(sent + 1);
            case.players[role].lost_received[peer] = rng.below(received + 1);
        }
        let player = &mut case.players[role];
        if player.failed.is_some_and(|kind| kind != FailureKind::Worker) {
            let proven = rng.below(player.done.len() + 1);
            player.done.truncate(proven);
            player.checkpoints.retain(|&checkpoint| checkpoint <= proven);
        }
    }
}

pub(crate) fn run_of<'a>(image: &'a Image, case: &Case) -> Run<'a> {
    let wide = |counts: &[usize]| counts.iter().map(|&count| count as u64).collect();
    let role_run = |player: &Player| RoleRun {
        history: rekindle_protocol::history::History { steps: player.done.iter().map(|event| event.edge).collect() },
        mode: player.mode,
        checkpoints: player.checkpoints.iter().map(|&checkpoint| checkpoint as u64).collect(),
        failed: player.failed,
        lost: Lost { sent: wide(&player.lost_sent), received: wide(&player.lost_received) },
    };
    Run { image, retention: case.retention, roles: case.players.iter().map(|player| Some(role_run(player))).collect() }
}

/// Everything that a line says, against the definition.
pub(crate) fn check_line(case: &Case, cut: &[usize], line: &RecoveryLine) {
    let found: Vec<Option<u64>> = line.roles.iter().map(|role| role.position).collect();
    let expected: Vec<Option<u64>> = cut.iter().map(|&position| Some(position as u64)).collect();
    assert_eq!(found, expected, "the line is the greatest valid cut");
    let transit: Vec<(usize, usize, usize)> = line
        .in_transit
        .iter()
        .map(|message| (message.from.index(), message.to.index(), usize::try_from(message.index).expect("small")))
        .collect();
    assert_eq!(transit, case.in_transit(cut), "what is in transit at the line");
    for (role, (player, at)) in case.players.iter().zip(&line.roles).enumerate() {
        assert_eq!(at.restarted, player.failed.is_some() || cut[role] < case.current(role), "who restarts");
        for peer in 0..case.players.len() {
            assert_eq!(at.sent[peer], case.sends(role, peer, cut[role]) as u64);
            assert_eq!(at.received[peer], case.receives(peer, role, cut[role]) as u64);
        }
        check_base(case, role, cut[role], at.restarted, usize::try_from(at.base).expect("small"));
        if let Some(next) = player.done.get(cut[role]) {
            assert_eq!(at.state, Some(next.before), "the state at the line");
        }
    }
}

fn check_base(case: &Case, role: usize, position: usize, restarted: bool, base: usize) {
    let player = &case.players[role];
    if !restarted || player.mode != Mode::Replay {
        return assert_eq!(base, position);
    }
    let bases = (0..=position).rev().filter(|b| *b == 0 || player.checkpoints.contains(b));
    let expected = bases.into_iter().find(|&b| case.replays(role, b, position));
    assert_eq!(Some(base), expected, "the greatest base that reaches the line");
}

/// The case as a user would write it for `protocol plan`.
fn as_json(rng: &mut Rng, image: &Image, case: &Case) -> String {
    let lower = |name: String| name.to_lowercase();
    let (mut roles, mut histories, mut failed) = (Map::new(), Map::new(), Vec::new());
    for (player, name) in case.players.iter().zip(&image.roles) {
        let event =
            |event: &Done| format!("{}{}{}", image.roles[event.peer], if event.sends { '!' } else { '?' }, event.label);
        let events: Vec<String> = player.done.iter().map(event).collect();
        histories.insert(name.clone(), json!(events));
        let recovery = lower(format!("{:?}", player.mode));
        roles.insert(name.clone(), json!({ "recovery": recovery, "checkpoints": player.checkpoints }));
        failed.extend(player.failed.map(|kind| json!({ "role": name, "kind": lower(format!("{kind:?}")) })));
    }
    rng.shuffle(&mut failed);
    let retention = lower(format!("{:?}", case.retention));
    json!({ "protocol": "random.scr", "name": image.name, "retention": retention,
        "roles": roles, "histories": histories, "failed": failed })
    .to_string()
}

/// The same question through `protocol plan`, text in, text out.
fn check_plan(image: &Image, case: &Case, cut: &[usize], input: &str) {
    let input = PlanInput::from_json(input).expect("well-formed input");
    let text = plan(image, &input).expect("a run of the protocol").to_json();
    assert!(!text.contains('\n'), "one line");
    let output: Value = serde_json::from_str(&text).expect("JSON");
    let names = |wanted: bool| -> Vec<&String> {
        let restarts = |role: &usize| case.players[*role].failed.is_some() || cut[*role] < case.current(*role);
        (0..cut.len()).filter(|role| restarts(role) == wanted).map(|role| &image.roles[role]).collect()
    };
    let line: Map<String, Value> = image.roles.iter().cloned().zip(cut.iter().map(|&k| json!(k))).collect();
    let messages: Vec<Value> = case
        .in_transit(cut)
        .into_iter()
        .map(|(p, q, i)| {
            let label = case.players[p].done.iter().filter(|event| event.sends && event.peer == q).nth(i - 1);
            let label = &label.expect("sent").label;
            json!({ "from": image.roles[p], "to": image.roles[q], "index": i, "label": label })
        })
        .collect();
    assert_eq!(output["line"], Value::Object(line));
    assert_eq!(output["restarted"], json!(names(true)));
    assert_eq!(output["untouched"], json!(names(false)));
    assert_eq!(output["in_transit"], Value::Array(messages));
    for ((reason, name), k) in output["reasons"].as_array().expect("a list").iter().zip(&image.roles).zip(cut) {
        assert_eq!((&reason["role"], &reason["to"]), (&json!(name), &json!(k)));
        assert!(reason["because"].as_str().is_some_and(|because| !because.is_empty()));
    }
    assert_eq!(output["reasons"].as_array().map(Vec::len), Some(cut.len()));
}

#[test]
fn line_is_the_greatest_of_all_valid_cuts() {
    // How many cases a failure reached beyond those that failed: without such cases the test would prove little.
    let spread = Cell::new(0);
    let everybody = Cell::new(0);
    for_seeds(CASES, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::random(&mut rng);
        let image = protocol(&mut rng, shape);
        let mut case = random_case(&mut rng, &image);
        let disturbed = rng.chance(25);
        if disturbed {
            disturb(&mut rng, &mut case);
        }
        let greatest = case.greatest();
        let line = recovery_line(&run_of(&image, &case)).expect("a run of the protocol");
        check_line(&case, &greatest, &line);
        if !disturbed {
            check_plan(&image, &case, &greatest, &as_json(&mut rng, &image, &case));
        }
        let moved = |role: usize| case.players[role].failed.is_none() && greatest[role] < case.current(role);
        let moved = (0..greatest.len()).filter(|&role| moved(role)).count();
        let alone = line.roles.iter().filter(|role| !role.restarted).count();
        spread.set(spread.get() + u64::from(moved > 0 && alone > 0));
        everybody.set(everybody.get() + u64::from(alone == 0));
    });
    if std::env::var("REKINDLE_SEED").is_err() {
        println!("{CASES} cases; {} spread to some roles, {} to all", spread.get(), everybody.get());
        assert!(spread.get() > CASES / 10, "too few interesting cases");
    }
}
