//! What a leader does whose disk is nearly full: it lets another node lead that has room.
//!
//! Without such a node it goes on leading: it serves reads, and refuses every change with the reason.

use std::sync::Arc;
use std::time::Duration;

use rekindle_statemachine::ids::NodeId;
use tokio::time::sleep;

use crate::config::NodeConfig;
use crate::connector::Connector;
use crate::founding::Peers;
use crate::raft::consensus::Consensus;
use crate::storage::room::Space;

/// From one try to the next: an election is over by then.
const AGAIN: Duration = Duration::from_secs(2);

/// Runs for as long as the node does.
pub(crate) async fn hand_over_when_full(config: NodeConfig, connector: Arc<dyn Connector>, consensus: Consensus) {
    let peers = Peers::new(&config, connector.as_ref());
    let mut space = consensus.space();
    while space.wait_for(|space| *space != Space::Enough).await.is_ok() {
        if consensus.leading().is_ok()
            && let Some(to) = successor(&config, &peers, &consensus).await
        {
            tracing::warn!(id = %config.id, %to, "the disk is nearly full: another node is asked to lead");
            if consensus.hand_over(to).await.is_err() {
                return;
            }
        }
        sleep(AGAIN).await;
    }
}

/// The voter with room that has most of the log.
async fn successor(config: &NodeConfig, peers: &Peers, consensus: &Consensus) -> Option<NodeId> {
    let said = peers.ask(config).await;
    let fit = |id: &NodeId| {
        let said = said.get(id).and_then(Option::as_ref);
        said.is_some_and(|said| said.node == *id && said.cluster == config.cluster && said.takes_work)
    };
    let members = consensus.progress().members;
    let voters = members.into_iter().filter(|member| member.voter && fit(&member.id));
    voters.max_by_key(|member| member.matched).map(|member| member.id)
}
