//! What a session does because time passes.

use std::time::Duration;

use rekindle_protocol::image::RoleId;
use rekindle_statemachine::command::FailureCause;
use tokio::time::Instant;

use super::{Effect, Session};
use crate::channel::outbox::Outbox;
use crate::role::Stage;

impl Session {
    /// When [`Session::on_time`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let stalls = self.roles.iter().filter_map(|(&id, role)| role.stalls_at(self.stall_timeout(id)));
        let retries = self.roles.values().flat_map(|role| &role.outboxes).filter_map(Outbox::retry_at);
        stalls.chain(retries).min()
    }

    /// Ends pauses that are over, and kills workers that are stuck.
    pub(crate) fn on_time(&mut self, now: Instant) {
        for (&from, role) in &mut self.roles {
            for (to, outbox) in (0u16..).map(RoleId).zip(&mut role.outboxes) {
                if outbox.resume(now) {
                    self.stirred.insert((from, to));
                }
            }
        }
        let ids: Vec<RoleId> = self.roles.keys().copied().collect();
        for id in ids {
            let timeout = self.stall_timeout(id);
            let Some(role) = self.roles.get_mut(&id) else { continue };
            if role.stalls_at(timeout).is_some_and(|at| at <= now) {
                let timeout_ms = timeout.map_or(0, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
                role.stage = Stage::Dying(Some(FailureCause::Stalled { timeout_ms }));
                role.lines.clear();
                self.effects.push(Effect::Stop { role: id });
            }
        }
    }

    fn stall_timeout(&self, role: RoleId) -> Option<Duration> {
        self.spec.roles.get(role.index())?.stall_timeout_ms.map(Duration::from_millis)
    }
}
