//! What a node does while it leads: keeps the leases of agents.
//!
//! Orders need no work here: applying an entry hands them to the attached agents, and an agent that attaches gets all
//! that stand. So whatever a leader leaves undone when it dies, the next one does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use rekindle_proto::backoff::Backoff;
use rekindle_statemachine::agents::{Awaited, Owed};
use rekindle_statemachine::command::Command;
use rekindle_statemachine::ids::{Generation, RecoveryNumber, SessionId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::leases::{Holder, Leases};
use crate::raft::consensus::{Consensus, Leadership};
use crate::replica::Replica;

const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_millis(100);

/// The leader's work.
pub(crate) struct Leader {
    pub(crate) consensus: Consensus,
    pub(crate) replica: Arc<Replica>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) position_timeout: Duration,
    pub(crate) restore_timeout: Duration,
}

/// What an agent owes to a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Debt {
    holder: Holder,
    session: SessionId,
    generation: Generation,
    recovery: RecoveryNumber,
    what: Owed,
    /// A new order is a new debt.
    revision: u64,
}

impl Leader {
    /// Runs for as long as the node does.
    pub(crate) async fn run(self) {
        let mut leadership = self.consensus.leadership();
        loop {
            let now = leadership.borrow_and_update().clone();
            match now {
                Leadership::Leading { term } => self.lead(term, &mut leadership).await,
                Leadership::Following(_) | Leadership::Unknown => {
                    if leadership.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Leads for one term.
    async fn lead(&self, term: u64, leadership: &mut watch::Receiver<Leadership>) {
        self.leases.clear();
        let deposed = leadership.wait_for(|now| *now != Leadership::Leading { term });
        tokio::select! {
            biased;
            () = self.keep_leases() => {}
            _ = deposed => {}
        }
        self.leases.clear();
    }

    async fn keep_leases(&self) {
        let look = (self.leases.ttl() / 10).clamp(SHORTEST_LOOK, LONGEST_LOOK);
        // Until everything that earlier leaders committed is applied, who holds a lease is not known.
        let mut backoff = Backoff::new(SHORTEST_LOOK, LONGEST_LOOK);
        while self.consensus.read_barrier().await.is_err() {
            sleep(backoff.next_wait()).await;
        }
        let mut debts = HashMap::new();
        loop {
            let (holders, owed) = self.look();
            let mut ended = self.leases.over(&holders, Instant::now());
            ended.extend(self.too_late(owed, &mut debts));
            ended.sort();
            ended.dedup();
            self.expire(ended).await;
            sleep(look).await;
        }
    }

    fn look(&self) -> (Vec<Holder>, Vec<Debt>) {
        let state = self.replica.state();
        let holders = state.agents().map(|agent| (agent.id.clone(), agent.instance)).collect();
        let debt = |owed: Awaited| Debt {
            holder: (owed.agent, owed.instance),
            session: owed.session,
            generation: owed.generation,
            recovery: owed.recovery,
            what: owed.what,
            revision: owed.revision,
        };
        (holders, state.awaited().into_iter().map(debt).collect())
    }

    /// Who owes positions or acknowledgements for too long, by this leader's own clock.
    fn too_late(&self, owed: Vec<Debt>, debts: &mut HashMap<Debt, Instant>) -> Vec<Holder> {
        let now = Instant::now();
        let still: HashSet<&Debt> = owed.iter().collect();
        debts.retain(|debt, _| still.contains(debt));
        let late = |debt: &Debt| {
            let since = *debts.entry(debt.clone()).or_insert(now);
            let limit = match debt.what {
                Owed::Positions => self.position_timeout,
                Owed::Acknowledgements => self.restore_timeout,
            };
            now.duration_since(since) > limit
        };
        let late: Vec<Debt> = owed.into_iter().filter(late).collect();
        for debt in &late {
            let (agent, session, recovery) = (&debt.holder.0, &debt.session, debt.recovery);
            tracing::warn!(%agent, %session, %recovery, owes = ?debt.what, "an agent answers too late");
        }
        late.into_iter().map(|debt| debt.holder).collect()
    }

    async fn expire(&self, ended: Vec<Holder>) {
        if ended.is_empty() {
            return;
        }
        tracing::info!(agents = ?ended, "leases are over");
        let commands = ended.into_iter().map(|(agent, instance)| (None, Command::ExpireAgent { agent, instance }));
        match self.consensus.submit(commands.collect()).await {
            // What fails is still over at the next look, here or at the next leader.
            Ok(answers) => answers.for_each(|_| std::future::ready(())).await,
            Err(error) => tracing::debug!(%error, "leases could not be ended"),
        }
    }
}
