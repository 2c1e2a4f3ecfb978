//! A client's stream, as the engine reads and writes it.

use std::{
    cell::RefCell,
    fmt,
    io::{self, ErrorKind},
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{Method, Request};

use super::{
    heads::{self, Frame, Unfit},
    incoming::Incoming,
    outgoing::Body,
    serve::{Live, Tally},
};
use crate::engine::timers::Timers;

/// A request in HTTP/2 and the place for its answer.
///
/// Invariant: it carries one request. What is dropped before the whole answer has been written ends in a reset, never in an
/// end that looks clean.
pub struct Served(RefCell<Inner>);

struct Inner {
    incoming: Incoming,
    from: RecvStream,
    answer: Answer,
    to_head: bool,
    is_tunnel: bool,
    is_call: bool,
    live: Live,
}

enum Answer {
    /// Its head is not whole yet.
    Head(SendResponse<Bytes>, Vec<u8>),
    /// Its head is sent.
    Body(SendStream<Bytes>, Body),
}

impl Served {
    /// The stream of a request. Where the request is unfit its stream is reset.
    pub fn new(
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        tally: &Rc<Tally>,
        timers: &Rc<Timers>,
    ) -> Result<Self, Unfit> {
        let (parts, from) = request.into_parts();
        let mut text = Vec::with_capacity(HEAD_GUESS);
        let frame = match heads::request(&mut text, &parts, from.is_end_stream()) {
            Ok(frame) => frame,
            Err(unfit) => {
                respond.send_reset(unfit.reason());
                return Err(unfit);
            }
        };
        Ok(Self(RefCell::new(Inner {
            incoming: Incoming::new(text, frame).strict(),
            from,
            answer: Answer::Head(respond, Vec::new()),
            to_head: parts.method == Method::HEAD,
            is_tunnel: frame == Frame::Raw,
            is_call: heads::is_grpc(&parts.headers),
            live: Live::new(tally, timers),
        })))
    }

    /// Ready where reading would not wait.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error shows up again when reading.
        self.0.borrow_mut().poll_more(cx).map(drop)
    }

    /// Reads into the spare room of the buffer. 0 is the end: the answer is written, and no request follows.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let inner = self.0.get_mut();
        let before = buffer.len();
        while buffer.len() < buffer.capacity() {
            match inner.poll_more(cx) {
                Poll::Ready(Ok(true)) => inner.incoming.take(buffer, Some(&mut inner.from)),
                _ if buffer.len() > before => break,
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(0)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        inner.live.moved(buffer.len() - before);
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
                    _ if done + at > 0 => {
                        inner.live.moved(done + at);
                        return Poll::Ready(Ok(done + at));
                    }
                    other => return other,
                }
            }
            done += at;
        }
        inner.live.moved(done);
        Poll::Ready(Ok(done))
    }

    /// Has the client given it up?
    pub fn has_gone(&self, cx: &mut Context<'_>) -> bool {
        self.0.borrow_mut().has_gone(cx)
    }

    /// Is the request a gRPC call, whether or not it can be read?
    pub fn is_call(&self) -> bool {
        self.0.borrow().is_call
    }

    /// Is the whole answer written?
    pub fn is_answered(&self) -> bool {
        self.0.borrow().is_answered()
    }

    /// Ends this side's direction, where that is not part of the message.
    pub fn shut(&mut self) -> io::Result<()> {
        match &mut self.0.get_mut().answer {
            Answer::Body(to, body) => body.shut(to),
            Answer::Head(..) => Ok(()),
        }
    }

    /// Says that the answer was cut short.
    pub fn abort(self) {
        self.0.into_inner().reset(Reason::INTERNAL_ERROR);
    }
}

/// Room for a usual head.
const HEAD_GUESS: usize = 512;

impl Inner {
    /// Ends the stream, unless its answer is whole.
    fn reset(&mut self, reason: Reason) {
        match &mut self.answer {
            Answer::Head(respond, _) => respond.send_reset(reason),
            Answer::Body(_, Body::Done) => {}
            Answer::Body(to, _) => to.send_reset(reason),
        }
    }

    fn is_answered(&self) -> bool {
        matches!(self.answer, Answer::Body(_, Body::Done))
    }

    fn has_gone(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_answered() {
            return false;
        }
        let reset = match &mut self.answer {
            Answer::Head(respond, _) => respond.poll_reset(cx),
            Answer::Body(to, _) => to.poll_reset(cx),
        };
        let has_gone = reset.is_ready();
        if has_gone {
            self.live.was_cut();
        }
        has_gone
    }

    /// Waits for something to read. Once the request is whole there is nothing more, neither bytes nor an end, until it is
    /// answered: a client of HTTP/2 that has ended its message has not gone away.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.incoming.poll_more(cx, &mut self.from) {
            Poll::Ready(Ok(false)) if self.is_tunnel || self.is_answered() => {
                Poll::Ready(Ok(false))
            }
            Poll::Ready(Ok(false)) if self.has_gone(cx) => {
                Poll::Ready(Err(ErrorKind::ConnectionReset.into()))
            }
            Poll::Ready(Ok(false)) => Poll::Pending,
            Poll::Ready(Err(error)) => {
                self.live.was_cut();
                if error.kind() == ErrorKind::InvalidData {
                    self.reset(Reason::PROTOCOL_ERROR);
                }
                Poll::Ready(Err(error))
            }
            other => other,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, input: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.answer {
            Answer::Body(to, body) => body.poll_write(cx, to, input),
            Answer::Head(respond, begun) => {
                let Some((count, head)) = heads::whole(begun, input) else {
                    return Poll::Ready(Ok(input.len()));
                };
                let (response, body) =
                    heads::written_response(&head, self.to_head, self.is_tunnel)?;
                if response.status().is_informational() {
                    respond.send_informational(response).map_err(io::Error::other)?;
                } else {
                    let to = respond.send_response(response, body.is_done());
                    self.answer = Answer::Body(to.map_err(io::Error::other)?, body);
                }
                Poll::Ready(Ok(count))
            }
        }
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}
