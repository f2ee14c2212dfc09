//! Memory for messages that have not arrived whole.
//!
//! A server makes room for a message as soon as its length is known, so many callers who send a length and little else
//! take much memory for nothing. Here the length is taken out of a budget before the server hears of it.
//!
//! Invariants
//! * what is under way of all calls together stays within the budgets; whoever finds nothing left waits, and is not read
//!   from meanwhile;
//! * a message holds its share for no longer than a time, then its call ends;
//! * great messages never keep small ones waiting, nor those of clients those between nodes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::Request;
use tower_layer::Layer;

/// Flag and length come before every message.
const PREFIX: usize = 5;
/// Messages up to this have a budget of their own.
const SMALL: usize = 64 << 10;
/// Calls between nodes have budgets of their own.
const BETWEEN_NODES: &str = "/rekindle.v1.Raft/";

/// How much memory messages under way may take, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of small messages together.
    pub small: usize,
    /// Bytes of great ones together. One that is greater than that takes all of it.
    pub great: usize,
    /// From the beginning of a message to its end.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { small: 16 << 20, great: 64 << 20, patience: Duration::from_secs(30) }
    }
}

/// Puts every call under budgets.
#[derive(Clone, Debug)]
pub struct Arriving {
    clients: Budget,
    nodes: Budget,
}

#[derive(Clone, Debug)]
struct Budget {
    limits: Limits,
    small: Arc<Semaphore>,
    great: Arc<Semaphore>,
}

impl Arriving {
    /// With these limits for clients and agents, and the same again for nodes.
    pub fn new(limits: Limits) -> Self {
        Arriving { clients: Budget::new(limits), nodes: Budget::new(limits) }
    }
}

impl Budget {
    fn new(limits: Limits) -> Self {
        let small = Arc::new(Semaphore::new(limits.small));
        Budget { limits, small, great: Arc::new(Semaphore::new(limits.great)) }
    }

    fn take(&self, length: usize) -> BoxFuture<'static, Option<OwnedSemaphorePermit>> {
        let (pool, most) = if length <= SMALL {
            (Arc::clone(&self.small), self.limits.small)
        } else {
            (Arc::clone(&self.great), self.limits.great)
        };
        let share = u32::try_from(length.min(most)).unwrap_or(u32::MAX);
        // The pools are never closed.
        Box::pin(async move { pool.acquire_many_owned(share).await.ok() })
    }
}

impl<S> Layer<S> for Arriving {
    type Service = Budgeted<S>;

    fn layer(&self, inner: S) -> Budgeted<S> {
        Budgeted { inner, budgets: self.clone() }
    }
}

/// A service under budgets.
#[derive(Clone, Debug)]
pub struct Budgeted<S> {
    inner: S,
    budgets: Arriving,
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Budgeted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let between_nodes = request.uri().path().starts_with(BETWEEN_NODES);
        let budget = if between_nodes { self.budgets.nodes.clone() } else { self.budgets.clients.clone() };
        self.inner.call(request.map(|body| Body::new(Counted::new(body, budget))))
    }
}

/// The messages of one call.
struct Counted {
    inner: Body,
    budget: Budget,
    framing: Framing,
    share: Option<OwnedSemaphorePermit>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// A frame that waits for its share.
    waiting: Option<(Frame<Bytes>, BoxFuture<'static, Option<OwnedSemaphorePermit>>)>,
}

impl Counted {
    fn new(inner: Body, budget: Budget) -> Self {
        Counted { inner, budget, framing: Framing::default(), share: None, deadline: None, waiting: None }
    }

    /// Takes note of a frame, and holds it back if a share is needed for what it begins.
    fn note(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let Some(data) = frame.data_ref() else { return Some(frame) };
        let Passed { ended, left_open } = self.framing.pass(data);
        if ended {
            self.share = None;
            self.deadline = None;
        }
        match left_open {
            Some(length) => {
                self.deadline = Some(Box::pin(sleep(self.budget.limits.patience)));
                self.waiting = Some((frame, self.budget.take(length)));
                None
            }
            None => Some(frame),
        }
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(deadline) = &mut self.deadline
                && deadline.as_mut().poll(cx).is_ready()
            {
                self.deadline = None;
                self.waiting = None;
                self.share = None;
                return Poll::Ready(Some(Err(Status::deadline_exceeded("a message did not arrive in time"))));
            }
            if let Some((_, share)) = &mut self.waiting {
                self.share = ready!(share.as_mut().poll(cx));
                let frame = self.waiting.take().map(|(frame, _)| Ok(frame));
                return Poll::Ready(frame);
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(frame) = self.note(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                other => return Poll::Ready(other),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Where messages begin and end in a stream of bytes.
#[derive(Debug, Default)]
struct Framing {
    prefix: Vec<u8>,
    left: usize,
}

/// What a piece of the stream did.
#[derive(Debug, PartialEq, Eq)]
struct Passed {
    /// The message that was under way has ended.
    ended: bool,
    /// The length of a message that began in this piece and goes on after it.
    left_open: Option<usize>,
}

impl Framing {
    fn pass(&mut self, mut data: &[u8]) -> Passed {
        let mut passed = Passed { ended: false, left_open: None };
        loop {
            let now = self.left.min(data.len());
            data.advance(now);
            self.left -= now;
            if self.left > 0 {
                return passed;
            }
            passed = Passed { ended: true, left_open: None };
            let now = (PREFIX - self.prefix.len()).min(data.len());
            self.prefix.extend_from_slice(&data[..now]);
            data.advance(now);
            if self.prefix.len() < PREFIX {
                return passed;
            }
            let mut length = [0; 4];
            length.copy_from_slice(&self.prefix[1..]);
            self.prefix.clear();
            self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if self.left > data.len() {
                passed.left_open = Some(self.left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn message(length: u32, sent: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.resize(PREFIX + sent, 7);
        bytes
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let open = |length| Passed { ended: true, left_open: Some(length) };
        let (whole, nothing) = (Passed { ended: true, left_open: None }, Passed { ended: false, left_open: None });
        let mut framing = Framing::default();
        assert_eq!(framing.pass(&message(3, 3)), whole);
        assert_eq!(framing.pass(&[message(3, 3), message(9, 2)].concat()), open(9));
        assert_eq!(framing.pass(&[7; 6]), nothing);
        assert_eq!(framing.pass(&[7, 0, 0]), whole, "the end of one and half of a prefix");
        assert_eq!(framing.pass(&[0, 0, 2]), open(2));
        assert_eq!(framing.pass(&[[7; 2].to_vec(), message(0, 0)].concat()), whole);
    }

    fn body(pieces: Vec<Vec<u8>>) -> Body {
        let frames = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece))));
        Body::new(StreamBody::new(stream::iter(frames).chain(stream::pending())))
    }

    #[tokio::test]
    async fn what_is_under_way_stays_within_the_budget() {
        let limits = Limits { small: 1000, great: 1 << 20, patience: Duration::from_secs(600) };
        let budget = Budget::new(limits);
        let mut first = Counted::new(body(vec![message(800, 10), vec![7; 790]]), budget.clone());
        let mut second = Counted::new(body(vec![message(800, 10)]), budget.clone());
        let mut great = Counted::new(body(vec![message(1 << 30, 10)]), budget);
        first.frame().now_or_never().expect("its share is there");
        assert!(second.frame().now_or_never().is_none(), "there is no share left");
        great.frame().now_or_never().expect("great ones have a budget of their own");
        first.frame().now_or_never().expect("the rest of the message");
        second.frame().now_or_never().expect("the share came free");
    }

    #[tokio::test]
    async fn a_message_that_does_not_end_ends_its_call() {
        let limits = Limits { small: 1000, great: 1000, patience: Duration::from_millis(20) };
        let mut slow = Counted::new(body(vec![message(800, 10)]), Budget::new(limits));
        slow.frame().await.expect("a frame").expect("its beginning");
        let error = slow.frame().await.expect("a frame").expect_err("it never ends");
        assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
    }
}
