//! Limits on everything that the state holds. Past one, a command is refused with
//! [`Rejection::Limit`](crate::command::Rejection::Limit) and nothing changes.
//!
//! Every replica must apply the same limits to the same entry, so they are constants: a change of one is a change of
//! the state's format.

/// Protocols registered.
pub const PROTOCOLS: usize = 1_024;
/// Bytes of a protocol's encoded image.
pub const IMAGE_BYTES: usize = 1 << 20;
/// Roles of a protocol.
pub const ROLES: usize = 64;
/// Edges of one state.
pub const EDGES: usize = 4_096;
/// Bytes of a protocol's or role's name.
pub const NAME_BYTES: usize = 256;
/// Resuming states that a recovery table lists, over all of its rows.
pub const TABLE_ENTRIES: usize = 1 << 18;

/// Agents that hold a lease.
pub const AGENTS: usize = 1_024;
/// Bytes of an agent's name.
pub const AGENT_BYTES: usize = 64;
/// Bytes of an agent's address.
pub const ADDRESS_BYTES: usize = 256;

/// Sessions that have not ended.
pub const SESSIONS: usize = 4_096;
/// Sessions that wait for an agent, past which no other one that would have to wait is started.
pub const WAITING_SESSIONS: usize = 256;
/// Ended sessions that are remembered; the oldest is forgotten first.
pub const ENDED_SESSIONS: usize = 256;
/// Bytes of a session's name.
pub const SESSION_BYTES: usize = 64;
/// Bytes of a session's folder.
pub const FOLDER_BYTES: usize = 4_096;
/// Bytes of the commands and environments of all roles of a session.
pub const COMMAND_BYTES: usize = 256 * 1_024;
/// `max_restarts` of a budget.
pub const RESTARTS: u32 = 1_000;
/// Events of one role: what a recovery has to look at.
pub const HISTORY: usize = 1 << 18;
/// Bytes of text that a failure or a violation carries; a longer one is cut.
pub const MESSAGE_BYTES: usize = 4_096;
/// Events that a violation lists as expected; the rest is cut.
pub const EXPECTED: usize = 64;

/// Bytes of one checkpoint.
pub const CHECKPOINT_BYTES: usize = 64 * 1_024;
/// Checkpoints kept for a role; the oldest is dropped first, which can only lower later recovery lines.
pub const CHECKPOINTS: usize = 4;
/// Bytes of all checkpoints of all sessions.
pub const CHECKPOINT_TOTAL_BYTES: u64 = 512 * 1_024 * 1_024;
/// Floors of one role that no later floor replaces. Past it the session fails: to forget a floor would be wrong.
pub const FLOORS: usize = 1_024;

/// Recoveries of a session that are remembered, the open one included.
pub const RECOVERIES: usize = 64;
/// Events of a session that are remembered for watchers.
pub const EVENTS: usize = 512;

/// Requests whose first answer is remembered; the oldest is forgotten first.
pub const REQUESTS: usize = 65_536;
/// For how long an answer is remembered, in milliseconds of entry time.
pub const REQUEST_TTL_MS: u64 = 10 * 60 * 1_000;
