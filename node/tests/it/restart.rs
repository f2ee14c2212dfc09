//! A leader that is killed before its own disk has what the others acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rekindle_node::{NodeConfig, Timings};

use crate::cluster::{names, same_digest};
use crate::disks::{Disks, Log};
use crate::harness::{Cluster, ping};

/// Whatever an election timeout may be: no disk here is slow enough to be given up.
fn patient_disk(config: NodeConfig) -> NodeConfig {
    NodeConfig { timings: Timings { disk_timeout: Duration::from_mins(10), ..config.timings }, ..config }
}

#[tokio::test]
async fn a_leader_that_lost_its_last_writes_does_not_write_their_places_again() {
    let disks = Disks::default();
    let mounts = disks.clone();
    let mut cluster = Cluster::start_in(3, patient_disk, move |id, _| mounts.mount(id));
    let client = cluster.client();
    client.register_protocol(ping("Before")).await.expect("registered");
    let old = cluster.leader().await;
    disks.of(old).hold();
    client.register_protocol(ping("Acknowledged")).await.expect("registered by the other two");
    let others: Vec<u64> = (1..=3).filter(|id| *id != old).collect();
    // The leader last, so that nobody else leads in between.
    for id in others.iter().copied().chain([old]) {
        cluster.kill(id);
    }
    disks.of(old).lose();

    cluster.restart(old);
    cluster.restart(others[0]);
    let client = cluster.client();
    client.register_protocol(ping("After")).await.expect("registered by the old leader and another");
    cluster.restart(others[1]);
    assert_eq!(same_digest(&cluster).await.len(), 3);
    let all = ["Acknowledged", "After", "Before"].map(str::to_owned);
    assert_eq!(names(&client).await, BTreeSet::from(all), "what was acknowledged stands");
    no_term_has_two_logs(&disks.logs());
}

/// Entries of one term at one index are the same entry, on whatever node.
fn no_term_has_two_logs(logs: &BTreeMap<u64, Log>) {
    let mut known: BTreeMap<(u64, u64), &Vec<u8>> = BTreeMap::new();
    for log in logs.values() {
        for (index, entry) in log {
            let term = term(*index, entry);
            let first = known.entry((term, *index)).or_insert(entry);
            assert_eq!(*first, entry, "two entries with index {index} in term {term}");
        }
    }
}

/// An entry begins with a version, its term, its leader and its index.
fn term(index: u64, entry: &[u8]) -> u64 {
    let mut rest = &entry[1..];
    let (term, _leader, own) = (varint(&mut rest), varint(&mut rest), varint(&mut rest));
    assert_eq!(own, index, "the beginning of an entry is read as it is written");
    term
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}
