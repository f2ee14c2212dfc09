//! What was sent, in hashes: tells whether a repeated send carries the same payload as before, and where it differs.
//!
//! Invariant: nothing here holds a value of a payload, and what it says names places only; a payload may be a secret.

use std::collections::VecDeque;

use serde_json::Value;
use serde_json::value::RawValue;

use rekindle_proto::printable;

/// Newest messages of a channel whose outlines are kept.
const OUTLINES: usize = 256;
/// Values of one payload that its outline holds.
const LEAVES: usize = 64;
/// Most of a path that is told.
const PATH_CHARS: usize = 200;

/// Says whether two payloads are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digest([u8; 16]);

/// Says where two payloads differ: hashes of the first values, each of its path and of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outline(Vec<(u32, u32)>);

/// How a repeated send compares with what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repeated {
    /// The payload is the same.
    Same,
    /// It was sent elsewhere: nothing is known of it here.
    Unknown,
    /// The payload is another one; where, in words.
    Differs(String),
}

/// Digests of the messages of one outgoing channel, by index.
///
/// A supervisor that took a role over knows only those from where it took over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digests {
    /// Messages before the first one known.
    skipped: u64,
    known: Vec<Digest>,
    /// Of the newest messages known.
    outlines: VecDeque<Outline>,
}

impl Digests {
    /// For a role that has sent so many messages elsewhere.
    pub(crate) fn after(skipped: u64) -> Self {
        Digests { skipped, known: Vec::new(), outlines: VecDeque::new() }
    }

    /// The next message is sent.
    pub(crate) fn push(&mut self, payload: &RawValue) {
        let value = serde_json::from_str(payload.get()).ok();
        self.known.push(Digest::of(payload, value.as_ref()));
        if self.outlines.len() == OUTLINES {
            self.outlines.pop_front();
        }
        self.outlines.push_back(value.as_ref().map(Outline::of).unwrap_or_default());
    }

    /// Message `index` is sent again.
    pub(crate) fn compare(&self, index: u64, payload: &RawValue) -> Repeated {
        let at = index.checked_sub(self.skipped + 1).and_then(|at| usize::try_from(at).ok());
        let Some((at, before)) = at.and_then(|at| Some((at, self.known.get(at)?))) else { return Repeated::Unknown };
        let value: Option<Value> = serde_json::from_str(payload.get()).ok();
        if *before == Digest::of(payload, value.as_ref()) {
            return Repeated::Same;
        }
        let first = self.known.len() - self.outlines.len();
        let outline = at.checked_sub(first).and_then(|at| self.outlines.get(at));
        Repeated::Differs(match (outline, value) {
            (Some(outline), Some(value)) => outline.difference(&value),
            _ => "where is not known any more".to_owned(),
        })
    }

    /// Forgets every message past `sent`.
    pub(crate) fn truncate(&mut self, sent: u64) {
        let keep = usize::try_from(sent.saturating_sub(self.skipped)).unwrap_or(usize::MAX);
        let forgotten = self.known.len().saturating_sub(keep);
        self.known.truncate(keep);
        self.outlines.truncate(self.outlines.len().saturating_sub(forgotten));
        self.skipped = self.skipped.min(sent);
    }
}

impl Digest {
    /// The same for payloads that differ only in white space and in the order of object members.
    fn of(payload: &RawValue, value: Option<&Value>) -> Self {
        let hash = match value {
            Some(value) => blake3::hash(value.to_string().as_bytes()),
            // Nested too deeply, or with numbers out of range: taken literally.
            None => blake3::hash(payload.get().as_bytes()),
        };
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.as_bytes()[..16]);
        Digest(digest)
    }
}

impl Outline {
    fn of(value: &Value) -> Self {
        Outline(leaves(value).iter().map(|(path, value)| (short(path), short(&value.to_string()))).collect())
    }

    fn difference(&self, now: &Value) -> String {
        let leaves = leaves(now);
        for (path, value) in &leaves {
            let before = self.0.iter().find(|(known, _)| *known == short(path)).map(|(_, value)| *value);
            let place = printable::excerpt(path, PATH_CHARS);
            match before {
                Some(before) if before == short(&value.to_string()) => {}
                Some(_) if path.is_empty() => return "it differs as a whole".to_owned(),
                Some(_) => return format!("it differs at `{place}`"),
                None if leaves.len() < LEAVES || self.0.len() < LEAVES => return format!("it has `{place}` now"),
                None => {}
            }
        }
        match self.0.len().checked_sub(leaves.len()) {
            Some(fewer) if fewer > 0 => format!("it has {fewer} values fewer"),
            _ => format!("it differs past its first {LEAVES} values"),
        }
    }
}

/// The first values without parts, each with its path, such as `.items[2].price`.
fn leaves(value: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        if found.len() == LEAVES {
            break;
        }
        match value {
            Value::Array(parts) if !parts.is_empty() => {
                let parts = parts.iter().take(LEAVES).enumerate();
                let parts: Vec<_> = parts.map(|(index, part)| (format!("{path}[{index}]"), part)).collect();
                open.extend(parts.into_iter().rev());
            }
            Value::Object(parts) if !parts.is_empty() => {
                let parts: Vec<_> =
                    parts.iter().take(LEAVES).map(|(name, part)| (format!("{path}.{name}"), part)).collect();
                open.extend(parts.into_iter().rev());
            }
            _ => found.push((path, value)),
        }
    }
    found
}

fn short(text: &str) -> u32 {
    let hash = blake3::hash(text.as_bytes());
    u32::from_le_bytes(*hash.as_bytes().first_chunk().unwrap_or(&[0; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    fn compare(before: &str, now: &str) -> Repeated {
        let mut digests = Digests::default();
        digests.push(&raw(before));
        digests.compare(1, &raw(now))
    }

    #[test]
    fn digests_see_values_not_spelling() {
        assert_eq!(compare(r#"{"a":1,"b":[2, 3]}"#, r#"{ "b":[2,3],"a":1 }"#), Repeated::Same);
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert_eq!(compare(&deep, &deep), Repeated::Same);
        assert!(matches!(compare("[1,2]", "[2,1]"), Repeated::Differs(_)));
    }

    #[test]
    fn a_difference_is_told_by_its_place_and_never_by_a_value() {
        let many = |last: u32| format!("[{}{last}]", "0,".repeat(LEAVES + 5));
        for (before, now, place) in [
            (
                r#"{"id":7,"items":[{"price":111},{"price":222}]}"#,
                r#"{"id":7,"items":[{"price":111},{"price":333}]}"#,
                "it differs at `.items[1].price`",
            ),
            (r#"{"id":111}"#, r#"{"id":111,"token":"222"}"#, "it has `.token` now"),
            (r#"{"id":111,"token":"222"}"#, r#"{"id":111}"#, "it has 1 values fewer"),
            ("111", "222", "it differs as a whole"),
            (&many(111), &many(222), "it differs past its first 64 values"),
            (r#"{"a":{"b":111}}"#, r#"{"a":222}"#, "it has `.a` now"),
        ] {
            assert_eq!(compare(before, now), Repeated::Differs(place.to_owned()), "{before} {now}");
        }
    }

    #[test]
    fn digests_are_found_by_index() {
        let mut digests = Digests::after(2);
        digests.push(&raw("3"));
        digests.push(&raw("4"));
        assert_eq!(digests.compare(0, &raw("3")), Repeated::Unknown);
        assert_eq!(digests.compare(2, &raw("3")), Repeated::Unknown);
        assert_eq!(digests.compare(3, &raw("3")), Repeated::Same);
        assert_eq!(digests.compare(5, &raw("3")), Repeated::Unknown);
        digests.truncate(3);
        assert_eq!((digests.compare(3, &raw("3")), digests.compare(4, &raw("4"))), (Repeated::Same, Repeated::Unknown));
        digests.truncate(1);
        digests.push(&raw("2"));
        assert_eq!(digests.compare(2, &raw("2")), Repeated::Same);
    }

    #[test]
    fn outlines_are_kept_of_the_newest_messages_only() {
        let mut digests = Digests::default();
        for number in 0..OUTLINES + 10 {
            digests.push(&raw(&format!(r#"{{"n":{number}}}"#)));
        }
        assert_eq!(digests.outlines.len(), OUTLINES);
        let old = digests.compare(1, &raw(r#"{"n":-1}"#));
        assert_eq!(old, Repeated::Differs("where is not known any more".to_owned()));
        let newest = digests.known.len() as u64;
        let place = Repeated::Differs("it differs at `.n`".to_owned());
        assert_eq!(digests.compare(newest, &raw(r#"{"n":-1}"#)), place);
        digests.truncate(newest - 5);
        assert_eq!(digests.compare(newest - 5, &raw(r#"{"n":-1}"#)), place);
    }
}
