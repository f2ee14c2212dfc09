//! How often the leader is heard from, apart from how long it waits to be answered.
//!
//! openraft has one setting for both, so an answer that takes longer than the pause between two heartbeats was given
//! up: with a round trip of more than that no leader could confirm that it leads, though every heartbeat arrived. Here
//! the library is told how long to wait ([`Timings::answer_timeout`](crate::config::Timings::answer_timeout)) and asked for heartbeats more often than that.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::consensus::Leadership;
use super::types::Raft;

/// Asks for a heartbeat every so often while this node leads. Ends with the consensus.
pub(super) async fn beat(raft: Raft, mut leadership: watch::Receiver<Leadership>, every: Duration) {
    loop {
        if leadership.wait_for(leads).await.is_err() {
            return;
        }
        let mut beats = interval_at(Instant::now() + every, every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while leads(&leadership.borrow()) {
            beats.tick().await;
            if raft.trigger().heartbeat().await.is_err() {
                return;
            }
        }
    }
}

fn leads(now: &Leadership) -> bool {
    matches!(now, Leadership::Leading { .. })
}
