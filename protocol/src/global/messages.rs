//! Messages of a protocol, each distinct one (label and payload types) under one number.

use std::collections::HashMap;

use crate::program::{DeclarationId, ProtocolId};
use crate::syntax::names::Name;

/// A label with payload types, as an index into [`Messages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MessageId(u32);

impl MessageId {
    /// For events that carry no message.
    pub(crate) const NONE: MessageId = MessageId(u32::MAX);

    /// As a number other than 0, which stands for no message.
    pub(crate) fn in_slot(self) -> u32 {
        self.0 + 1
    }

    /// Back from [`MessageId::in_slot`].
    pub(crate) fn from_slot(slot: u32) -> Option<MessageId> {
        slot.checked_sub(1).map(MessageId)
    }
}

/// What makes two payload types the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TypeKey {
    /// A declared type, however it is spelled.
    Declared(DeclarationId),
    /// A type without declaration: a parameter of the outermost protocol, or of a dialect without declarations.
    Free(Name),
    /// A role of a session that is handed over.
    Delegated(ProtocolId, Name),
}

/// A payload type with its spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PayloadType {
    pub(crate) key: TypeKey,
    pub(crate) text: String,
}

/// All messages of one protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Messages {
    index: HashMap<(Option<Name>, Vec<TypeKey>), MessageId>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    label: Option<Name>,
    payload: Vec<String>,
}

impl Messages {
    /// The number of a message, new or known. The first spelling of its types is kept.
    pub(crate) fn intern(&mut self, label: Option<Name>, payload: &[PayloadType]) -> MessageId {
        let key = (label, payload.iter().map(|element| element.key).collect());
        if let Some(&id) = self.index.get(&key) {
            return id;
        }
        let id = MessageId(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.entries.push(Entry { label, payload: payload.iter().map(|element| element.text.clone()).collect() });
        self.index.insert(key, id);
        id
    }

    /// The label; `None` for the empty one.
    pub(crate) fn label(&self, id: MessageId) -> Option<Name> {
        self.entries[id.0 as usize].label
    }

    /// The payload types as spelled where the message first stands.
    pub(crate) fn payload(&self, id: MessageId) -> &[String] {
        &self.entries[id.0 as usize].payload
    }
}
