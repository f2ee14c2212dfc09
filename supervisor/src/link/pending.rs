//! Reports on their way to the leader.

use std::collections::VecDeque;

use rekindle_proto::payload::encode_command;
use rekindle_proto::v1;
use rekindle_statemachine::command::Command;
use tokio::time::Instant;

use crate::session::Report;

/// Reports that are not answered, oldest first. On each stream they are sent in that order.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    queue: VecDeque<Waiting>,
    /// How many of them are sent on this stream.
    sent: usize,
}

#[derive(Debug)]
struct Waiting {
    request_id: [u8; 16],
    report: Report,
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn push(&mut self, report: Report) {
        self.queue.push_back(Waiting { request_id: rand::random(), report });
    }

    /// There is a new stream: everything goes again.
    pub(crate) fn start_over(&mut self) {
        self.sent = 0;
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.queue.len()
    }

    /// The next one to send; it counts as sent.
    pub(crate) fn send_next(&mut self, now: Instant) -> Option<v1::AgentCommand> {
        let next = self.queue.get_mut(self.sent)?;
        self.sent += 1;
        if let (Some(since), Command::ReportFailure { age_ms, .. }) = (next.report.since, &mut next.report.command) {
            *age_ms = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
        }
        let command = encode_command(&next.report.command);
        Some(v1::AgentCommand { request_id: next.request_id.to_vec(), command })
    }

    /// The answer came: the report is done.
    pub(crate) fn answered(&mut self, request_id: &[u8]) -> Option<Report> {
        let at = self.queue.iter().position(|waiting| waiting.request_id == request_id)?;
        if at < self.sent {
            self.sent -= 1;
        }
        self.queue.remove(at).map(|waiting| waiting.report)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rekindle_proto::payload::decode_command;
    use rekindle_protocol::history::History;
    use rekindle_protocol::image::RoleId;
    use rekindle_protocol::recovery::policy::FailureKind;
    use rekindle_statemachine::command::FailureCause;
    use rekindle_statemachine::ids::{Generation, Incarnation, SessionId};

    use super::*;
    use crate::session::Wanted;

    fn failure(session: &str, since: Instant) -> Report {
        let session = SessionId(session.to_owned());
        let (generation, role, incarnation) = (Generation(7), RoleId(0), Incarnation(1));
        let command = Command::ReportFailure {
            session: session.clone(),
            generation,
            role,
            incarnation,
            kind: FailureKind::Worker,
            cause: FailureCause::Signalled { signal: 9 },
            history: History::default(),
            age_ms: 0,
        };
        let (since, answer) = (Some(since), Wanted::IfRefused);
        Report { session, generation, role, incarnation, command, since, answer }
    }

    fn age(command: &v1::AgentCommand) -> u64 {
        match decode_command(&command.command) {
            Ok(Command::ReportFailure { age_ms, .. }) => age_ms,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unanswered_reports_go_again_with_their_id_and_their_age() {
        let now = Instant::now();
        let mut pending = Pending::default();
        for session in ["a", "b", "c"] {
            pending.push(failure(session, now));
        }
        let first = pending.send_next(now).expect("a");
        let second = pending.send_next(now).expect("b");
        assert_eq!(pending.answered(&first.request_id).map(|report| report.session.0), Some("a".to_owned()));
        assert!(pending.answered(&first.request_id).is_none());
        assert!(pending.has_unsent());

        pending.start_over();
        let later = now + Duration::from_millis(70);
        let again = pending.send_next(later).expect("b");
        assert_eq!(again.request_id, second.request_id);
        assert_eq!((age(&second), age(&again)), (0, 70));
        assert!(pending.send_next(later).is_some());
        assert!(pending.send_next(later).is_none() && !pending.has_unsent());
        assert_eq!(pending.len(), 2);
    }
}
