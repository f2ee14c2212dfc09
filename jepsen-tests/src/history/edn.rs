//! A history as Jepsen writes it: one map per event, for Elle, Knossos and porcupine.

use std::fmt::Write as _;

use super::{Operation, Outcome};

/// How a call or an answer is written in EDN.
pub trait ToEdn {
    /// The function, a keyword without its colon. Empty for an answer.
    fn function(&self) -> &'static str;
    /// The value, in EDN.
    fn value(&self) -> String;
}

/// A text as an EDN string.
pub fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The whole history: invocations and completions in order of time. An unknown outcome is `:info`.
pub fn history<C: ToEdn, A: ToEdn>(operations: &[Operation<C, A>]) -> String {
    let mut events = Vec::with_capacity(operations.len() * 2);
    for operation in operations {
        let (kind, value) = match &operation.outcome {
            Outcome::Known(answer) => ("ok", format!("[{} {}]", operation.call.value(), answer.value())),
            Outcome::Failed => ("fail", operation.call.value()),
            Outcome::Unknown => ("info", operation.call.value()),
        };
        let (client, function) = (operation.client, operation.call.function());
        events.push((operation.invoked, 0, client, "invoke", function, operation.call.value()));
        events.push((operation.returned, 1, client, kind, function, value));
    }
    events.sort();
    let mut text = String::new();
    for (index, (time, _, client, kind, function, value)) in events.into_iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{{:index {index}, :time {time}, :process {client}, :type :{kind}, :f :{function}, :value {value}}}"
        );
    }
    text
}
