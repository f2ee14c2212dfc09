//! The sender's end of a channel: what is sent and not yet held by the receiver's supervisor.
//!
//! Invariants
//! * the queue holds messages `acked + 1..=sent`;
//! * `next` lies in `acked + 1..=sent + 1`: messages before it are under way on the current route;
//! * an answer from before a restart of the sender changes nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rekindle_statemachine::ids::Incarnation;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::message::Message;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Which connection messages go over: 0 for a receiver on the same agent, else the number of a carrier's connection.
pub(crate) type Route = u64;

/// The route to a role of the same agent.
pub(crate) const LOCAL: Route = 0;

/// See the head of the file.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    incarnation: Incarnation,
    sent: u64,
    acked: u64,
    queue: VecDeque<Arc<Message>>,
    bytes: usize,
    next: u64,
    under_way: usize,
    route: Option<Route>,
    retry_at: Option<Instant>,
    pause: Duration,
}

impl Outbox {
    /// For a process that continues after `sent` messages, all of them held.
    pub(crate) fn new(incarnation: Incarnation, sent: u64) -> Self {
        Outbox {
            incarnation,
            sent,
            acked: sent,
            queue: VecDeque::new(),
            bytes: 0,
            next: sent + 1,
            under_way: 0,
            route: None,
            retry_at: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Messages sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Messages that the receiver's supervisor holds.
    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    /// Whether one more message may be sent.
    pub(crate) fn has_room(&self, limit: usize) -> bool {
        self.bytes < limit
    }

    /// When to try again, if the receiver's supervisor could not take something.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// The role sends a message.
    pub(crate) fn push(&mut self, label: String, payload: Box<RawValue>) {
        self.sent += 1;
        let message = Message { incarnation: self.incarnation, index: self.sent, label, payload };
        self.bytes += message.size();
        self.queue.push_back(Arc::new(message));
    }

    /// Messages go over this route from now on; on a new one, everything unanswered goes again.
    pub(crate) fn use_route(&mut self, route: Route) {
        if self.route != Some(route) {
            self.route = Some(route);
            self.retry_at = None;
            self.pause = FIRST_PAUSE;
            self.start_over();
        }
    }

    /// The next message to put on its way, unless `window` bytes are under way unanswered, or a pause is on.
    pub(crate) fn peek(&self, window: usize) -> Option<&Arc<Message>> {
        if self.retry_at.is_some() || self.under_way >= window {
            return None;
        }
        self.queue.get(usize::try_from(self.next - self.acked - 1).ok()?)
    }

    /// The message that [`Outbox::peek`] gave is on its way.
    pub(crate) fn advance(&mut self) {
        if let Some(size) = self.peek(usize::MAX).map(|message| message.size()) {
            self.under_way += size;
            self.next += 1;
        }
    }

    /// The receiver's supervisor, which knows the sender's `incarnation`, holds everything up to `held`.
    ///
    /// Gives whether that is news.
    pub(crate) fn held(&mut self, held: u64, incarnation: Incarnation) -> bool {
        if incarnation < self.incarnation || held <= self.acked {
            return false;
        }
        while self.acked < held.min(self.sent) {
            self.acked += 1;
            let size = self.queue.pop_front().map_or(0, |message| message.size());
            self.bytes -= size;
            if self.next > self.acked {
                self.under_way -= size;
            } else {
                self.next = self.acked + 1;
            }
        }
        self.pause = FIRST_PAUSE;
        true
    }

    /// The receiver's supervisor lacks what comes after `held`, or could not take it: it goes again, at once after
    /// progress, else after a pause.
    pub(crate) fn again(&mut self, held: u64, incarnation: Incarnation, now: Instant) {
        if incarnation < self.incarnation {
            return;
        }
        let progress = self.held(held, incarnation);
        if !progress {
            self.pause_until(now);
        }
        self.start_over();
    }

    /// Nothing can be taken now, by the receiver's supervisor or by the way to it.
    pub(crate) fn pause_until(&mut self, now: Instant) {
        if self.retry_at.is_none() && !self.queue.is_empty() {
            self.retry_at = Some(now + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The receiver's supervisor does not know the session or the sender's incarnation yet.
    pub(crate) fn unknown(&mut self, now: Instant) {
        self.pause_until(now);
        self.start_over();
    }

    /// Ends a pause that is over; gives whether one was.
    pub(crate) fn resume(&mut self, now: Instant) -> bool {
        let over = self.retry_at.is_some_and(|at| at <= now);
        if over {
            self.retry_at = None;
        }
        over
    }

    /// The role restarts as `incarnation` after `sent` messages: later ones are undone, earlier ones still go out.
    pub(crate) fn restart(&mut self, incarnation: Incarnation, sent: u64) {
        self.incarnation = incarnation;
        while self.sent > sent {
            self.sent -= 1;
            let size = self.queue.pop_back().map_or(0, |message| message.size());
            self.bytes -= size;
        }
        self.sent = sent;
        self.acked = self.acked.min(sent);
        if self.queue.is_empty() {
            self.acked = sent;
        }
        self.retry_at = None;
        self.pause = FIRST_PAUSE;
        self.start_over();
    }

    fn start_over(&mut self) {
        self.next = self.acked + 1;
        self.under_way = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::fence::Fence;
    use crate::channel::inbox::{Arrival, Inbox};
    use proptest::prelude::*;

    const ONE: Incarnation = Incarnation(1);
    const TWO: Incarnation = Incarnation(2);

    fn outbox(messages: u64) -> Outbox {
        let mut outbox = Outbox::new(ONE, 0);
        outbox.use_route(1);
        for _ in 0..messages {
            outbox.push("m".to_owned(), RawValue::NULL.to_owned());
        }
        outbox
    }

    fn send_all(outbox: &mut Outbox) -> Vec<u64> {
        let mut sent = Vec::new();
        while let Some(message) = outbox.peek(usize::MAX) {
            sent.push(message.index);
            outbox.advance();
        }
        sent
    }

    #[test]
    fn what_is_not_held_goes_again_on_a_new_route() {
        let mut outbox = outbox(4);
        assert_eq!(send_all(&mut outbox), [1, 2, 3, 4]);
        assert!(outbox.held(2, ONE));
        assert!(!outbox.held(1, ONE), "answers may come late");
        outbox.use_route(1);
        assert!(send_all(&mut outbox).is_empty());
        outbox.use_route(2);
        assert_eq!(send_all(&mut outbox), [3, 4]);
    }

    #[test]
    fn the_window_bounds_what_is_under_way() {
        let mut outbox = outbox(3);
        let window = outbox.peek(usize::MAX).expect("a message").size() + 1;
        let mut count = 0;
        while outbox.peek(window).is_some() {
            outbox.advance();
            count += 1;
        }
        assert_eq!(count, 2);
        outbox.held(1, ONE);
        assert!(outbox.peek(window).is_some());
    }

    #[test]
    fn refusals_pause_longer_and_longer_and_progress_ends_them() {
        let start = Instant::now();
        let mut outbox = outbox(2);
        send_all(&mut outbox);
        outbox.again(0, ONE, start);
        let first = outbox.retry_at().expect("a pause");
        assert!(outbox.peek(usize::MAX).is_none());
        assert!(outbox.resume(first));
        assert_eq!(send_all(&mut outbox), [1, 2]);
        outbox.again(0, ONE, first);
        let second = outbox.retry_at().expect("a pause");
        assert!(second - first > first - start);
        outbox.resume(second);
        send_all(&mut outbox);
        outbox.again(1, ONE, second);
        assert_eq!(send_all(&mut outbox), [2], "after progress there is no pause");
    }

    #[test]
    fn a_restart_undoes_later_messages_and_old_answers_say_nothing_of_new_ones() {
        let mut outbox = outbox(5);
        send_all(&mut outbox);
        outbox.held(2, ONE);
        outbox.restart(TWO, 3);
        assert_eq!(send_all(&mut outbox), [3]);
        outbox.push("m".to_owned(), RawValue::NULL.to_owned());
        assert!(!outbox.held(5, ONE), "the old incarnation's message 4 was held, not this one");
        assert_eq!((outbox.acked(), outbox.sent()), (2, 4));
        assert!(outbox.held(4, TWO));
        outbox.restart(Incarnation(3), 1);
        assert_eq!((outbox.acked(), outbox.sent()), (1, 1));
    }

    /// One step of a channel between two supervisors whose connection breaks at will.
    #[derive(Clone, Debug)]
    enum Step {
        Send,
        Transmit,
        /// The oldest message under way arrives; its answer is under way.
        Arrive,
        /// The oldest answer arrives.
        Answer,
        /// The connection breaks: what is under way is lost, or arrives late and mixed into the next.
        Cut {
            late: bool,
        },
        Receive,
        Wait,
        Restart(f64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => Just(Step::Send),
            8 => Just(Step::Transmit),
            8 => Just(Step::Arrive),
            8 => Just(Step::Answer),
            2 => any::<bool>().prop_map(|late| Step::Cut { late }),
            5 => Just(Step::Receive),
            3 => Just(Step::Wait),
            1 => (0.0..=1.0f64).prop_map(Step::Restart),
        ]
    }

    struct Pair {
        outbox: Outbox,
        inbox: Inbox,
        incarnation: u64,
        floors: Vec<(Incarnation, u64)>,
        route: Route,
        going: VecDeque<Arc<Message>>,
        answers: VecDeque<(u64, Incarnation, bool)>,
        now: Instant,
        /// What the sender's standing history says was sent: one token per message.
        standing: Vec<String>,
        token: u64,
        limit: usize,
    }

    impl Pair {
        fn new(limit: usize) -> Self {
            let mut outbox = Outbox::new(ONE, 0);
            outbox.use_route(1);
            Pair {
                outbox,
                inbox: Inbox::new(Fence::new(ONE, vec![]), true, 0),
                incarnation: 1,
                floors: vec![],
                route: 1,
                going: VecDeque::new(),
                answers: VecDeque::new(),
                now: Instant::now(),
                standing: vec![],
                token: 0,
                limit,
            }
        }

        fn run(&mut self, step: &Step) {
            match step {
                Step::Send => {
                    self.token += 1;
                    let token = self.token.to_string();
                    self.standing.push(token.clone());
                    self.outbox.push(token, RawValue::NULL.to_owned());
                }
                Step::Transmit => {
                    if let Some(message) = self.outbox.peek(400) {
                        self.going.push_back(Arc::clone(message));
                        self.outbox.advance();
                    }
                }
                Step::Arrive => {
                    if let Some(message) = self.going.pop_front() {
                        let arrival = self.inbox.accept(message, 0, self.limit);
                        let again = matches!(arrival, Arrival::Gap | Arrival::Full | Arrival::Early);
                        self.answers.push_back((self.inbox.held(), self.inbox.sender(), again));
                    }
                }
                Step::Answer => match self.answers.pop_front() {
                    Some((held, incarnation, true)) => self.outbox.again(held, incarnation, self.now),
                    Some((held, incarnation, false)) => {
                        self.outbox.held(held, incarnation);
                    }
                    None => {}
                },
                Step::Cut { late } => {
                    if !late {
                        self.going.clear();
                        self.answers.clear();
                    }
                    self.route += 1;
                    self.outbox.use_route(self.route);
                }
                Step::Receive => {
                    self.inbox.take();
                }
                Step::Wait => {
                    self.now += LONGEST_PAUSE;
                    self.outbox.resume(self.now);
                }
                Step::Restart(share) => self.restart(*share),
            }
        }

        fn restart(&mut self, share: f64) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let floor = ((self.outbox.sent() as f64 * share) as u64).max(self.inbox.received());
            self.incarnation += 1;
            self.floors.push((Incarnation(self.incarnation), floor));
            self.outbox.restart(Incarnation(self.incarnation), floor);
            self.inbox.learn(Incarnation(self.incarnation), self.floors.clone());
            self.standing.truncate(usize::try_from(floor).expect("small"));
        }
    }

    proptest! {
        #[test]
        fn every_standing_message_arrives_exactly_once_and_in_order(
            steps in prop::collection::vec(step(), 1..200),
            limit in prop_oneof![Just(150usize), Just(usize::MAX)],
        ) {
            let mut pair = Pair::new(limit);
            for step in &steps {
                pair.run(step);
                prop_assert!(pair.outbox.acked() <= pair.inbox.held(), "an answer promised what is not held");
            }
            // The connection holds from now on.
            let quiet = [Step::Wait, Step::Transmit, Step::Arrive, Step::Answer, Step::Receive];
            for step in quiet.iter().cycle().take(quiet.len() * (2 * steps.len() + 20)) {
                pair.run(step);
            }
            let arrived: Vec<String> =
                (1..=pair.inbox.held()).filter_map(|index| pair.inbox.kept(index)).map(|message| message.label.clone()).collect();
            prop_assert_eq!(&arrived, &pair.standing);
            prop_assert_eq!(pair.outbox.acked(), pair.outbox.sent());
        }
    }
}
