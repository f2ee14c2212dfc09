//! Who this node is, for nodes that do not know yet whether they may take part.

use std::collections::BTreeMap;
use std::sync::Arc;

use rekindle_proto::v1;
use rekindle_statemachine::ids::NodeId;
use tonic::{Request, Response, Status};

use crate::founding::{list, peers_from_wire, peers_to_wire};
use crate::participation::{ClusterIdentity, JoinError, Participation};
use crate::raft::consensus::Consensus;
use crate::storage::room::Space;

/// Of one message: the nodes of a cluster with their endpoints.
pub(crate) const MESSAGE_LIMIT: usize = 64 << 10;

/// Answers other nodes.
#[derive(Clone)]
pub(crate) struct IdentityService {
    pub(crate) cluster: String,
    pub(crate) peers: BTreeMap<NodeId, String>,
    pub(crate) participation: Arc<Participation>,
    pub(crate) consensus: Consensus,
}

#[tonic::async_trait]
impl v1::identity_server::Identity for IdentityService {
    async fn introduce(&self, _: Request<v1::IntroduceRequest>) -> Result<Response<v1::Introduction>, Status> {
        Ok(Response::new(self.introduction().await?))
    }

    async fn found(&self, request: Request<v1::FoundRequest>) -> Result<Response<v1::Introduction>, Status> {
        let v1::FoundRequest { cluster, identity, peers } = request.into_inner();
        let identity = ClusterIdentity::from_wire(&identity)
            .ok_or_else(|| Status::invalid_argument("an identity has 16 bytes"))?;
        if cluster != self.cluster || peers_from_wire(peers) != self.peers {
            return Err(Status::failed_precondition(format!(
                "it was started for cluster `{}` with --peers {}",
                self.cluster,
                list(&self.peers)
            )));
        }
        self.participation.join(identity).await.map_err(|error| match error {
            JoinError::Elsewhere(_) | JoinError::Unnamed => Status::failed_precondition(error.to_string()),
            JoinError::Disk(error) => Status::unavailable(error.to_string()),
        })?;
        Ok(Response::new(self.introduction().await?))
    }
}

impl IdentityService {
    async fn introduction(&self) -> Result<v1::Introduction, Status> {
        // Looked at before the identity: that comes first, so no log is reported without it.
        let history = self.consensus.has_history();
        let identity = self.participation.part().identity();
        let logged = self.consensus.members().await?;
        let peers = if logged.is_empty() { &self.peers } else { &logged };
        Ok(v1::Introduction {
            cluster: self.cluster.clone(),
            node: self.consensus.id().0,
            identity: identity.map(ClusterIdentity::to_wire).unwrap_or_default(),
            history,
            peers: peers_to_wire(peers),
            takes_work: *self.consensus.space().borrow() == Space::Enough,
        })
    }
}
