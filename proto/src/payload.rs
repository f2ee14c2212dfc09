//! Values of the state machine inside `bytes` fields, and what nodes store: one version byte, then the value in postcard.
//!
//! Both ends are this program, but not always of the same release: another version is refused by name, never guessed at.

use rekindle_statemachine::command::{Command, Reply};
use rekindle_statemachine::effect::Order;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One encoding, with a version of its own: to change one is not to make the others unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    what: &'static str,
    version: u8,
    place: Place,
}

/// Where bytes of a format are met, which decides what to do about another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Between two processes that run now.
    Wire,
    /// In a data folder.
    Disk,
}

impl Place {
    fn way_out(self) -> &'static str {
        match self {
            Place::Wire => "run the same release at both ends",
            Place::Disk => "start this folder with the release that wrote it",
        }
    }
}

/// Commands of agents, in `AgentCommand.command`.
pub const COMMAND: Format = Format::wire("command", 2);
/// Replies to agents, in `AgentReply.reply`.
pub const REPLY: Format = Format::wire("reply", 2);
/// Orders to agents, in `AgentOrder.order`.
pub const ORDER: Format = Format::wire("order", 2);

/// Why bytes are not a value of this build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not even a version.
    #[error("the {what} is empty")]
    Empty {
        /// What should have been there.
        what: &'static str,
    },
    /// From another release.
    #[error("the {} has format version {found}, this build reads version {}: {}", .format.what, .format.version, .format.place.way_out())]
    Version {
        /// What should have been there.
        format: Format,
        /// The version found.
        found: u8,
    },
    /// The right version, but no value of it.
    #[error("the {what} is malformed: {reason}")]
    Malformed {
        /// What should have been there.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

impl Format {
    /// A format between processes; `what` names its values in errors.
    pub const fn wire(what: &'static str, version: u8) -> Self {
        Format { what, version, place: Place::Wire }
    }

    /// A format in data folders; `what` names its values in errors.
    pub const fn disk(what: &'static str, version: u8) -> Self {
        Format { what, version, place: Place::Disk }
    }

    /// The version that this build writes, and the only one that it reads.
    pub const fn version(self) -> u8 {
        self.version
    }

    /// Version byte, then the value.
    ///
    /// # Panics
    /// Never for types that derive [`Serialize`] and hold no sequence of unknown length.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Vec<u8> {
        postcard::to_extend(value, vec![self.version]).expect("a derived value of known lengths always encodes")
    }

    /// The value behind the version byte.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, PayloadError> {
        let what = self.what;
        let (&found, rest) = bytes.split_first().ok_or(PayloadError::Empty { what })?;
        if found != self.version {
            return Err(PayloadError::Version { format: self, found });
        }
        let (value, left) = postcard::take_from_bytes(rest)
            .map_err(|error| PayloadError::Malformed { what, reason: error.to_string() })?;
        if left.is_empty() {
            Ok(value)
        } else {
            Err(PayloadError::Malformed { what, reason: format!("{} bytes too many", left.len()) })
        }
    }
}

/// For `AgentCommand.command`.
pub fn encode_command(command: &Command) -> Vec<u8> {
    COMMAND.encode(command)
}

/// Of `AgentCommand.command`.
pub fn decode_command(bytes: &[u8]) -> Result<Command, PayloadError> {
    COMMAND.decode(bytes)
}

/// For `AgentReply.reply`.
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    REPLY.encode(reply)
}

/// Of `AgentReply.reply`.
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, PayloadError> {
    REPLY.decode(bytes)
}

/// For `AgentOrder.order`.
pub fn encode_order(order: &Order) -> Vec<u8> {
    ORDER.encode(order)
}

/// Of `AgentOrder.order`.
pub fn decode_order(bytes: &[u8]) -> Result<Order, PayloadError> {
    ORDER.decode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle_statemachine::effect::Goal;
    use rekindle_statemachine::ids::{AgentId, AgentInstance, Epoch, Generation, SessionId};

    #[test]
    fn values_come_back() {
        let command = Command::ExpireAgent { agent: AgentId("west".into()), instance: AgentInstance(7) };
        assert_eq!(decode_command(&encode_command(&command)), Ok(command));
        assert_eq!(decode_reply(&encode_reply(&Reply::Done)), Ok(Reply::Done));
        let (session, generation, places) = (SessionId("s".into()), Generation(7), Vec::new());
        let order = Order { session, generation, epoch: Epoch(2), revision: 9, places, goal: Goal::Run };
        assert_eq!(decode_order(&encode_order(&order)), Ok(order));
    }

    #[test]
    fn other_versions_and_garbage_are_refused_by_name() {
        let mut bytes = encode_reply(&Reply::Done);
        assert_eq!(decode_reply(&[]), Err(PayloadError::Empty { what: "reply" }));
        bytes.push(0);
        assert!(matches!(decode_reply(&bytes), Err(PayloadError::Malformed { what: "reply", .. })));
        bytes[0] = REPLY.version() + 1;
        let error = decode_reply(&bytes).expect_err("another version");
        assert_eq!(error, PayloadError::Version { format: REPLY, found: REPLY.version() + 1 });
        assert!(error.to_string().contains("run the same release"), "{error}");
        assert!(matches!(
            decode_command(&[COMMAND.version(), 0xff, 0xff]),
            Err(PayloadError::Malformed { what: "command", .. })
        ));
    }
}
