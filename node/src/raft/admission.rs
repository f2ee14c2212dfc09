//! What must hold of a message of another node before anything of it is believed or stored.
//!
//! Invariants
//! * a node never stores what it could not start with again: terms and indices stay far from overflow, entries decode;
//! * nothing that is admitted contradicts what is committed here, or what the library asserts of its input.
//!
//! A message that is refused changes nothing, and is answered with the reason.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use openraft::EntryPayload;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use rekindle_statemachine::codec::{DecodeError, decode_entry};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tonic::Status;

use super::log_store::{LogStore, Standing};
use super::types::{LogEntry, LogId, Members, Raft, SnapshotMeta, TypeConfig, Vote};
use super::{ENTRY_LIMIT, INDEX_LIMIT, TERM_LIMIT};

/// A term so far ahead of the own one is not the work of elections: one every 100 ms would take 13 years. A node that
/// was away for long meets terms that are a little ahead, since nodes ask each other before they raise them.
const TERMS_AHEAD: u64 = 1 << 32;

/// How long a candidate may be ahead of the word of the leader that hands over to it.
const ANNOUNCEMENT: Duration = Duration::from_millis(50);

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("node {0} is no member of this cluster: check the peers of both nodes")]
    Stranger(u64),
    #[error("it claims to come from this node itself: check that no other node has its number")]
    Own,
    #[error("term {term} is out of reach: this node is at term {known}")]
    Term { term: u64, known: u64 },
    #[error("index {0} is out of reach")]
    Index(u64),
    #[error("a leader's vote is not for a candidate, nor a candidate's for a leader")]
    WrongVote,
    #[error("the log that it speaks of has entries of later terms than its own")]
    Future,
    #[error("entry {found} comes where entry {expected} belongs")]
    Gap { expected: u64, found: u64 },
    #[error("entry {0} is of an earlier term than the one before it")]
    Backwards(u64),
    #[error("entry {0} is another one than what is committed here at that index")]
    Contradiction(u64),
    #[error("entry {index} has {bytes} bytes, {ENTRY_LIMIT} are allowed")]
    Long { index: u64, bytes: usize },
    #[error("entry {index} cannot be read ({reason}): run the same release on every node")]
    Unreadable { index: u64, reason: DecodeError },
    #[error("the membership has a group without voters, or voters without an endpoint")]
    Membership,
    #[error("no leader has announced here that it hands its leadership to node {0}")]
    Unannounced(u64),
    #[error("only the leader that this node follows may hand its leadership over, and only to a member")]
    NotTheLeader,
    #[error("the snapshot is of nothing, or of less than its membership")]
    EmptySnapshot,
    #[error("this node cannot read its own log: {0}")]
    Unknown(io::Error),
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Status::failed_precondition(format!("refused: {refusal}"))
    }
}

/// Judges messages by what this node knows.
pub(super) struct Admission {
    own: u64,
    /// As configured: members before the first entry is there, and those that a node which was away has not heard of.
    peers: BTreeSet<u64>,
    log: LogStore,
    raft: Raft,
    /// How long an announced transfer of the leadership stands.
    transfer_lasts: Duration,
    announced: watch::Sender<Option<Announced>>,
}

/// A transfer of the leadership that its leader has told this node of.
struct Announced {
    to: u64,
    term: u64,
    until: Instant,
}

impl Admission {
    pub(super) fn new(own: u64, peers: BTreeSet<u64>, log: LogStore, raft: Raft, transfer_lasts: Duration) -> Self {
        Admission { own, peers, log, raft, transfer_lasts, announced: watch::Sender::new(None) }
    }

    /// A candidate's question, or one before it is a candidate.
    pub(super) fn vote(&self, request: &VoteRequest<TypeConfig>) -> Result<(), Refusal> {
        let standing = self.log.standing();
        self.sender(&request.vote, false, &standing)?;
        if let Some(last) = &request.last_log_id {
            check_log_id(last, &request.vote)?;
            // A candidate begins a term of its own, so no entry of that term is there yet.
            if last.leader_id.term >= request.vote.leader_id.term {
                return Err(Refusal::Future);
            }
        }
        Ok(())
    }

    /// Entries, or a heartbeat.
    pub(super) fn append(&self, request: &AppendEntriesRequest<TypeConfig>) -> Result<(), Refusal> {
        let standing = self.log.standing();
        self.sender(&request.vote, true, &standing)?;
        for known in [&request.prev_log_id, &request.leader_commit].into_iter().flatten() {
            check_log_id(known, &request.vote)?;
        }
        let mut before = request.prev_log_id;
        if let Some(previous) = &before {
            self.agrees(previous, &standing)?;
        }
        for entry in &request.entries {
            let found = entry.log_id.index;
            let expected = before.map_or(0, |before| before.index + 1);
            if found != expected {
                return Err(Refusal::Gap { expected, found });
            }
            if before.is_some_and(|before| before.leader_id > entry.log_id.leader_id) {
                return Err(Refusal::Backwards(found));
            }
            check_log_id(&entry.log_id, &request.vote)?;
            self.agrees(&entry.log_id, &standing)?;
            check_payload(entry)?;
            before = Some(entry.log_id);
        }
        Ok(())
    }

    /// A snapshot, by what is said before its data.
    pub(super) fn snapshot(&self, vote: &Vote, meta: &SnapshotMeta) -> Result<(), Refusal> {
        let standing = self.log.standing();
        self.sender(vote, true, &standing)?;
        let last = meta.last_log_id.as_ref().ok_or(Refusal::EmptySnapshot)?;
        check_log_id(last, vote)?;
        check_members(meta.last_membership.membership())?;
        if meta.last_membership.log_id().is_none_or(|of| of > *last) {
            return Err(Refusal::EmptySnapshot);
        }
        match standing.committed {
            Some(committed) if *last > committed && last.index <= committed.index => {
                Err(Refusal::Contradiction(last.index))
            }
            _ => self.agrees(last, &standing),
        }
    }

    /// A leader hands its leadership over.
    pub(super) fn transfer(&self, request: &TransferLeaderRequest<TypeConfig>) -> Result<(), Refusal> {
        let standing = self.log.standing();
        let (from, to) = (request.from_leader(), *request.to_node_id());
        self.sender(from, true, &standing)?;
        if let Some(last) = request.last_log_id() {
            check_log_id(last, from)?;
        }
        if standing.vote.as_ref() != Some(from) || !self.is_member(to) {
            return Err(Refusal::NotTheLeader);
        }
        let announced = Announced { to, term: from.leader_id.term, until: Instant::now() + self.transfer_lasts };
        self.announced.send_replace(Some(announced));
        Ok(())
    }

    /// Whether this vote is older than what this node has promised: whoever sends it is to hear of the newer one first.
    pub(super) fn newer_vote(&self, vote: &Vote) -> Option<Vote> {
        self.log.standing().vote.filter(|own| vote < own)
    }

    /// Who sent it: another member, in the role that the message is of, in a term within reach.
    fn sender(&self, vote: &Vote, leads: bool, standing: &Standing) -> Result<(), Refusal> {
        let node = vote.leader_id.node_id;
        if node == self.own {
            return Err(Refusal::Own);
        }
        if !self.is_member(node) {
            return Err(Refusal::Stranger(node));
        }
        if vote.committed != leads {
            return Err(Refusal::WrongVote);
        }
        standing.reaches(vote)
    }

    fn is_member(&self, node: u64) -> bool {
        self.peers.contains(&node)
            || self.raft.metrics().borrow_watched().membership_config.membership().get_node(&node).is_some()
    }

    /// What is committed here stays as it is.
    fn agrees(&self, id: &LogId, standing: &Standing) -> Result<(), Refusal> {
        let Some(committed) = standing.committed.filter(|committed| id.index <= committed.index) else { return Ok(()) };
        let other = Err(Refusal::Contradiction(id.index));
        if *id > committed {
            return other;
        }
        let known = match standing.purged {
            // Only the last of the purged ones is known.
            Some(purged) if id.index < purged.index => return Ok(()),
            Some(purged) if id.index == purged.index => Some(purged),
            _ => self.log.log_id(id.index).map_err(Refusal::Unknown)?,
        };
        if known.is_none_or(|known| known == *id) { Ok(()) } else { other }
    }

    /// A vote that goes before the leader's lease has ended needs that leader's word. It is sent to everybody at once, so
    /// it may come a little after the candidate's question.
    pub(super) async fn transferred(&self, request: &VoteRequest<TypeConfig>) -> Result<(), Refusal> {
        if !request.leadership_transfer {
            return Ok(());
        }
        let (candidate, term) = (request.vote.leader_id.node_id, request.vote.leader_id.term);
        let stands = |announced: &Option<Announced>| {
            announced.as_ref().is_some_and(|announced| {
                announced.to == candidate && announced.term + 1 == term && Instant::now() <= announced.until
            })
        };
        let mut announced = self.announced.subscribe();
        match timeout(ANNOUNCEMENT, announced.wait_for(stands)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Refusal::Unannounced(candidate)),
        }
    }
}

impl Standing {
    /// Whether a vote's term is one that elections can have led to.
    pub(super) fn reaches(&self, vote: &Vote) -> Result<(), Refusal> {
        let (term, known) = (vote.leader_id.term, self.vote.map_or(0, |own| own.leader_id.term));
        if term > TERM_LIMIT || term > known.saturating_add(TERMS_AHEAD) {
            return Err(Refusal::Term { term, known });
        }
        Ok(())
    }
}

/// An answer of another node, which may tell of a newer vote.
pub(super) trait Answer {
    /// The vote that whoever asked will believe.
    fn vote(&self) -> Option<&Vote>;
}

impl Answer for VoteResponse<TypeConfig> {
    fn vote(&self) -> Option<&Vote> {
        Some(&self.vote)
    }
}

impl Answer for SnapshotResponse<TypeConfig> {
    fn vote(&self) -> Option<&Vote> {
        Some(&self.vote)
    }
}

impl Answer for StreamAppendResult<TypeConfig> {
    fn vote(&self) -> Option<&Vote> {
        match self {
            Ok(_) | Err(StreamAppendError::Conflict(_)) => None,
            Err(StreamAppendError::HigherVote(vote)) => Some(vote),
        }
    }
}

impl Answer for TransferLeaderResponse<TypeConfig> {
    fn vote(&self) -> Option<&Vote> {
        // Only told to people: the leader that asked goes on by its own vote.
        None
    }
}

fn check_log_id(id: &LogId, vote: &Vote) -> Result<(), Refusal> {
    if id.index > INDEX_LIMIT {
        return Err(Refusal::Index(id.index));
    }
    if id.leader_id > vote.leader_id { Err(Refusal::Future) } else { Ok(()) }
}

fn check_payload(entry: &LogEntry) -> Result<(), Refusal> {
    let index = entry.log_id.index;
    match &entry.payload {
        EntryPayload::Blank => Ok(()),
        EntryPayload::Normal(bytes) if bytes.0.len() > ENTRY_LIMIT => {
            Err(Refusal::Long { index, bytes: bytes.0.len() })
        }
        EntryPayload::Normal(bytes) => {
            decode_entry(&bytes.0).map(drop).map_err(|reason| Refusal::Unreadable { index, reason })
        }
        EntryPayload::Membership(members) => check_members(members),
    }
}

fn check_members(members: &Members) -> Result<(), Refusal> {
    let groups = members.get_joint_config();
    let sound = (1..=2).contains(&groups.len())
        && groups.iter().all(|group| !group.is_empty() && group.iter().all(|id| members.get_node(id).is_some()));
    if sound { Ok(()) } else { Err(Refusal::Membership) }
}
