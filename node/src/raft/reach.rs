//! Which of the other nodes answer, and when one that does not is tried again.
//!
//! The library asks for each heartbeat, vote and append anew, and waits between them only where a stream was opened:
//! with a node down, it would try as fast as connections are refused. So all calls to a node pass here first.
//!
//! Invariants
//! * a node that answers is never kept waiting;
//! * one that does not is tried at most twice a second after the first second, whoever wants to call it; but an election
//!   asks everybody: it is no retry, comes once in an election timeout, and may need the node that was away until now;
//! * people are told once that a node is gone, and once that it is back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::async_runtime::AsyncRuntime;
use rand::RngExt;
use rekindle_proto::backoff::Backoff;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::runtime::NodeRuntime;

const FIRST_WAIT: Duration = Duration::from_millis(20);
/// Half of it, the shortest that jitter makes of it, is half a second.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A node that is away for less is not worth a line: one that is just started, or restarted.
const NEWS_AFTER: Duration = Duration::from_secs(1);

/// Waits between tries of a node that does not answer.
pub(super) const fn backoff() -> Backoff {
    Backoff::new(FIRST_WAIT, LONGEST_WAIT)
}

/// Every other node, as far as it was called or heard from.
#[derive(Clone, Default)]
pub(crate) struct Reaches(Arc<Mutex<BTreeMap<u64, Arc<Reach>>>>);

/// One node.
pub(super) struct Reach {
    state: Mutex<State>,
    /// A node that was away answers.
    back: Notify,
}

/// A call of a node that may be called now.
pub(super) struct Call<'a> {
    reach: &'a Reach,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Given up, so far.
    Open,
    Said,
}

impl Reaches {
    pub(super) fn of(&self, id: u64) -> Arc<Reach> {
        let mut reaches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reach = reaches.entry(id).or_insert_with(|| Arc::new(Reach::new(id)));
        Arc::clone(reach)
    }

    /// A node has called this one: if it was away, it is worth a try at once.
    pub(super) fn heard_from(&self, id: u64) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(reach) = known {
            reach.state().heard(Instant::now());
            reach.back.notify_waiters();
        }
    }
}

impl Reach {
    fn new(id: u64) -> Self {
        Reach { state: Mutex::new(State::new(id)), back: Notify::new() }
    }

    /// A call now, or `None` if the node was tried in vain a moment ago.
    pub(super) fn call(&self, silence: Duration) -> Option<Call<'_>> {
        let admitted = self.state().admit(Instant::now(), silence, draw()).is_ok();
        admitted.then_some(Call { reach: self, outcome: Outcome::Open })
    }

    /// A call of an election, which is never kept waiting.
    pub(super) fn election_call(&self) -> Call<'_> {
        Call { reach: self, outcome: Outcome::Open }
    }

    /// A call now or after one wait, if the node answers by then or it is time for another try.
    pub(super) async fn call_in_turn(&self, silence: Duration) -> Option<Call<'_>> {
        // Before the look at the state: what happens in between is not missed.
        let back = self.back.notified();
        let admitted = self.state().admit(Instant::now(), silence, draw());
        let Err(next) = admitted else { return Some(Call { reach: self, outcome: Outcome::Open }) };
        // Whether it is back or not, the state says below.
        let _ = timeout_at(next, back).await;
        self.call(silence)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call<'_> {
    /// The node answered, whatever it said.
    pub(super) fn answered(mut self) {
        self.outcome = Outcome::Said;
        let news = self.reach.state().answered(Instant::now());
        if let Some(News::Back { node, away }) = news {
            tracing::warn!(node, away_ms = away.as_millis(), "a node answers again");
        }
        self.reach.back.notify_waiters();
    }

    /// It cannot be reached.
    pub(super) fn failed(mut self, reason: &str) {
        self.outcome = Outcome::Said;
        self.reach.failed(reason);
    }
}

impl Drop for Call<'_> {
    /// Who gives a call up has waited for an answer that did not come.
    fn drop(&mut self) {
        if self.outcome == Outcome::Open && self.reach.state().away.is_some() {
            self.reach.failed("it does not answer");
        }
    }
}

impl Reach {
    fn failed(&self, reason: &str) {
        let news = self.state().failed(Instant::now(), draw());
        if let Some(News::Gone { node }) = news {
            tracing::warn!(node, reason, "a node cannot be reached; from now on it is tried about once a second");
        }
    }
}

/// From the source that a simulation can seed.
fn draw() -> f64 {
    NodeRuntime::thread_rng().random()
}

/// What people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Gone { node: u64 },
    Back { node: u64, away: Duration },
}

struct State {
    node: u64,
    /// The first call since the last answer.
    asked: Option<Instant>,
    away: Option<Away>,
}

/// A node that did not answer.
struct Away {
    since: Instant,
    /// When it may be tried again.
    next: Instant,
    backoff: Backoff,
    told: bool,
}

impl Away {
    fn new(since: Instant) -> Self {
        Away { since, next: since, backoff: backoff(), told: false }
    }
}

impl State {
    fn new(node: u64) -> Self {
        State { node, asked: None, away: None }
    }

    /// Whether the node may be called now; else, when. Who is let through takes the turn of everybody else.
    fn admit(&mut self, now: Instant, silence: Duration, drawn: f64) -> Result<(), Instant> {
        let asked = *self.asked.get_or_insert(now);
        if self.away.is_none() {
            if now.duration_since(asked) <= silence {
                return Ok(());
            }
            // Calls that were given up one after the other, as heartbeats are.
            self.away = Some(Away::new(asked));
        }
        match &mut self.away {
            Some(away) if now < away.next => Err(away.next),
            Some(away) => {
                away.next = now + away.backoff.next_drawn(drawn);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn answered(&mut self, now: Instant) -> Option<News> {
        self.asked = None;
        let away = self.away.take()?;
        away.told.then(|| News::Back { node: self.node, away: now.duration_since(away.since) })
    }

    fn failed(&mut self, now: Instant, drawn: f64) -> Option<News> {
        let away = self.away.get_or_insert_with(|| {
            let mut away = Away::new(now);
            away.next = now + away.backoff.next_drawn(drawn);
            away
        });
        let news = !away.told && now.duration_since(away.since) >= NEWS_AFTER;
        away.told |= news;
        news.then_some(News::Gone { node: self.node })
    }

    fn heard(&mut self, now: Instant) {
        if let Some(away) = &mut self.away {
            away.next = now;
            away.backoff.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(1);
    const HEARTBEAT: Duration = Duration::from_millis(40);

    /// What happens to a node that is called at every heartbeat for a while: tries in each second, and news.
    fn calls(state: &mut State, from: Instant, seconds: u32, refused: bool, drawn: f64) -> (Vec<u32>, Vec<News>) {
        let mut tries = vec![0; seconds as usize];
        let mut news = Vec::new();
        for beat in 0..seconds * 25 {
            let now = from + HEARTBEAT * beat;
            if state.admit(now, SILENCE, drawn).is_ok() {
                tries[(beat / 25) as usize] += 1;
                if refused || state.away.is_some() {
                    news.extend(state.failed(now, drawn));
                }
            }
        }
        (tries, news)
    }

    #[test]
    fn a_node_that_refuses_is_tried_at_most_twice_a_second_and_told_of_once() {
        for drawn in [0.0, 0.3, 1.0] {
            let start = Instant::now();
            let mut state = State::new(2);
            let (tries, news) = calls(&mut state, start, 60, true, drawn);
            assert!(tries[1..].iter().all(|tries| *tries <= 2), "{tries:?}");
            assert!(tries.iter().sum::<u32>() >= 55, "it is tried all the same: {tries:?}");
            assert_eq!(news, [News::Gone { node: 2 }]);
            let minute = Duration::from_mins(1);
            assert_eq!(state.answered(start + minute), Some(News::Back { node: 2, away: minute }));
            assert_eq!(state.admit(start + minute, SILENCE, drawn), Ok(()));
            assert_eq!(state.admit(start + minute, SILENCE, drawn), Ok(()), "nobody waits once it answers");
        }
    }

    #[test]
    fn a_node_that_is_silent_is_away_after_a_while() {
        let mut state = State::new(2);
        let (tries, news) = calls(&mut state, Instant::now(), 60, false, 0.5);
        assert_eq!(tries[0], 25, "calls that are only slow are made as ever");
        assert!(tries[2..].iter().all(|tries| *tries <= 2), "{tries:?}");
        assert_eq!(news, [News::Gone { node: 2 }]);
    }

    #[test]
    fn a_node_that_calls_is_tried_at_once() {
        let start = Instant::now();
        let mut state = State::new(2);
        calls(&mut state, start, 10, true, 1.0);
        let now = start + Duration::from_secs(10);
        state.heard(now);
        assert_eq!(state.admit(now, SILENCE, 1.0), Ok(()));
        assert_eq!(state.admit(now, SILENCE, 1.0), Err(now + FIRST_WAIT), "and from then on as at the beginning");
    }

    #[test]
    fn a_short_absence_is_no_news() {
        let start = Instant::now();
        let mut state = State::new(2);
        assert_eq!(state.failed(start, 1.0), None);
        assert_eq!(state.answered(start + NEWS_AFTER / 2), None);
    }
}
