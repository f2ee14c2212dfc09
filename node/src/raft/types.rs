//! openraft's type parameters, fixed once.

use std::fmt;

use bytes::Bytes;
use openraft::alias;
use rekindle_statemachine::command::Reply;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::runtime::NodeRuntime;
use super::state_store::StateStore;

openraft::declare_raft_types!(
    /// The parameters of the one group of nodes.
    pub(crate) TypeConfig:
        D = EntryBytes,
        R = Reply,
        NodeId = u64,
        Node = openraft::impls::BasicNode,
        AsyncRuntime = NodeRuntime,
);

/// An entry in the state machine's encoding. Decoded when it is applied and never before; shared, not copied, between
/// log, network and apply.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EntryBytes(pub(crate) Bytes);

impl fmt::Debug for EntryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EntryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for EntryBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for EntryBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = EntryBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes of an entry")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<EntryBytes, E> {
                Ok(EntryBytes(Bytes::copy_from_slice(bytes)))
            }

            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<EntryBytes, E> {
                Ok(EntryBytes(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

pub(crate) type Raft = openraft::Raft<TypeConfig, StateStore>;
pub(crate) type Vote = alias::VoteOf<TypeConfig>;
pub(crate) type LogId = alias::LogIdOf<TypeConfig>;
pub(crate) type LogEntry = alias::EntryOf<TypeConfig>;
pub(crate) type Membership = alias::StoredMembershipOf<TypeConfig>;
pub(crate) type Members = openraft::Membership<u64, openraft::impls::BasicNode>;
pub(crate) type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type Snapshot = alias::SnapshotOf<TypeConfig, Bytes>;
