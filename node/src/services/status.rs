//! `GetStatus`.

use rekindle_proto::convert::view;
use rekindle_proto::v1;
use rekindle_statemachine::ids::AgentId;

use crate::raft::consensus::{Consensus, Leadership, Member, Progress};
use crate::replica::Replica;

pub(super) fn status(consensus: &Consensus, replica: &Replica, cluster: &str, digest: bool) -> v1::Status {
    let Progress { term, leader, last_log, snapshot, members } = consensus.progress();
    let leadership = consensus.leadership().borrow().clone();
    let leads = matches!(leadership, Leadership::Leading { .. });
    let leader = if leads { Some(consensus.id()) } else { leader.filter(|leader| *leader != consensus.id()) };
    let node = |member: &Member| v1::Node {
        id: member.id.0,
        endpoint: member.endpoint.clone(),
        role: if Some(member.id) == leader {
            "leader".to_owned()
        } else if !member.voter {
            "learner".to_owned()
        } else if member.id == consensus.id() && leader.is_none() {
            "candidate".to_owned()
        } else if leader.is_none() {
            "unknown".to_owned()
        } else {
            "follower".to_owned()
        },
        matched_index: member.matched,
    };
    let (applied_index, digest, agents) = replica.look(|state, applied| {
        let digest = if digest { hex(&state.digest()) } else { String::new() };
        let roles = |agent: &AgentId| {
            let live = state.sessions().filter(|session| !session.has_ended());
            live.flat_map(|session| &session.roles).filter(|role| role.agent.as_ref() == Some(agent)).count()
        };
        let agents = state.agents().map(|agent| view::agent(agent, roles(&agent.id))).collect();
        (applied, digest, agents)
    });
    v1::Status {
        node_id: consensus.id().0,
        leader_id: leader.map_or(0, |leader| leader.0),
        term,
        last_log_index: last_log,
        applied_index,
        snapshot_index: snapshot,
        nodes: members.iter().map(node).collect(),
        agents,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        digest,
        cluster: cluster.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
