//! Connections as they come in.
//!
//! Invariants
//! * there are never more than a limit: what comes beyond it is closed at once;
//! * one that has not sent the preface of HTTP/2 in time is closed;
//! * while the system has no room for another one, it is asked again later and later, and the log has one line for when
//!   that begins and one for when it is over.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::backoff::Backoff;

/// `PRI * HTTP/2.0`, and so on.
const PREFACE: usize = 24;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What connections are bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At once.
    pub connections: usize,
    /// Within which a connection has to begin to speak HTTP/2.
    pub handshake: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { connections: 1024, handshake: Duration::from_secs(5) }
    }
}

/// Connections that come in at a listener, without end.
pub fn incoming(listener: TcpListener, bounds: Bounds) -> impl Stream<Item = io::Result<Connection>> + Send + 'static {
    let acceptor = Acceptor {
        listener,
        bounds,
        places: Arc::new(Semaphore::new(bounds.connections)),
        backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        trouble: None,
    };
    stream::unfold(acceptor, |mut acceptor| async {
        let connection = acceptor.next().await;
        Some((Ok(connection), acceptor))
    })
}

struct Acceptor {
    listener: TcpListener,
    bounds: Bounds,
    places: Arc<Semaphore>,
    backoff: Backoff,
    /// What keeps connections from coming in, if anything does; it has been said.
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The limit is reached.
    Full,
    /// The system refuses another one.
    System,
}

impl Acceptor {
    async fn next(&mut self) -> Connection {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                        self.goes_on();
                        return Connection::new(stream, place, self.bounds.handshake);
                    }
                    drop(stream);
                    let most = self.bounds.connections;
                    self.wait(Trouble::Full, format!("{most} are open")).await;
                }
                // It ended before it was taken, which says nothing about others.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
                Err(error) => self.wait(Trouble::System, error.to_string()).await,
            }
        }
    }

    async fn wait(&mut self, trouble: Trouble, why: String) {
        if self.trouble != Some(trouble) {
            self.trouble = Some(trouble);
            tracing::warn!(reason = why, "no more connections can be taken for now");
        }
        // A full house turns people away at once; a system without descriptors is left alone for longer and longer.
        let pause = if trouble == Trouble::Full { FIRST_PAUSE } else { self.backoff.next_wait() };
        sleep(pause).await;
    }

    fn goes_on(&mut self) {
        self.backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        if self.trouble.take().is_some() {
            tracing::info!("connections are taken again");
        }
    }
}

/// One connection. Its place is free again when it is gone.
pub struct Connection {
    stream: TcpStream,
    greeting: Option<Greeting>,
    _place: OwnedSemaphorePermit,
}

/// What a connection owes before anything else.
struct Greeting {
    left: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, handshake: Duration) -> Self {
        // Fails only if the connection is broken, which reading will say.
        let _ = stream.set_nodelay(true);
        let greeting = Greeting { left: PREFACE, deadline: Box::pin(sleep(handshake)) };
        Connection { stream, greeting: Some(greeting), _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(greeting) = &mut self.greeting else { return read };
        match read {
            Poll::Ready(Ok(())) => {
                greeting.left = greeting.left.saturating_sub(buffer.filled().len() - before);
                if greeting.left == 0 {
                    self.greeting = None;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => greeting.deadline.as_mut().poll(cx).map(|()| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the connection did not begin to speak HTTP/2 in time"))
            }),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn listen(
        bounds: Bounds,
    ) -> (std::net::SocketAddr, Pin<Box<dyn Stream<Item = io::Result<Connection>> + Send>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        (address, incoming(listener, bounds).boxed())
    }

    async fn next(incoming: &mut (impl Stream<Item = io::Result<Connection>> + Unpin)) -> Connection {
        incoming.next().await.expect("without end").expect("a connection")
    }

    #[tokio::test]
    async fn whoever_comes_beyond_the_limit_is_closed_and_a_place_comes_free() {
        let (address, mut incoming) = listen(Bounds { connections: 1, ..Bounds::default() }).await;
        let _first = TcpStream::connect(address).await.expect("connected");
        let inside = next(&mut incoming).await;
        let mut second = TcpStream::connect(address).await.expect("connected");
        let turned_away = async { second.read(&mut [0; 8]).await.unwrap_or(0) };
        tokio::select! {
            _ = next(&mut incoming) => panic!("there was no place"),
            read = turned_away => assert_eq!(read, 0),
        }
        drop(inside);
        let _third = TcpStream::connect(address).await.expect("connected");
        next(&mut incoming).await;
    }

    #[tokio::test]
    async fn a_connection_has_to_begin_to_speak() {
        let (address, mut incoming) =
            listen(Bounds { handshake: Duration::from_millis(50), ..Bounds::default() }).await;
        for said in [&b""[..], b"PRI * HTT"] {
            let mut silent = TcpStream::connect(address).await.expect("connected");
            silent.write_all(said).await.expect("sent");
            let mut taken = next(&mut incoming).await;
            let mut heard = Vec::new();
            let error = taken.read_to_end(&mut heard).await.expect_err("it says no more");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(heard, said);
        }
        let mut polite = TcpStream::connect(address).await.expect("connected");
        polite.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
        let mut taken = next(&mut incoming).await;
        taken.read_exact(&mut [0; PREFACE]).await.expect("the preface");
        tokio::time::sleep(Duration::from_millis(60)).await;
        polite.write_all(b"x").await.expect("sent");
        taken.read_exact(&mut [0; 1]).await.expect("it may be silent now");
    }
}
