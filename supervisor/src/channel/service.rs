//! The receiving end of carriers: hands messages to their sessions and answers what is held.

use std::collections::BTreeSet;
use std::pin::Pin;

use futures::stream::{self, Stream, StreamExt};
use rekindle_proto::v1;
use rekindle_proto::v1::channels_server::Channels;
use rekindle_statemachine::ids::{Generation, SessionId};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status, Streaming};

use crate::channel::carrier::Named;
use crate::session::input::Input;
use crate::sessions::Sessions;

const BATCH: usize = 128;

/// Serves [`v1::channels_server::Channels`].
#[derive(Clone)]
pub(crate) struct ChannelService {
    sessions: Sessions,
}

impl ChannelService {
    pub(crate) fn new(sessions: Sessions) -> Self {
        ChannelService { sessions }
    }

    /// Takes a batch in its order; answers each channel of it once per run of messages of one session.
    async fn take(&self, batch: Vec<v1::Envelope>) -> Vec<v1::Acknowledgement> {
        let mut answers = Vec::new();
        let mut rest = batch.into_iter().peekable();
        while let Some(first) = rest.next() {
            let session = (SessionId(first.session.clone()), Generation(first.generation));
            let mut run = vec![first];
            let same = |next: &v1::Envelope| next.session == session.0.0 && next.generation == session.1.0;
            while let Some(next) = rest.next_if(same) {
                run.push(next);
            }
            answers.extend(self.hand_over(&session, run).await);
        }
        answers
    }

    async fn hand_over(&self, session: &Named, envelopes: Vec<v1::Envelope>) -> Vec<v1::Acknowledgement> {
        let channels: BTreeSet<(u32, u32)> = envelopes.iter().map(|envelope| (envelope.from, envelope.to)).collect();
        if let Some(inputs) = self.sessions.find(session) {
            let (answer, answered) = oneshot::channel();
            if inputs.send(Input::Incoming { envelopes, answer }).await.is_ok()
                && let Ok(answers) = answered.await
            {
                return answers;
            }
        }
        let unknown = |(from, to)| v1::Acknowledgement {
            session: session.0.0.clone(),
            generation: session.1.0,
            from,
            to,
            unknown: true,
            ..Default::default()
        };
        channels.into_iter().map(unknown).collect()
    }
}

#[tonic::async_trait]
impl Channels for ChannelService {
    type CarryStream = Pin<Box<dyn Stream<Item = Result<v1::Acknowledgement, Status>> + Send>>;

    /// Driven by whoever reads the answers: a peer that does not read them is not read from.
    async fn carry(&self, request: Request<Streaming<v1::Envelope>>) -> Result<Response<Self::CarryStream>, Status> {
        let service = self.clone();
        let answers = request.into_inner().ready_chunks(BATCH).then(move |batch| {
            let service = service.clone();
            async move {
                let (mut envelopes, mut broken) = (Vec::new(), None);
                for envelope in batch {
                    match envelope {
                        Ok(envelope) => envelopes.push(envelope),
                        Err(status) => broken = Some(status),
                    }
                }
                let answers = service.take(envelopes).await;
                stream::iter(answers.into_iter().map(Ok).chain(broken.map(Err)).collect::<Vec<_>>())
            }
        });
        Ok(Response::new(Box::pin(answers.flatten())))
    }
}
