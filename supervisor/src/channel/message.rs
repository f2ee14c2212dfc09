//! One message.

use rekindle_statemachine::ids::Incarnation;
use serde_json::value::RawValue;

/// Memory that a message takes besides its texts.
const OVERHEAD: usize = 64;

/// A message of one channel.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Of the sender, when it sent this.
    pub(crate) incarnation: Incarnation,
    /// 1 for the first message of the channel.
    pub(crate) index: u64,
    pub(crate) label: String,
    pub(crate) payload: Box<RawValue>,
}

impl Message {
    /// What it counts against limits, in bytes.
    pub(crate) fn size(&self) -> usize {
        OVERHEAD + self.label.len() + self.payload.get().len()
    }
}
