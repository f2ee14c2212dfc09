//! Every option of the consensus, each with its reason.
//!
//! Nothing is left to the library's defaults: one of them (`enable_leader_restore`) let replicas diverge, and a default
//! that a new release adds or changes is to be seen here, by whoever updates the library.
//!
//! Invariants
//! * a leader that was away is elected again, in another term, before it leads again;
//! * a leader that no majority answers is silent for longer than the others need to elect another one.

use std::fmt;
use std::time::Duration;

use openraft::{SnapshotPolicy, StepDownPolicy};

use crate::config::NodeConfig;

/// How many of the longest election timeouts a leader without a majority is silent, and then is heard from again.
///
/// The library asks for two: the lease of those who heard from it last runs out, and they may stand for election. Twice
/// that leaves room for a second try, since the first candidate may have the shorter log.
const QUIET_TIMEOUTS: u64 = 4;
/// Entries in one message to a follower; the log reader ends a message at a mebibyte as well.
const ENTRIES_PER_MESSAGE: u64 = 300;
/// Entries in one write of the log; the writer joins what several of them leave.
const ENTRIES_PER_WRITE: u64 = 4096;
/// Requests from this node's services that wait for the core: beyond that, who asks waits. Bounds memory, not load.
const REQUESTS: u64 = 65_536;
/// What the core's own tasks have to tell it: beyond that, they wait.
const NOTICES: u64 = 65_536;
/// Batches of committed entries that wait to be applied: beyond that, the core waits for the state machine.
const APPLIES: u64 = 1024;

/// The settings contradict each other.
#[derive(Debug)]
pub(super) struct SettingsError(String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the timings do not fit together: {}", self.0)
    }
}

pub(super) fn settings(config: &NodeConfig) -> Result<openraft::Config, SettingsError> {
    let timings = config.timings;
    if timings.heartbeat >= timings.election_min {
        let (heartbeat, election) = (millis(timings.heartbeat), millis(timings.election_min));
        return Err(SettingsError(format!("a heartbeat each {heartbeat} ms, and an election after {election} ms")));
    }
    let election_max = millis(timings.election_max);
    // One of the options is deprecated, and has to be named all the same.
    #[expect(deprecated)]
    let settings = openraft::Config {
        // Only for the library's log: calls name their cluster in their metadata.
        cluster_name: config.cluster.clone(),

        // Who leads. All three loops run by themselves: no test and no operator drives them by hand.
        enable_tick: true,
        enable_heartbeat: true,
        enable_elect: true,
        // The library takes it for the time that an answer may take, too. `beat` asks for heartbeats more often.
        heartbeat_interval: millis(timings.answer_timeout()),
        // A follower that has just acknowledged entries is sent a heartbeat too: it costs little beside them, and a
        // heartbeat that is left out comes late by another interval.
        heartbeat_min_interval: Some(0),
        election_timeout_min: millis(timings.election_min),
        // Is also the leader's lease: for so long after a majority answered, it takes requests and nobody is voted for.
        election_timeout_max: election_max,
        // A node that comes back with an old log, or that was cut off, does not depose a leader that a majority hears.
        enable_pre_vote: Some(true),
        // A leader that reaches followers, but no majority, keeps them from electing another one as long as they hear
        // from it (openraft #2080).
        quorum_loss_probe_interval: Some(QUIET_TIMEOUTS.saturating_mul(election_max)),
        // A restarted leader must not go on in its old term. What it appended and had not yet written is lost here but
        // may be committed by the others: it would give the same places of the same term to other entries.
        enable_leader_restore: Some(false),
        // A follower whose log went back has lost its disk. Its acknowledgements counted, so a majority may be none any
        // more: to take it up again silently would hide that.
        allow_log_reversion: Some(false),
        // For a change of members: the removed leader stays for this long so that the others hear that it is committed.
        removed_leader_step_down: StepDownPolicy::After(election_max),
        // Who is to take over is brought up to date at once, however long it was not reached.
        reset_backoff_on_transfer_leader: Some(true),

        // The log on its way to followers.
        max_payload_entries: ENTRIES_PER_MESSAGE,
        max_append_entries: Some(ENTRIES_PER_WRITE),
        // Sent with the next batch of the core, not with each append: larger messages, and the core is seldom behind.
        broadcast_submitted_on_append: Some(false),
        // Decides only whether a learner that is being added counts as caught up.
        replication_lag_threshold: config.compaction.snapshot_after,
        // Not used: `network::Peer` names its own waits.
        backoff: "20ms 40ms ..1s".to_owned(),

        // Requests. A request is never held back to wait for others: under load they meet in the queue anyway.
        api_channel_size: Some(REQUESTS),
        api_batch_capacity: ENTRIES_PER_WRITE,
        api_batch_linger_ms: 0,
        notification_channel_size: Some(NOTICES),
        state_machine_channel_size: Some(APPLIES),
        // Statistics of the library that are not compiled in.
        log_stage_capacity: None,

        // Snapshots and what they make superfluous.
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.compaction.snapshot_after),
        install_snapshot_timeout: millis(timings.snapshot_timeout),
        // Neither is used: `network::Peer` sends a snapshot as one stream, in chunks of its own, with one deadline.
        send_snapshot_timeout: 0,
        snapshot_max_chunk_size: 1 << 20,
        max_in_snapshot_log_to_keep: config.compaction.keep,
        purge_batch_size: config.compaction.purge_batch,
    };
    settings.validate().map_err(|error| SettingsError(error.to_string()))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rekindle_statemachine::ids::NodeId;

    use super::*;
    use crate::config::Timings;

    fn of(timings: Timings) -> Result<openraft::Config, SettingsError> {
        let peers = BTreeMap::from([(NodeId(1), "a:1".to_owned())]);
        settings(&NodeConfig { timings, ..NodeConfig::new(NodeId(1), "c", "/nonexistent", peers) })
    }

    #[test]
    fn what_safety_rests_on() {
        let settings = of(Timings::default()).expect("the defaults fit");
        assert_eq!(settings.enable_leader_restore, Some(false));
        assert_eq!(settings.allow_log_reversion, Some(false));
        assert_eq!(settings.enable_pre_vote, Some(true));
        assert_eq!(settings.quorum_loss_probe_interval, Some(4 * settings.election_timeout_max));
    }

    #[test]
    fn timings_that_do_not_fit_are_refused() {
        let fits = Timings::default();
        let rare = Timings { heartbeat: fits.election_min, ..fits };
        let same = Timings { election_max: fits.election_min, ..fits };
        for timings in [rare, same] {
            let error = of(timings).expect_err("no cluster could hold a leader");
            assert!(error.to_string().starts_with("the timings do not fit together"), "{error}");
        }
    }
}
