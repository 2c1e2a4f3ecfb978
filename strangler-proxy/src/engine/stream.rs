//! A connection, whatever it runs over.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// A stream of bytes in both directions.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Ready where reading would not wait: bytes, the end, or an error are there.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let ready = match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
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
            };
        }
        let pieces = [IoSlice::new(first), IoSlice::new(second)];
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, &pieces),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, &pieces),
        }
    }

    /// Asks the system whether the connection is open and nothing has come: a system call.
    pub fn is_open(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Self::Tcp(stream) => SockRef::from(stream).peek(&mut byte),
            Self::Unix(stream) => SockRef::from(stream).peek(&mut byte),
        };
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends at once what the system takes, whether or not the connection is known to be writable.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).send(bytes),
            Self::Unix(stream) => SockRef::from(stream).send(bytes),
        }
    }

    /// Ends this side's direction.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    /// Closes so that the other side sees an error and not an end: for an answer that was cut short.
    pub fn abort(self) {
        match self {
            // Where the option cannot be set the connection is gone already.
            Self::Tcp(stream) => drop(SockRef::from(&stream).set_linger(Some(Duration::ZERO))),
            Self::Unix(stream) => drop(stream),
        }
    }
}
