//! One port for nodes and clients, and threads of their own for each.
//!
//! What a connection is for is in its first bytes: HTTP/2 begins with the client's settings, and a connection between
//! nodes says there that it takes headers of [`NODE_HEADERS`] bytes. Who says so without being a node has its requests
//! refused as anywhere else; it only takes a place beside the nodes.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{error, io};

use bytes::{Buf, Bytes};
use futures::{Stream, StreamExt};
use rekindle_proto::backoff::Backoff;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::Connected;

/// The setting by which a connection between nodes is known.
pub(crate) const NODE_HEADERS: u32 = 0x5252;
/// Connections that are accepted and not taken up yet.
const QUEUE: usize = 128;
/// How long a connection may take to say what it is for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before another connection is accepted where one could not be.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// What every connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;
const SETTINGS: u8 = 4;
/// More settings than there are.
const SETTINGS_BYTES: usize = 6 * 64;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// A connection of which the first bytes have been looked at.
pub(crate) struct Opened<IO> {
    read: Bytes,
    io: IO,
}

/// What comes out for a server.
pub(crate) type Incoming<IO> = mpsc::Receiver<io::Result<Opened<IO>>>;

/// The connections of both kinds.
pub(crate) struct Sorted<IO> {
    pub(crate) nodes: Incoming<IO>,
    pub(crate) clients: Incoming<IO>,
}

/// Sorts connections until told to stop, or until there are no more. The work is done by tasks of the current runtime.
pub(crate) fn sort<IO, E>(
    incoming: impl Stream<Item = Result<IO, E>> + Send + 'static,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Sorted<IO>
where
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    E: Into<Box<dyn error::Error + Send + Sync>> + Send + 'static,
{
    let (to_nodes, nodes) = mpsc::channel(QUEUE);
    let (to_clients, clients) = mpsc::channel(QUEUE);
    let each = tasks.clone();
    let over = stop.clone();
    let accept = async move {
        let mut incoming = Box::pin(incoming);
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        while let Some(next) = incoming.next().await {
            let io = match next {
                Ok(io) => io,
                Err(error) => {
                    // The server says what becomes of a listener that fails.
                    if to_clients.send(Err(io::Error::other(error))).await.is_err() {
                        return;
                    }
                    // Out of descriptors, most likely: to try at once would be to spin until one is free.
                    sleep(backoff.next_wait()).await;
                    continue;
                }
            };
            backoff.reset();
            let (to_nodes, to_clients) = (to_nodes.clone(), to_clients.clone());
            let opening = async move {
                // One that breaks off, or says nothing, is nobody's.
                let Ok(Ok((purpose, opened))) = timeout(PATIENCE, open(io)).await else { return };
                let queue = match purpose {
                    Purpose::Nodes => to_nodes,
                    Purpose::Clients => to_clients,
                };
                // A server that is gone takes no more.
                let _ = queue.send(Ok(opened)).await;
            };
            each.spawn(over.clone().run_until_cancelled_owned(opening));
        }
    };
    tasks.spawn(stop.run_until_cancelled_owned(accept));
    Sorted { nodes, clients }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Nodes,
    Clients,
}

async fn open<IO: AsyncRead + Unpin>(mut io: IO) -> io::Result<(Purpose, Opened<IO>)> {
    let mut read = Vec::with_capacity(PREFACE.len() + FRAME_HEADER + SETTINGS_BYTES);
    let purpose = loop {
        if let Some(purpose) = purpose(&read) {
            break purpose;
        }
        if io.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    Ok((purpose, Opened { read: read.into(), io }))
}

/// What a connection that begins like this is for; `None` as long as its settings are not all there. What is no HTTP/2
/// is for the server of clients, which knows what to answer.
fn purpose(read: &[u8]) -> Option<Purpose> {
    let common = read.len().min(PREFACE.len());
    if read[..common] != PREFACE[..common] {
        return Some(Purpose::Clients);
    }
    let frame = read.get(PREFACE.len()..)?;
    let header = frame.get(..FRAME_HEADER)?;
    let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
    if header[3] != SETTINGS || length > SETTINGS_BYTES {
        return Some(Purpose::Clients);
    }
    let settings = frame.get(FRAME_HEADER..FRAME_HEADER + length)?;
    let is_node = settings
        .chunks_exact(6)
        .any(|mut setting| setting.get_u16() == MAX_HEADER_LIST_SIZE && setting.get_u32() == NODE_HEADERS);
    Some(if is_node { Purpose::Nodes } else { Purpose::Clients })
}

impl<IO: AsyncRead + Unpin> AsyncRead for Opened<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        let some = this.read.split_to(this.read.len().min(buffer.remaining()));
        buffer.put_slice(&some);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Opened<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<IO: Connected> Connected for Opened<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> IO::ConnectInfo {
        self.io.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning(settings: &[(u16, u32)]) -> Vec<u8> {
        let length = u8::try_from(settings.len() * 6).expect("few settings");
        let mut bytes = [PREFACE, &[0, 0, length, SETTINGS, 0, 0, 0, 0, 0]].concat();
        for (name, value) in settings {
            bytes.extend(name.to_be_bytes());
            bytes.extend(value.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn a_connection_says_what_it_is_for_in_its_settings() {
        let node = beginning(&[(2, 0), (MAX_HEADER_LIST_SIZE, NODE_HEADERS)]);
        assert_eq!(purpose(&node), Some(Purpose::Nodes));
        assert_eq!(purpose(&beginning(&[(2, 0), (MAX_HEADER_LIST_SIZE, 16_384)])), Some(Purpose::Clients));
        assert_eq!(purpose(&beginning(&[(4, NODE_HEADERS)])), Some(Purpose::Clients));
        assert_eq!(purpose(&beginning(&[])), Some(Purpose::Clients));
        for end in 0..node.len() {
            assert_eq!(purpose(&node[..end]), None, "{end} bytes do not say it yet");
        }
    }

    #[test]
    fn what_is_no_http_2_is_left_to_the_server_of_clients() {
        assert_eq!(purpose(b"GET / HTTP/1.1"), Some(Purpose::Clients));
        let mut other = beginning(&[]);
        other[PREFACE.len() + 3] = 0;
        assert_eq!(purpose(&other), Some(Purpose::Clients));
        let mut long = beginning(&[]);
        long[PREFACE.len()] = 0xff;
        assert_eq!(purpose(&long), Some(Purpose::Clients), "it is not read to its end");
    }

    #[tokio::test]
    async fn nothing_of_a_connection_is_lost() {
        let (mut client, server) = tokio::io::duplex(7);
        let sent = [beginning(&[(MAX_HEADER_LIST_SIZE, NODE_HEADERS)]), b"and more".to_vec()].concat();
        let expected = sent.clone();
        let write = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut client, &sent).await.expect("written");
        });
        let (purpose, mut opened) = open(server).await.expect("opened");
        assert_eq!(purpose, Purpose::Nodes);
        let mut read = Vec::new();
        opened.read_to_end(&mut read).await.expect("read");
        assert_eq!(read, expected);
        write.await.expect("no panic");
    }
}
