//! What each format looks like, in recorded bytes: a change that would make a folder unreadable, or two builds
//! misunderstand each other, is seen here first.
//!
//! `testdata/formats/NAME.VERSION.hex` was written by the release that brought the version. A new version gets a new
//! file beside the old one, and the decoder of the old one stays; run `make bless` to record it.

use std::fmt::{Debug, Write};
use std::path::PathBuf;

use bytes::Bytes;
use openraft::alias::EntryPayloadOf;
use openraft::entry::RaftEntry;
use openraft::raft::VoteRequest;
use openraft::testing::{blank_ent, log_id, membership_ent};
use rekindle_proto::payload::Format;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::reception::Header;
use super::types::{EntryBytes, LogEntry, Membership, SnapshotMeta, TypeConfig, Vote};
use super::{MESSAGE, SNAPSHOT_HEADER, log_store, snapshots};

fn hex(bytes: &[u8]) -> String {
    let mut text = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    text.push('\n');
    text
}

fn recorded(path: &PathBuf) -> Vec<u8> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits = text.trim().as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("two hex digits"))
        .collect()
}

/// The recorded bytes are what this build writes, and it reads them back as the same value.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, format: Format, value: &T) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/formats");
    let path = folder.join(format!("{name}.{}.hex", format.version()));
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, hex(&format.encode(value))).expect("the folder is writable");
    }
    let bytes = recorded(&path);
    assert_eq!(format.decode::<T>(&bytes).as_ref(), Ok(value), "{name}: the recorded bytes are read as another value");
    assert_eq!(hex(&format.encode(value)), hex(&bytes), "{name}: other bytes are written; does it need a new version?");
}

fn normal(index: u64) -> LogEntry {
    LogEntry::new(
        log_id::<TypeConfig>(3, 2, index),
        EntryPayloadOf::<TypeConfig>::Normal(EntryBytes(Bytes::from_static(b"\x01command"))),
    )
}

#[test]
fn the_log_on_disk() {
    check("log_entry_blank", log_store::ENTRY, &blank_ent::<TypeConfig>(1, 1, 0));
    check("log_entry_command", log_store::ENTRY, &normal(300));
    let members = vec![[1, 2, 3].into()];
    check("log_entry_membership", log_store::ENTRY, &membership_ent::<TypeConfig>(1, 1, 1, members));
    check("log_vote", log_store::MARK, &Vote::new(7, 2));
    check("log_vote_committed", log_store::MARK, &Vote::new_committed(7, 2));
    check("log_mark", log_store::MARK, &log_id::<TypeConfig>(7, 2, 70_000));
}

fn meta() -> SnapshotMeta {
    SnapshotMeta {
        last_log_id: Some(log_id::<TypeConfig>(5, 3, 900)),
        last_membership: Membership::new(Some(log_id::<TypeConfig>(1, 1, 1)), openraft::Membership::default()),
    }
}

#[test]
fn the_snapshot_on_disk() {
    let description = snapshots::Description { generation: 4, bytes: 1 << 20, meta: meta() };
    check("snapshot_description", snapshots::DESCRIPTION, &description);
}

#[test]
fn messages_between_nodes() {
    let request = VoteRequest::<TypeConfig>::new(Vote::new(7, 2), Some(log_id::<TypeConfig>(6, 1, 42)));
    check("vote_request", MESSAGE, &request);
    let header = Header { vote: Vote::new_committed(5, 3), meta: meta(), bytes: 5, checksum: [7; 32] };
    check("snapshot_header", SNAPSHOT_HEADER, &header);
}
