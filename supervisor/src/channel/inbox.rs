//! The receiver's end of a channel: what has come, what the role has received, what is kept.
//!
//! Invariants
//! * messages `1..=held` have come, each once, and none of them is undone;
//! * the store holds messages `first..=held`: under retention `volatile` those that are not received yet, under
//!   `retained` every one since this supervisor took the role;
//! * no message of an incarnation that the fence does not know is held.

use std::collections::VecDeque;
use std::sync::Arc;

use rekindle_statemachine::ids::Incarnation;

use super::fence::Fence;
use super::message::Message;

/// See the head of the file.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    fence: Fence,
    /// Whether received messages are kept.
    keep: bool,
    held: u64,
    received: u64,
    first: u64,
    store: VecDeque<Arrived>,
    unreceived_bytes: usize,
    stored_bytes: usize,
}

#[derive(Clone, Debug)]
struct Arrived {
    /// Place in the order in which messages of all peers came.
    order: u64,
    message: Arc<Message>,
}

/// What became of a message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Held from now on.
    Accepted,
    /// Held already.
    Duplicate,
    /// Fenced off: dropped.
    Undone,
    /// Not the next one: it must come again.
    Gap,
    /// From an incarnation that is not known here yet: it must come again.
    Early,
    /// There is no room now: it must come again.
    Full,
}

impl Inbox {
    /// For a role that has received `received` messages elsewhere, or 0.
    pub(crate) fn new(fence: Fence, keep: bool, received: u64) -> Self {
        Inbox {
            fence,
            keep,
            held: received,
            received,
            first: received + 1,
            store: VecDeque::new(),
            unreceived_bytes: 0,
            stored_bytes: 0,
        }
    }

    /// Every message up to this index is held, or no longer needed.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Messages that the role has received.
    #[cfg(test)]
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Bytes of all messages in the store.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.stored_bytes
    }

    /// The sender's highest incarnation that is known here.
    pub(crate) fn sender(&self) -> Incarnation {
        self.fence.newest()
    }

    /// Takes a message from the sender's supervisor. `order` is its place among the messages of all peers, `limit` the
    /// bytes of unreceived messages from which on nothing more is taken.
    pub(crate) fn accept(&mut self, message: Arc<Message>, order: u64, limit: usize) -> Arrival {
        if message.incarnation > self.fence.newest() {
            return Arrival::Early;
        }
        if self.fence.undone(message.incarnation, message.index) {
            return Arrival::Undone;
        }
        if message.index <= self.held {
            return Arrival::Duplicate;
        }
        if message.index > self.held + 1 {
            return Arrival::Gap;
        }
        if self.unreceived_bytes >= limit {
            return Arrival::Full;
        }
        self.held += 1;
        self.unreceived_bytes += message.size();
        self.stored_bytes += message.size();
        self.store.push_back(Arrived { order, message });
        Arrival::Accepted
    }

    /// The next message for the role, and its place in the order of arrival.
    pub(crate) fn head(&self) -> Option<(u64, &Message)> {
        self.stored(self.received + 1).map(|arrived| (arrived.order, &*arrived.message))
    }

    /// The role receives the next message.
    pub(crate) fn take(&mut self) -> Option<Arc<Message>> {
        let message = Arc::clone(&self.stored(self.received + 1)?.message);
        self.received += 1;
        self.unreceived_bytes -= message.size();
        if !self.keep {
            self.store.pop_front();
            self.first += 1;
            self.stored_bytes -= message.size();
        }
        Some(message)
    }

    /// Message `index`, if it is kept here.
    pub(crate) fn kept(&self, index: u64) -> Option<&Arc<Message>> {
        self.stored(index).map(|arrived| &arrived.message)
    }

    /// Learns of the sender's restarts, and drops what they undid.
    pub(crate) fn learn(&mut self, newest: Incarnation, floors: Vec<(Incarnation, u64)>) {
        let Some(keep) = self.fence.learn(newest, floors) else { return };
        self.held = self.held.min(keep);
        while self.first + self.store.len() as u64 > self.held + 1 {
            if self.store.pop_back().is_none() {
                self.first = self.held + 1;
            }
        }
        self.measure();
    }

    /// The role stands where it has received `received` messages. Floors are learnt before.
    ///
    /// Under `volatile` its mailbox is lost: the recovery line has left nothing in it that is needed.
    pub(crate) fn rewind(&mut self, received: u64) {
        self.received = received;
        if !self.keep {
            self.store.clear();
            self.held = received;
            self.first = received + 1;
        }
        self.measure();
    }

    fn stored(&self, index: u64) -> Option<&Arrived> {
        self.store.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    fn measure(&mut self) {
        self.stored_bytes = self.store.iter().map(|arrived| arrived.message.size()).sum();
        let unreceived = self.store.iter().filter(|arrived| arrived.message.index > self.received);
        self.unreceived_bytes = unreceived.map(|arrived| arrived.message.size()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    const LIMIT: usize = 1 << 20;

    fn message(incarnation: u64, index: u64) -> Arc<Message> {
        Arc::new(Message {
            incarnation: Incarnation(incarnation),
            index,
            label: "m".to_owned(),
            payload: RawValue::NULL.to_owned(),
        })
    }

    fn fresh(keep: bool) -> Inbox {
        Inbox::new(Fence::new(Incarnation(1), vec![]), keep, 0)
    }

    #[test]
    fn each_index_is_accepted_once_and_in_order() {
        let mut inbox = fresh(true);
        assert_eq!(inbox.accept(message(1, 2), 0, LIMIT), Arrival::Gap);
        assert_eq!(inbox.accept(message(1, 1), 1, LIMIT), Arrival::Accepted);
        assert_eq!(inbox.accept(message(1, 1), 2, LIMIT), Arrival::Duplicate);
        assert_eq!(inbox.accept(message(2, 2), 3, LIMIT), Arrival::Early);
        assert_eq!(inbox.accept(message(1, 2), 4, LIMIT), Arrival::Accepted);
        assert_eq!(inbox.take().map(|message| message.index), Some(1));
        assert_eq!(inbox.head().map(|(order, message)| (order, message.index)), Some((4, 2)));
    }

    #[test]
    fn unreceived_bytes_are_bounded_and_received_ones_make_room() {
        for keep in [false, true] {
            let mut inbox = fresh(keep);
            let limit = message(1, 1).size() + 1;
            assert_eq!(inbox.accept(message(1, 1), 0, limit), Arrival::Accepted);
            assert_eq!(inbox.accept(message(1, 2), 1, limit), Arrival::Accepted);
            assert_eq!(inbox.accept(message(1, 3), 2, limit), Arrival::Full);
            assert!(inbox.take().is_some());
            assert_eq!(inbox.accept(message(1, 3), 3, limit), Arrival::Accepted);
            assert_eq!(inbox.kept(1).is_some(), keep);
        }
    }

    #[test]
    fn a_restart_of_the_sender_removes_what_it_undid() {
        let mut inbox = fresh(true);
        for index in 1..=5 {
            inbox.accept(message(1, index), index, LIMIT);
        }
        inbox.take();
        inbox.learn(Incarnation(2), vec![(Incarnation(2), 3)]);
        assert_eq!(inbox.held(), 3);
        assert_eq!(inbox.accept(message(1, 4), 6, LIMIT), Arrival::Undone);
        assert_eq!(inbox.accept(message(2, 4), 7, LIMIT), Arrival::Accepted);
        // The same order again undoes nothing of the new incarnation.
        inbox.learn(Incarnation(2), vec![(Incarnation(2), 3)]);
        assert_eq!(inbox.held(), 4);
    }

    #[test]
    fn a_restart_of_the_receiver_gives_kept_messages_again() {
        let mut inbox = fresh(true);
        for index in 1..=3 {
            inbox.accept(message(1, index), index, LIMIT);
            inbox.take();
        }
        inbox.rewind(1);
        assert_eq!(inbox.take().map(|message| message.index), Some(2));

        let mut inbox = fresh(false);
        inbox.accept(message(1, 1), 1, LIMIT);
        inbox.accept(message(1, 2), 2, LIMIT);
        inbox.take();
        inbox.rewind(1);
        assert!(inbox.head().is_none(), "a volatile mailbox is lost with its role");
        assert_eq!(inbox.held(), 1);
    }

    /// What one step of a random run does.
    #[derive(Clone, Debug)]
    enum Step {
        /// Sends the next message.
        Send,
        /// A message that was sent at any time comes, or comes again.
        Arrive(prop::sample::Index),
        /// The receiver takes one.
        Receive,
        /// The sender restarts, at a share of what it has sent, never below what is received.
        Restart(f64),
        /// The order of the last restart comes again.
        Repeat,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Send),
            8 => any::<prop::sample::Index>().prop_map(Step::Arrive),
            3 => Just(Step::Receive),
            1 => (0.0..=1.0f64).prop_map(Step::Restart),
            1 => Just(Step::Repeat),
        ]
    }

    proptest! {
        #[test]
        fn the_store_is_what_the_definition_says(steps in prop::collection::vec(step(), 1..120), keep: bool) {
            let mut inbox = fresh(keep);
            let mut sent: Vec<Arc<Message>> = Vec::new();
            let (mut incarnation, mut count) = (1, 0);
            let mut floors: Vec<(Incarnation, u64)> = Vec::new();
            // The definition: every message that came when it was next, minus those that a later floor undid.
            let mut naive: Vec<Arc<Message>> = Vec::new();
            let undone = |floors: &[(Incarnation, u64)], message: &Message| {
                floors.iter().any(|(j, floor)| *j > message.incarnation && *floor < message.index)
            };
            for step in steps {
                match step {
                    Step::Send => {
                        count += 1;
                        sent.push(message(incarnation, count));
                    }
                    Step::Arrive(any) if !sent.is_empty() => {
                        let message = Arc::clone(any.get(&sent));
                        if !undone(&floors, &message) && message.index == naive.len() as u64 + 1 {
                            naive.push(Arc::clone(&message));
                        }
                        inbox.accept(message, 0, usize::MAX);
                    }
                    Step::Arrive(_) => {}
                    Step::Receive => {
                        let at = usize::try_from(inbox.received()).expect("small");
                        let expected = naive.get(at).map(|message| (message.incarnation, message.index));
                        prop_assert_eq!(inbox.take().map(|message| (message.incarnation, message.index)), expected);
                    }
                    Step::Restart(share) => {
                        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
                        let floor = (count as f64 * share) as u64;
                        count = floor.max(inbox.received());
                        incarnation += 1;
                        floors.push((Incarnation(incarnation), count));
                        inbox.learn(Incarnation(incarnation), floors.clone());
                        naive.retain(|message| !undone(&floors, message));
                    }
                    Step::Repeat => inbox.learn(Incarnation(incarnation), floors.clone()),
                }
                prop_assert_eq!(inbox.held(), naive.len() as u64);
                if keep {
                    for message in &naive {
                        let kept = inbox.kept(message.index).map(|kept| kept.incarnation);
                        prop_assert_eq!(kept, Some(message.incarnation));
                    }
                }
            }
        }
    }
}
