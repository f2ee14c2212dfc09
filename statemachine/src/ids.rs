//! Names and numbers that identify things in the log.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

number!(
    /// A node of the cluster.
    NodeId(u64)
);
number!(
    /// Which run of an agent process: random, chosen by the agent when it starts.
    AgentInstance(u64)
);
number!(
    /// Which session of a name: the log index of the entry that started it. A name may be used again once its session
    /// was deleted or forgotten; whatever is said of a session names its generation too.
    Generation(u64)
);
number!(
    /// Which process plays a role: 1 for the first, higher with each restart.
    Incarnation(u64)
);
number!(
    /// Grows by one with each recovery of a session; fences orders and reports.
    Epoch(u64)
);
number!(
    /// A recovery of a session, from 1. 0 is the launch, which is a recovery to the start.
    RecoveryNumber(u32)
);
number!(
    /// Milliseconds since the Unix epoch, as the entries of the log carry it; never decreases.
    EntryTime(u64)
);
name!(
    /// A local supervisor: one per host, named by who runs it.
    AgentId
);
name!(
    /// A running instance of a protocol.
    SessionId
);
name!(
    /// A registered protocol: its name and a digest of its image, `Crawl@1f3c…`.
    ProtocolId
);

/// Names one request of one client, for deduplication. Random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub [u8; 16]);

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Generation {
    /// Stands in reports that were logged before sessions had generations: whichever has the name is meant.
    pub const UNNAMED: Generation = Generation(0);
    /// Of sessions in snapshots from before sessions had generations. No entry of a client has this index.
    pub const BEFORE: Generation = Generation(1);
}
