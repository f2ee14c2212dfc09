//! Leases of agents: when each of them was last heard from. In the leader's memory only; the end of a lease is an entry.
//!
//! Invariant: a lease ends here later than the agent believes. The agent counts from when it sent its renewal, this
//! table from when it was confirmed; and a new leader counts from when it began to lead, which is after the last moment
//! at which the old one could still confirm a renewal.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rekindle_proto::secret::same;
use rekindle_statemachine::ids::{AgentId, AgentInstance};
use tokio::time::Instant;

/// A run of an agent.
pub(crate) type Holder = (AgentId, AgentInstance);

/// The table.
pub(crate) struct Leases {
    ttl: Duration,
    leases: Mutex<HashMap<Holder, Lease>>,
}

#[derive(Debug)]
struct Lease {
    end: Instant,
    /// What its holder showed when it attached here. Not known of one that attached to an earlier leader only.
    token: Vec<u8>,
}

impl Leases {
    pub(crate) fn new(ttl: Duration) -> Self {
        Leases { ttl, leases: Mutex::default() }
    }

    /// How long a lease runs.
    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The lease runs from now on.
    pub(crate) fn renew(&self, holder: Holder, now: Instant) {
        let end = now + self.ttl;
        self.leases().entry(holder).or_insert(Lease { end, token: Vec::new() }).end = end;
    }

    /// The same, for a holder that has just attached and shown its token.
    pub(crate) fn attach(&self, holder: Holder, token: Vec<u8>, now: Instant) {
        self.leases().insert(holder, Lease { end: now + self.ttl, token });
    }

    /// Whether the holder of a lease has shown this token; `None` if it has shown none here.
    pub(crate) fn has_shown(&self, holder: &Holder, token: &[u8]) -> Option<bool> {
        let leases = self.leases();
        let shown = leases.get(holder).map(|lease| &lease.token).filter(|shown| !shown.is_empty())?;
        Some(same(shown, token))
    }

    /// Forgets everything: this node begins to lead, or has ceased to.
    pub(crate) fn clear(&self) {
        self.leases().clear();
    }

    /// Holders whose lease is over. One that is not in the table yet gets a whole lease, one that holds none is forgotten.
    pub(crate) fn over(&self, holders: &[Holder], now: Instant) -> Vec<Holder> {
        let mut leases = self.leases();
        leases.retain(|holder, _| holders.contains(holder));
        let whole = || Lease { end: now + self.ttl, token: Vec::new() };
        holders
            .iter()
            .filter(|holder| leases.entry((*holder).clone()).or_insert_with(whole).end <= now)
            .cloned()
            .collect()
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<Holder, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str) -> Holder {
        (AgentId(name.into()), AgentInstance(1))
    }

    #[test]
    fn a_lease_ends_a_whole_ttl_after_the_last_renewal() {
        let ttl = Duration::from_secs(3);
        let (leases, start) = (Leases::new(ttl), Instant::now());
        let both = [holder("a"), holder("b")];
        assert!(leases.over(&both, start).is_empty(), "whoever is new has a whole lease");
        leases.renew(holder("a"), start + ttl / 2);
        assert!(leases.over(&both, start + ttl - Duration::from_millis(1)).is_empty());
        assert_eq!(leases.over(&both, start + ttl), [holder("b")]);
        assert_eq!(leases.over(&both[1..], start + ttl), [holder("b")]);
        assert!(leases.over(&both[..1], start + ttl * 2).is_empty(), "a was forgotten meanwhile, so it counts anew");
    }

    #[test]
    fn a_new_leader_gives_everybody_a_whole_lease() {
        let ttl = Duration::from_secs(3);
        let (leases, start) = (Leases::new(ttl), Instant::now());
        leases.renew(holder("a"), start);
        leases.clear();
        assert!(leases.over(&[holder("a")], start + ttl).is_empty());
        assert_eq!(leases.over(&[holder("a")], start + ttl * 2), [holder("a")]);
    }
}
