//! One message, and its digest.

use rekindle_proto::statemachine::ids::Incarnation;
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

/// Tells whether a repeated send carries the same payload as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest([u8; 16]);

impl Digest {
    /// The same for payloads that differ only in white space and in the order of object members.
    pub(crate) fn of(payload: &RawValue) -> Self {
        let hash = match serde_json::from_str::<serde_json::Value>(payload.get()) {
            Ok(value) => blake3::hash(value.to_string().as_bytes()),
            // Nested too deeply, or with numbers out of range: taken literally.
            Err(_) => blake3::hash(payload.get().as_bytes()),
        };
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.as_bytes()[..16]);
        Digest(digest)
    }
}

/// Digests of the messages of one outgoing channel, by index.
///
/// A supervisor that took a role over knows only those from where it took over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digests {
    /// Messages before the first one known.
    skipped: u64,
    known: Vec<Digest>,
}

impl Digests {
    /// For a role that has sent so many messages elsewhere.
    pub(crate) fn after(skipped: u64) -> Self {
        Digests { skipped, known: Vec::new() }
    }

    /// The digest of the next message.
    pub(crate) fn push(&mut self, digest: Digest) {
        self.known.push(digest);
    }

    /// The digest of message `index`; `None` if it was sent elsewhere.
    pub(crate) fn get(&self, index: u64) -> Option<Digest> {
        let at = index.checked_sub(self.skipped + 1)?;
        self.known.get(usize::try_from(at).ok()?).copied()
    }

    /// Forgets every message past `sent`.
    pub(crate) fn truncate(&mut self, sent: u64) {
        let keep = usize::try_from(sent.saturating_sub(self.skipped)).unwrap_or(usize::MAX);
        self.known.truncate(keep);
        self.skipped = self.skipped.min(sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(json: &str) -> Digest {
        Digest::of(&RawValue::from_string(json.to_owned()).expect("JSON"))
    }

    #[test]
    fn digests_see_values_not_spelling() {
        assert_eq!(digest(r#"{"a":1,"b":[2, 3]}"#), digest(r#"{ "b":[2,3],"a":1 }"#));
        assert_ne!(digest(r#"{"a":1}"#), digest(r#"{"a":2}"#));
        assert_ne!(digest("[1,2]"), digest("[2,1]"));
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert_eq!(digest(&deep), digest(&deep));
    }

    #[test]
    fn digests_are_found_by_index() {
        let mut digests = Digests::after(2);
        digests.push(digest("3"));
        digests.push(digest("4"));
        assert_eq!(digests.get(0), None);
        assert_eq!(digests.get(2), None);
        assert_eq!(digests.get(3), Some(digest("3")));
        assert_eq!(digests.get(5), None);
        digests.truncate(3);
        assert_eq!((digests.get(3), digests.get(4)), (Some(digest("3")), None));
        digests.truncate(1);
        digests.push(digest("2"));
        assert_eq!(digests.get(2), Some(digest("2")));
    }
}
