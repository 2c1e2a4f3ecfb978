//! A stream to an upstream, as the engine writes and reads it.

use std::{
    cell::RefCell,
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{Method, uri::Scheme};

use super::{
    connections::Place,
    heads::{self, Frame},
    incoming::Incoming,
    outgoing::Body,
};
use crate::engine::grpc;

/// A place for one request on a connection that others share. Dropped before its answer is whole, it is reset.
pub struct Asked(RefCell<Inner>);

struct Inner {
    connection: SendRequest<Bytes>,
    scheme: Scheme,
    /// The request's head as far as it is written.
    begun: Vec<u8>,
    to_head: bool,
    to: Option<(SendStream<Bytes>, Body)>,
    answer: Option<ResponseFuture>,
    from: Option<RecvStream>,
    incoming: Incoming,
    grpc_status: Option<u8>,
    is_refused: bool,
    was_idle: bool,
    _place: Place,
}

impl Asked {
    /// On this connection; `was_idle` where it carried no other request.
    pub fn new(
        connection: SendRequest<Bytes>,
        scheme: Scheme,
        place: Place,
        was_idle: bool,
    ) -> Self {
        Self(RefCell::new(Inner {
            connection,
            scheme,
            begun: Vec::new(),
            to_head: false,
            to: None,
            answer: None,
            from: None,
            incoming: Incoming::new(Vec::new(), Frame::Length),
            grpc_status: None,
            is_refused: false,
            was_idle,
            _place: place,
        }))
    }

    /// Ready where reading would not wait.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error shows up again when reading.
        self.0.borrow_mut().poll_more(cx).map(drop)
    }

    /// Reads into the spare room of the buffer. 0 is the end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let inner = self.0.get_mut();
        let before = buffer.len();
        while buffer.len() < buffer.capacity() {
            match inner.poll_more(cx) {
                Poll::Ready(Ok(true)) => inner.incoming.take(buffer, inner.from.as_mut()),
                _ if buffer.len() > before => break,
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(0)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(buffer.len() - before))
    }

    /// Writes as much of both pieces as the peer's window lets it.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        let inner = self.0.get_mut();
        let mut done = 0;
        for piece in [first, second] {
            let mut at = 0;
            while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
                match inner.poll_write(cx, rest) {
                    Poll::Ready(Ok(count)) => at += count,
                    _ if done + at > 0 => return Poll::Ready(Ok(done + at)),
                    other => return other,
                }
            }
            done += at;
        }
        Poll::Ready(Ok(done))
    }

    /// Has the upstream said that it has not looked at the request (RFC 9113, section 8.7)?
    pub fn is_refused(&self) -> bool {
        self.0.borrow().is_refused
    }

    /// Did its connection carry no other request when it was opened?
    pub fn was_idle(&self) -> bool {
        self.0.borrow().was_idle
    }

    /// What the answer says of the call, where it is a gRPC one and is over.
    pub fn grpc_status(&self) -> Option<u8> {
        let inner = self.0.borrow();
        inner.incoming.grpc_status.or(inner.grpc_status)
    }
}

impl Inner {
    fn poll_write(&mut self, cx: &mut Context<'_>, input: &[u8]) -> Poll<io::Result<usize>> {
        if let Some((to, body)) = &mut self.to {
            return body.poll_write(cx, to, input);
        }
        let Some((count, head)) = heads::whole(&mut self.begun, input) else {
            return Poll::Ready(Ok(input.len()));
        };
        let (request, body) = heads::written_request(&head, self.scheme.clone())?;
        self.to_head = *request.method() == Method::HEAD;
        match self.connection.send_request(request, body.is_done()) {
            Ok((answer, to)) => {
                self.answer = Some(answer);
                self.to = Some((to, body));
                Poll::Ready(Ok(count))
            }
            Err(error) => {
                // The connection is going; nothing of the request is on it.
                self.is_refused = error.is_go_away() || error.is_io();
                Poll::Ready(Err(io::Error::other(error)))
            }
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.incoming.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if let Some(from) = &mut self.from {
            return self.incoming.poll_more(cx, from);
        }
        let Some(answer) = &mut self.answer else {
            // Where the request could not be sent there will be no answer; else it is still being written.
            return match self.is_refused {
                true => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                false => Poll::Pending,
            };
        };
        if let Poll::Ready(Some(Ok(interim))) = answer.poll_informational(cx) {
            self.incoming.put(|text| heads::interim(text, &interim));
            return Poll::Ready(Ok(true));
        }
        match Pin::new(answer).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(response)) => {
                let (parts, from) = response.into_parts();
                let status = parts.headers.get("grpc-status");
                self.grpc_status = status.and_then(|status| grpc::status_of(status.as_bytes()));
                let mut text = Vec::with_capacity(HEAD_GUESS);
                let frame = heads::response(&mut text, &parts, from.is_end_stream(), self.to_head);
                self.incoming = Incoming::new(text, frame);
                (self.answer, self.from) = (None, Some(from));
                Poll::Ready(Ok(true))
            }
            Poll::Ready(Err(error)) => {
                self.is_refused = is_refusal(&error);
                let kind = match is_malformed(&error) {
                    true => io::ErrorKind::InvalidData,
                    false => io::ErrorKind::Other,
                };
                Poll::Ready(Err(io::Error::new(kind, error)))
            }
        }
    }
}

/// Room for a usual head.
const HEAD_GUESS: usize = 512;

/// Of streams that are open when a connection ends only those that its `GOAWAY` leaves out fail with it.
fn is_refusal(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

/// Has the answer, or the whole connection, been given up here because it breaks a rule?
fn is_malformed(error: &h2::Error) -> bool {
    error.is_library() && error.reason() != Some(Reason::NO_ERROR)
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}
