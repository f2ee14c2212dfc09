//! Asks every node again and again what it says of itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rekindle_proto::client::Client;
use rekindle_proto::v1::Status;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::site::Member;
use crate::checkers::replicas::Observation;
use crate::history::nanos;

const EVERY: Duration = Duration::from_millis(200);
/// A digest takes the node some work: not every time.
const DIGEST_EVERY: u32 = 4;

/// What was observed.
#[derive(Clone, Debug)]
pub struct Watch {
    begin: Instant,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Observation>>>,
}

impl Watch {
    /// One that has seen nothing.
    pub fn new(begin: Instant) -> Self {
        Watch { begin, stop: Arc::default(), seen: Arc::default() }
    }

    /// Looks until it is stopped.
    pub async fn run(self, nodes: Vec<Arc<Member>>) -> Result<()> {
        let mut watchers = JoinSet::new();
        for node in nodes {
            watchers.spawn(self.clone().follow(node));
        }
        while let Some(ended) = watchers.join_next().await {
            ended.context("a watcher was lost")??;
        }
        Ok(())
    }

    async fn follow(self, node: Arc<Member>) -> Result<()> {
        let client = Client::connect([node.endpoint()])?;
        for round in 0_u32.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let run = node.process().run;
            let asked = client.statuses(round.is_multiple_of(DIGEST_EVERY)).await;
            // An answer that came while the node was started anew is nobody's.
            if node.process().run == run {
                for (_, status) in asked {
                    if let Ok(status) = status {
                        self.note(&status, run);
                    }
                }
            }
            sleep(EVERY).await;
        }
        Ok(())
    }

    fn note(&self, status: &Status, run: u32) {
        let observation = Observation {
            at: nanos(self.begin),
            node: status.node_id,
            run,
            term: status.term,
            leads: status.leader_id == status.node_id && status.node_id != 0,
            applied: status.applied_index,
            digest: status.digest.clone(),
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(observation);
    }

    /// Ends it.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Everything seen so far.
    pub fn seen(&self) -> Vec<Observation> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many nodes showed the digest of their latest index, and whether all indices are one.
    pub fn agreement(&self, nodes: usize) -> Option<u64> {
        let seen = self.seen();
        let mut indices = (1..=nodes as u64).map(|node| {
            let own = seen.iter().rev().filter(|seen| seen.node == node);
            own.filter(|seen| !seen.digest.is_empty()).map(|seen| seen.applied).next()
        });
        let first = indices.next()??;
        indices.all(|index| index == Some(first)).then_some(first)
    }
}
