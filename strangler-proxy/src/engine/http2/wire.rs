//! A connection as the `h2` crate reads and writes it, beginning with bytes that somebody else has read already.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use super::talk::Talk;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::Stream;

/// A connection.
#[derive(Debug)]
pub struct Wire {
    ahead: Vec<u8>,
    at: usize,
    stream: Stream,
    /// Set whenever bytes have come.
    heard: Rc<Cell<bool>>,
    /// What a client sends besides its requests, and how many bytes that are.
    talk: Option<(Talk, Rc<Cell<u64>>)>,
}

impl Wire {
    /// Of a stream and what has been read of it.
    pub fn new(stream: Stream, ahead: Vec<u8>, heard: Rc<Cell<bool>>) -> Self {
        Self { ahead, at: 0, stream, heard, talk: None }
    }

    /// Counts what carries nothing.
    pub fn counting(self, count: Rc<Cell<u64>>) -> Self {
        Self { talk: Some((Talk::new(), count)), ..self }
    }

    fn follow(&mut self, bytes: &[u8]) {
        if let Some((talk, count)) = &mut self.talk {
            count.set(count.get() + talk.pass(bytes));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let ahead = this.ahead.get(this.at..).unwrap_or_default();
        if !ahead.is_empty() {
            let count = ahead.len().min(into.remaining());
            let before = into.filled().len();
            into.put_slice(ahead.get(..count).unwrap_or_default());
            this.at += count;
            this.follow(into.filled().get(before..).unwrap_or_default());
            if this.at == this.ahead.len() {
                this.ahead = Vec::new();
                this.at = 0;
            }
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let read = this.stream.poll_read_into(cx, into);
        if into.filled().len() > before {
            this.heard.set(true);
            this.follow(into.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, bytes, &[])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut pieces = pieces.iter().filter(|piece| !piece.is_empty());
        let (first, second) = (pieces.next(), pieces.next());
        match (first, second) {
            (Some(first), Some(second)) => self.stream.poll_write(cx, first, second),
            (Some(only), None) => self.stream.poll_write(cx, only, &[]),
            (None, _) => Poll::Ready(Ok(0)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}
