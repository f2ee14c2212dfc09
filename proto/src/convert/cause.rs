//! What was seen of a failure, as a sentence for a person.

use rekindle_protocol::recovery::policy::FailureKind;
use rekindle_statemachine::command::FailureCause;

/// One sentence, without the role as its subject and without a full stop: `killed by signal 9 (SIGKILL)`.
pub fn sentence(cause: &FailureCause) -> String {
    match cause {
        FailureCause::Exited { status: 0 } => "exited with status 0 before it was done".to_owned(),
        FailureCause::Exited { status } => format!("exited with status {status}"),
        FailureCause::Signalled { signal } => match signal_name(*signal) {
            Some(name) => format!("killed by signal {signal} ({name})"),
            None => format!("killed by signal {signal}"),
        },
        FailureCause::CannotRun { message } => format!("cannot run: {message}"),
        FailureCause::Violation { state, expected, got } => {
            let expected = if expected.is_empty() { "nothing".to_owned() } else { expected.join(" or ") };
            format!("left the protocol in state {state}: expected {expected}, got {got}")
        }
        FailureCause::Stalled { timeout_ms } => format!("made no protocol step for {timeout_ms} ms"),
        FailureCause::SupervisorLost => "its local supervisor is gone".to_owned(),
        FailureCause::Unfinished => "an earlier recovery had not brought it back yet".to_owned(),
    }
}

/// `worker`, `supervisor`, `host`.
pub fn kind_name(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Worker => "worker",
        FailureKind::Supervisor => "supervisor",
        FailureKind::Host => "host",
    }
}

/// The signals that end processes in practice, as numbered on Linux.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_read_as_sentences() {
        assert_eq!(sentence(&FailureCause::Signalled { signal: 9 }), "killed by signal 9 (SIGKILL)");
        assert_eq!(sentence(&FailureCause::Signalled { signal: 64 }), "killed by signal 64");
        assert_eq!(sentence(&FailureCause::Exited { status: 0 }), "exited with status 0 before it was done");
        assert_eq!(
            sentence(&FailureCause::Violation {
                state: "3".into(),
                expected: vec!["A!x".into(), "B?y".into()],
                got: "C!z".into(),
            }),
            "left the protocol in state 3: expected A!x or B?y, got C!z"
        );
    }
}
