//! `WatchSession`: events from the state as it is applied here, on any node.
//!
//! A watcher that falls behind holds nothing up: events are read from the state when there is room in its stream.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream;
use futures::{Stream, StreamExt};
use rekindle_proto::convert::view;
use rekindle_proto::status::RequestError;
use rekindle_proto::v1;
use rekindle_statemachine::command::Rejection;
use rekindle_statemachine::ids::{Generation, SessionId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::replica::Replica;

/// Events taken from the state at once.
const BATCH: usize = 64;

struct Watch {
    replica: Arc<Replica>,
    applied: watch::Receiver<u64>,
    session: SessionId,
    /// Of the session that is watched, once it was seen: another one of its name is none of this watch's business.
    generation: Option<Generation>,
    next: u64,
    ready: VecDeque<v1::SessionEvent>,
    over: bool,
}

pub(super) fn events(
    replica: Arc<Replica>,
    session: SessionId,
    from: u64,
    stop: CancellationToken,
) -> impl Stream<Item = Result<v1::SessionEvent, Status>> + Send {
    let applied = replica.applied();
    let watch = Watch { replica, applied, session, generation: None, next: from, ready: VecDeque::new(), over: false };
    stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((event, watch))
    })
    .take_until(stop.cancelled_owned())
}

impl Watch {
    async fn next(&mut self) -> Option<Result<v1::SessionEvent, Status>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.next = event.number + 1;
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            // Before the look, so that whatever is applied after it is noticed.
            self.applied.mark_unchanged();
            if let Err(error) = self.look() {
                self.over = true;
                return Some(Err(error.into()));
            }
            if self.ready.is_empty() && !self.over && self.applied.changed().await.is_err() {
                return None;
            }
        }
    }

    fn look(&mut self) -> Result<(), RequestError> {
        let state = self.replica.state();
        // Sessions that ended long ago are forgotten.
        let unknown = || Rejection::UnknownSession(self.session.clone());
        let session = state.session(&self.session).ok_or_else(unknown)?;
        if *self.generation.get_or_insert(session.generation) != session.generation {
            return Err(unknown().into());
        }
        let image = state.protocol(&session.protocol).ok_or_else(unknown)?;
        // Numbers have no gaps, so where to begin is a subtraction.
        let first = session.events.front().map_or(1, |event| event.sequence);
        let skip = usize::try_from(self.next.saturating_sub(first)).unwrap_or(usize::MAX);
        let new = session.events.iter().skip(skip).take(BATCH);
        self.ready.extend(new.map(|event| view::event(session, image, event)));
        let last = session.events.back().map_or(0, |event| event.sequence);
        let shown = self.ready.back().map_or(self.next, |event| event.number + 1);
        self.over = session.has_ended() && shown > last;
        Ok(())
    }
}
