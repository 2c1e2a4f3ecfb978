//! A connection, whatever it runs over.

use std::{
    future::pending,
    io::{self, IoSlice, Read},
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::{
    http2::{Asked, Served},
    secure::Secure,
};

/// A stream of bytes in both directions.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over TLS over one of the others. Boxed, so that plain connections stay small.
    Tls(Box<Secure>),
    /// A client's stream of HTTP/2.
    Served(Box<Served>),
    /// A stream of HTTP/2 to an upstream.
    Asked(Box<Asked>),
}

impl Stream {
    /// Ready where reading would not wait: bytes, the end, or an error are there.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ready = match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Tls(stream) => return stream.poll_readable(cx),
            Self::Served(stream) => return stream.poll_readable(cx),
            Self::Asked(stream) => return stream.poll_readable(cx),
        };
        // An error shows up again when reading.
        ready.map(drop)
    }

    /// Reads into the spare room of the buffer; nothing is read where there is none. 0 is the end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        // Not `try_read`: only the poll learns from a read that filled less than the room that the socket is empty now,
        // and so spares the read that would find nothing.
        if buffer.len() == buffer.capacity() {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        match self {
            Self::Tcp(stream) => pin!(stream.read_buf(buffer)).poll(cx),
            Self::Unix(stream) => pin!(stream.read_buf(buffer)).poll(cx),
            Self::Tls(stream) => stream.poll_read(cx, buffer),
            Self::Served(stream) => stream.poll_read(cx, buffer),
            Self::Asked(stream) => stream.poll_read(cx, buffer),
        }
    }

    /// Reads into another kind of buffer: only what is a connection of its own.
    pub fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => stream.poll_read_into(cx, into),
            Self::Served(_) | Self::Asked(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Writes as much of both pieces, one behind the other, as the socket takes.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        if first.is_empty() || second.is_empty() {
            let bytes = if first.is_empty() { second } else { first };
            return match self {
                Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
                Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
                Self::Tls(stream) => stream.poll_write(cx, bytes, &[]),
                Self::Served(stream) => stream.poll_write(cx, bytes, &[]),
                Self::Asked(stream) => stream.poll_write(cx, bytes, &[]),
            };
        }
        match self {
            Self::Tcp(_) | Self::Unix(_) => {
                self.poll_write_pieces(cx, &[IoSlice::new(first), IoSlice::new(second)])
            }
            Self::Tls(stream) => stream.poll_write(cx, first, second),
            Self::Served(stream) => stream.poll_write(cx, first, second),
            Self::Asked(stream) => stream.poll_write(cx, first, second),
        }
    }

    /// Writes as much of the pieces, in their order, as the socket takes. Of the others only the first.
    pub fn poll_write_pieces(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Tls(_) | Self::Served(_) | Self::Asked(_) => {
                self.poll_write(cx, pieces.first().map_or(&[], |piece| &**piece), &[])
            }
        }
    }

    /// Ready when the system has everything that was written. In the clear it has it at once; a stream of HTTP/2 is its
    /// connection's to send.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) | Self::Served(_) | Self::Asked(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => stream.poll_flush(cx),
        }
    }

    /// Has nothing come, no byte and no end? Asks no system call: the event loop has noted it.
    pub fn is_quiet(&mut self) -> bool {
        match self {
            Self::Tls(stream) => stream.is_quiet(),
            plain @ (Self::Tcp(_) | Self::Unix(_) | Self::Served(_) | Self::Asked(_)) => {
                plain.poll_readable(&mut Context::from_waker(Waker::noop())).is_pending()
            }
        }
    }

    /// Asks the system whether the connection is open and nothing has come: a system call.
    pub fn is_open(&mut self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Self::Tcp(stream) => SockRef::from(&*stream).peek(&mut byte),
            Self::Unix(stream) => SockRef::from(&*stream).peek(&mut byte),
            Self::Tls(stream) => return stream.is_open(),
            Self::Served(_) | Self::Asked(_) => return true,
        };
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends at once what the system takes, whether or not the connection is known to be writable. Not over TLS: it is for
    /// those who are turned away at the door.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).send(bytes),
            Self::Unix(stream) => SockRef::from(stream).send(bytes),
            Self::Tls(_) | Self::Served(_) | Self::Asked(_) => {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    /// Takes what the system has, whether or not the connection is known to be readable. Not over TLS, which lies over it.
    pub fn take_now(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*SockRef::from(stream)).read(bytes),
            Self::Unix(stream) => (&*SockRef::from(stream)).read(bytes),
            Self::Tls(_) | Self::Served(_) | Self::Asked(_) => {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    /// Ends this side's direction.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => stream.poll_shutdown(cx),
            Self::Served(stream) => Poll::Ready(stream.shut()),
            // The engine ends a request by its framing.
            Self::Asked(_) => Poll::Ready(Ok(())),
        }
    }

    /// Closes so that the other side sees an error and not an end: for an answer that was cut short.
    pub fn abort(self) {
        match self {
            // Where the option cannot be set the connection is gone already.
            Self::Tcp(stream) => drop(SockRef::from(&stream).set_linger(Some(Duration::ZERO))),
            Self::Unix(stream) => drop(stream),
            Self::Tls(stream) => stream.abort(),
            Self::Served(stream) => stream.abort(),
            Self::Asked(stream) => drop(stream),
        }
    }

    /// Is it one of the streams of a connection of HTTP/2?
    pub fn is_http2(&self) -> bool {
        matches!(self, Self::Served(_) | Self::Asked(_))
    }

    /// Is it a client's stream that has had its answer, so that no request follows?
    pub fn is_answered(&self) -> bool {
        match self {
            Self::Served(stream) => stream.is_answered(),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) | Self::Asked(_) => false,
        }
    }

    /// Is it a client's stream with a gRPC call?
    pub fn is_call(&self) -> bool {
        match self {
            Self::Served(stream) => stream.is_call(),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) | Self::Asked(_) => false,
        }
    }

    /// Has the other side given up what it has asked for? Of a connection of its own only reading tells.
    pub fn has_gone(&self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Served(stream) => stream.has_gone(cx),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) | Self::Asked(_) => false,
        }
    }

    /// Waits until the other side has ended its direction or is gone, whatever of what it sent has not been read yet. Of a
    /// stream of HTTP/2 [`has_gone`](Self::has_gone) tells.
    pub async fn ended(&self) {
        let mut stream = self;
        while let Self::Tls(session) = stream {
            stream = session.below();
        }
        // Urgent bytes, which nobody sends, or the end: not the bytes that wait to be read.
        let ended = match stream {
            Self::Tcp(stream) => stream.ready(Interest::PRIORITY).await,
            Self::Unix(stream) => stream.ready(Interest::PRIORITY).await,
            Self::Tls(_) | Self::Served(_) | Self::Asked(_) => pending().await,
        };
        // An error is an end too.
        drop(ended);
    }

    /// Has the upstream said that it has not looked at the request?
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Asked(stream) => stream.is_refused(),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) | Self::Served(_) => false,
        }
    }

    /// May the other side have closed it while nobody asked anything?
    pub fn was_idle(&self) -> bool {
        match self {
            Self::Asked(stream) => stream.was_idle(),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) | Self::Served(_) => true,
        }
    }

    /// The outcome of a gRPC call that has ended.
    pub fn grpc_status(&self) -> Option<u8> {
        match self {
            Self::Asked(stream) => stream.grpc_status(),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) | Self::Served(_) => None,
        }
    }
}
