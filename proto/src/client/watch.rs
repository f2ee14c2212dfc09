//! Watching a session across the deaths of nodes.
//!
//! Invariant: each event is handed out once, in the order of its number, whatever node it comes from.

use std::collections::VecDeque;
use std::time::Duration;

use futures::{Stream, stream};
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};

use super::{ATTEMPT, Client, ClientError, Doubt, Node, dial, retry};
use crate::backoff::Backoff;
use crate::v1;
use crate::v1::session_event::Kind;

struct Watch {
    client: Client,
    session: String,
    next: u64,
    open: Option<(Node, Streaming<v1::SessionEvent>)>,
    backoff: Backoff,
    /// Since when nothing has worked.
    failing: Option<Instant>,
    /// Nodes that failed since then, so that the next one is tried.
    failed: VecDeque<String>,
    over: bool,
}

pub(super) fn events(
    client: Client,
    session: String,
    from: u64,
) -> impl Stream<Item = Result<v1::SessionEvent, ClientError>> + Send + use<> {
    let watch = Watch {
        client,
        session,
        next: from,
        open: None,
        backoff: retry::backoff(),
        failing: None,
        failed: VecDeque::new(),
        over: false,
    };
    stream::unfold(watch, |mut watch| async move {
        if watch.over {
            return None;
        }
        let event = watch.next().await;
        watch.over = match &event {
            Ok(event) => matches!(event.kind, Some(Kind::Ended(_))),
            Err(_) => true,
        };
        Some((event, watch))
    })
}

impl Watch {
    async fn next(&mut self) -> Result<v1::SessionEvent, ClientError> {
        loop {
            let (node, mut events) = match self.open.take() {
                Some(open) => open,
                None => self.reopen().await?,
            };
            match events.message().await {
                Ok(Some(event)) => {
                    self.open = Some((node, events));
                    self.failing = None;
                    self.failed.clear();
                    self.backoff.reset();
                    if event.number < self.next {
                        continue;
                    }
                    self.next = event.number + 1;
                    return Ok(event);
                }
                Ok(None) => self.after(&node, &Status::unavailable("the watch ended early")).await?,
                Err(status) => self.after(&node, &status).await?,
            }
        }
    }

    async fn reopen(&mut self) -> Result<(Node, Streaming<v1::SessionEvent>), ClientError> {
        loop {
            let node = self.pick().await?;
            let request = v1::WatchSessionRequest { session: self.session.clone(), from: self.next };
            let mut cluster = dial::cluster(node.channel.clone());
            match timeout(ATTEMPT, cluster.watch_session(request)).await {
                Ok(Ok(events)) => return Ok((node, events.into_inner())),
                Ok(Err(status)) => self.after(&node, &status).await?,
                Err(_) => self.after(&node, &Status::deadline_exceeded("no answer in time")).await?,
            }
        }
    }

    /// The leader if it is known; after a failure any other node, since each of them can tell.
    async fn pick(&mut self) -> Result<Node, ClientError> {
        if let Some(node) = self.client.known().filter(|node| !self.failed.contains(&node.endpoint)) {
            return Ok(node);
        }
        if self.failing.is_none() {
            let deadline = Instant::now() + self.client.timeout;
            return self.client.leading(deadline).await.map_err(|last| self.client.no_leader(last));
        }
        for endpoint in self.client.seeds.iter().filter(|endpoint| !self.failed.contains(*endpoint)) {
            if let Ok(channel) = dial::connect(endpoint, super::DIAL).await {
                return Ok(Node { endpoint: endpoint.clone(), channel });
            }
        }
        self.failed.clear();
        let deadline = self.deadline();
        self.client.leading(deadline).await.map_err(|last| self.client.no_leader(last))
    }

    fn deadline(&mut self) -> Instant {
        *self.failing.get_or_insert_with(Instant::now) + self.client.timeout
    }

    /// A final refusal, or a wait before the next node.
    async fn after(&mut self, node: &Node, status: &Status) -> Result<(), ClientError> {
        let mut doubt = Doubt::None;
        let wait = self.client.learn(node, status, &mut doubt, &mut self.backoff).await?;
        let redirected = wait == Duration::ZERO;
        if !redirected {
            self.failed.push_back(node.endpoint.clone());
        }
        if Instant::now() + wait >= self.deadline() {
            return Err(self.client.no_leader(format!("{}: {}", node.endpoint, status.message())));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
