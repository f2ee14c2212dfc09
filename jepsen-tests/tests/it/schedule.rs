//! The same seed, the same schedule.

use std::time::Duration;

use rekindle_jepsen::faults::{Fault, parse};
use rekindle_jepsen::schedule::{CALM, plan, read, text};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_seed_decides_the_schedule() {
    assert_eq!(plan(7, MINUTE, &Fault::ALL), plan(7, MINUTE, &Fault::ALL));
    assert_ne!(plan(7, MINUTE, &Fault::ALL), plan(8, MINUTE, &Fault::ALL));
}

#[test]
fn a_schedule_is_read_as_it_is_written() {
    let planned = plan(3, MINUTE, &Fault::ALL);
    assert_eq!(read(&format!("# a note\n\n{}", text(&planned))), Ok(planned));
    assert!(read("1 2 halves").is_err());
    assert!(read("1 2 quarters 4").is_err());
}

#[test]
fn faults_come_one_at_a_time_and_fit_in() {
    for seed in 0..100 {
        let planned = plan(seed, MINUTE, &Fault::ALL);
        assert!(planned[0].at >= CALM);
        for pair in planned.windows(2) {
            assert!(pair[0].at + pair[0].lasts < pair[1].at, "{pair:?}");
        }
        assert!(planned.iter().all(|fault| fault.at + fault.lasts <= MINUTE));
    }
}

#[test]
fn every_fault_has_its_turn() {
    let planned = plan(1, 10 * MINUTE, &Fault::ALL);
    for fault in Fault::ALL {
        assert!(planned.iter().any(|planned| planned.fault == fault), "{fault}");
    }
}

#[test]
fn faults_are_known_by_name() {
    assert_eq!(parse("kill-leader, halves"), Ok(vec![Fault::KillLeader, Fault::Halves]));
    assert_eq!(parse("all").map(|all| all.len()), Ok(Fault::ALL.len()));
    assert!(parse("earthquake").expect_err("no such fault").contains("majority-ring"));
}

#[test]
fn schedules_of_known_faults_can_be_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        let found = std::fs::read_to_string(&path).expect("readable");
        let planned = read(&found).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!planned.is_empty(), "{}", path.display());
        count += 1;
    }
    assert!(count > 0);
}
