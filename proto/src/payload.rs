//! Values of the state machine inside `bytes` fields: one version byte, then the value in postcard.
//!
//! Both ends are this program, but not always of the same release: another version is refused by name, never guessed at.

use rekindle_statemachine::command::{Command, Reply};
use rekindle_statemachine::effect::Order;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the encoding that this build writes, and the only one that it reads.
pub const VERSION: u8 = 2;

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
    #[error(
        "the {what} has encoding version {found}, this build reads version {VERSION} only: run the same release at both ends"
    )]
    Version {
        /// What should have been there.
        what: &'static str,
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

/// Version byte, then the value.
///
/// # Panics
/// Never for types that derive [`Serialize`] and hold no sequence of unknown length.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("a derived value of known lengths always encodes")
}

/// The value behind the version byte; `what` names it in the error.
pub fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, PayloadError> {
    let (&found, rest) = bytes.split_first().ok_or(PayloadError::Empty { what })?;
    if found != VERSION {
        return Err(PayloadError::Version { what, found });
    }
    let (value, left) =
        postcard::take_from_bytes(rest).map_err(|error| PayloadError::Malformed { what, reason: error.to_string() })?;
    if left.is_empty() {
        Ok(value)
    } else {
        Err(PayloadError::Malformed { what, reason: format!("{} bytes too many", left.len()) })
    }
}

/// For `AgentCommand.command`.
pub fn encode_command(command: &Command) -> Vec<u8> {
    encode(command)
}

/// Of `AgentCommand.command`.
pub fn decode_command(bytes: &[u8]) -> Result<Command, PayloadError> {
    decode("command", bytes)
}

/// For `AgentReply.reply`.
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    encode(reply)
}

/// Of `AgentReply.reply`.
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, PayloadError> {
    decode("reply", bytes)
}

/// For `AgentOrder.order`.
pub fn encode_order(order: &Order) -> Vec<u8> {
    encode(order)
}

/// Of `AgentOrder.order`.
pub fn decode_order(bytes: &[u8]) -> Result<Order, PayloadError> {
    decode("order", bytes)
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
        bytes[0] = VERSION + 1;
        let error = decode_reply(&bytes).expect_err("another version");
        assert_eq!(error, PayloadError::Version { what: "reply", found: VERSION + 1 });
        assert!(error.to_string().contains("run the same release"), "{error}");
        assert!(matches!(decode_command(&[VERSION, 0xff, 0xff]), Err(PayloadError::Malformed { what: "command", .. })));
    }
}
