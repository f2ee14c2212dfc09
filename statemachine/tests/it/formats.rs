//! What earlier releases wrote is read: recorded bytes of their logs and snapshots.
//!
//! `formats/v2` is what this release writes of the same; `REWRITE=1` records it, which is right only as long as no release has
//! written that version. `formats/v1` was recorded by version 0.1 while it ran scripts of `testdata/`: of each script its entries, each after its
//! length, and its snapshot after so many entries.

use std::fs;
use std::path::{Path, PathBuf};

use rekindle_statemachine::StateMachine;
use rekindle_statemachine::codec::{decode_entry, encode_entry};
use rekindle_statemachine::command::Entry;

use crate::trace;

fn folder(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(version)
}

/// Files of one kind with their names, the extension cut off.
fn recorded(extension: &str) -> Vec<(String, Vec<u8>)> {
    let paths = fs::read_dir(folder("v1")).expect("recorded bytes").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == extension)).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
    paths.iter().map(|path| (name(path), fs::read(path).expect("readable"))).collect()
}

fn entries(mut bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (entry, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        assert_eq!(entry[0], 1, "recorded by version 1");
        entries.push(decode_entry(entry).expect("a recorded entry"));
        bytes = rest;
    }
    entries
}

/// Everything that a reader sees.
fn shown(machine: &StateMachine) -> String {
    let mut text = String::new();
    for session in machine.sessions() {
        let image = machine.protocol(&session.protocol).expect("its protocol");
        text += &trace::session(session, image);
        text += &trace::events(session, image);
        session.recoveries().for_each(|recovery| text += &trace::recovery(recovery, image));
    }
    for agent in machine.agents() {
        for order in machine.outstanding(&agent.id) {
            text += &format!("{} {}\n", agent.id, trace::order(&order, None));
        }
    }
    text + &trace::awaited(&machine.awaited(), None)
}

#[test]
fn logs_and_snapshots_of_version_1_come_to_the_same_state() {
    let (logs, snapshots) = (recorded("entries"), recorded("snapshot"));
    assert!(logs.len() >= 3 && snapshots.len() >= 6, "the recorded bytes are missing");
    for (name, bytes) in snapshots {
        let (log, count) = name.split_once('.').expect("LOG.ENTRIES");
        let count: usize = count.parse().expect("a number");
        let (_, log) = logs.iter().find(|(name, _)| name == log).expect("the log of a snapshot");
        let entries = entries(log);
        let mut replayed = StateMachine::default();
        for (index, entry) in (2..).zip(&entries[..count]) {
            replayed.apply(index, entry);
        }
        let mut restored = StateMachine::restore(&bytes).expect("a recorded snapshot");
        assert_eq!(shown(&restored), shown(&replayed), "after {count} entries of {name}");
        assert_eq!(restored.digest(), replayed.digest(), "after {count} entries of {name}");
        for (index, entry) in (2 + count as u64..).zip(&entries[count..]) {
            let (one, other) = (restored.apply(index, entry), replayed.apply(index, entry));
            assert_eq!(one.reply, other.reply, "{entry:?}");
        }
        assert_eq!(restored.digest(), replayed.digest(), "at the end of {name}");
        let again = StateMachine::restore(&restored.snapshot()).expect("a snapshot of now");
        assert_eq!(again, restored);
    }
}

#[test]
fn what_is_read_is_written_anew_in_the_format_of_now() {
    for (name, log) in recorded("entries") {
        let entries = entries(&log);
        let mut machine = StateMachine::default();
        let mut bytes = Vec::new();
        for (index, entry) in (2..).zip(&entries) {
            machine.apply(index, entry);
            let encoded = encode_entry(entry);
            assert_eq!(decode_entry(&encoded).as_ref(), Ok(entry));
            bytes.extend(u32::try_from(encoded.len()).expect("a small entry").to_be_bytes());
            bytes.extend(encoded);
        }
        is_recorded(&format!("{name}.entries"), &bytes);
        is_recorded(&format!("{name}.snapshot"), &machine.snapshot());
    }
}

fn is_recorded(name: &str, bytes: &[u8]) {
    let path = folder("v2").join(name);
    if std::env::var_os("REWRITE").is_some() {
        fs::create_dir_all(folder("v2")).expect("a folder");
        fs::write(&path, bytes).expect("the folder is writable");
    }
    let recorded = fs::read(&path).expect("recorded bytes");
    assert!(recorded == bytes, "{name}: other bytes are written; does the format need a new version?");
}
