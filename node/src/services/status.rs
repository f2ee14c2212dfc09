//! `GetStatus`.

use std::time::Duration;

use rekindle_proto::convert::view;
use rekindle_proto::v1;
use rekindle_proto::v1::NodeRole;
use rekindle_statemachine::ids::{AgentId, NodeId};

use super::cluster::ClusterService;
use crate::raft::consensus::{Leadership, Member, Progress};

/// A node that the leader has not heard from for this long is not there, whatever the heartbeat.
const UNHEARD: Duration = Duration::from_secs(1);

/// What the node that answers believes of a member.
fn role(member: &Member, own: NodeId, leader: Option<NodeId>) -> &'static str {
    let unheard = member.heard.is_some_and(|heard| heard > UNHEARD);
    match leader {
        Some(leader) if leader == member.id => "leader",
        _ if !member.voter => "learner",
        Some(_) if unheard && member.id != own => "unreachable",
        Some(_) => "follower",
        None if member.id == own => "candidate",
        None => "unknown",
    }
}

pub(super) fn status(service: &ClusterService, digest: bool) -> v1::Status {
    let ClusterService { cluster, started, consensus, replica, .. } = service;
    let Progress { term, leader, last_log, snapshot, members } = consensus.progress();
    let leadership = consensus.leadership().borrow().clone();
    let own = consensus.id();
    let leads = matches!(leadership, Leadership::Leading { .. });
    let leader = if leads { Some(own) } else { leader.filter(|leader| *leader != own) };
    let own_role = match leader {
        Some(leader) if leader == own => NodeRole::Leader,
        Some(_) => NodeRole::Follower,
        None if members.is_empty() => NodeRole::Empty,
        None => NodeRole::Candidate,
    };
    let node = |member: &Member| v1::Node {
        id: member.id.0,
        endpoint: member.endpoint.clone(),
        role: role(member, own, leader).to_owned(),
        matched_index: member.matched,
        heard_ms_ago: member.heard.filter(|_| member.id != own).map(millis),
    };
    let (applied_index, view, agents) = replica.look(|state, applied| {
        let view = digest.then(|| state.view());
        let roles = |agent: &AgentId| {
            let live = state.sessions().filter(|session| !session.has_ended());
            live.flat_map(|session| &session.roles).filter(|role| role.agent.as_ref() == Some(agent)).count()
        };
        let agents = state.agents().map(|agent| view::agent(agent, roles(&agent.id))).collect();
        (applied, view, agents)
    });
    // Without holding up what is applied meanwhile.
    let digest = view.map_or_else(String::new, |view| hex(&view.digest()));
    v1::Status {
        node_id: own.0,
        leader_id: leader.map_or(0, |leader| leader.0),
        term,
        last_log_index: last_log,
        applied_index,
        snapshot_index: snapshot,
        nodes: members.iter().map(node).collect(),
        agents,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        digest,
        cluster: cluster.clone(),
        role: own_role.into(),
        up_ms: millis(started.elapsed()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
