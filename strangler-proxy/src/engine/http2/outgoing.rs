//! A body that the engine writes in the framing of HTTP/1.1, sent in frames as far as the peer's window lets it.
//!
//! The framing is the engine's own writing, so it is only taken off again, and not judged.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::SendStream;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::heads;

/// How far a body is.
#[derive(Debug)]
pub enum Body {
    /// There is none, or it is over.
    Done,
    /// So many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// Another protocol's: to the end of the connection.
    Raw,
}

/// Where in a chunked body.
#[derive(Debug)]
pub enum Chunk {
    /// In the line with the size, which is so far.
    Size(u64),
    /// In the payload.
    Data(u64),
    /// In the line end behind it; so many bytes are left.
    End(u8),
    /// In the trailers: the line that is not whole, and the fields so far.
    Trailers(Vec<u8>, Box<HeaderMap>),
}

/// A body whose chunk is the last: what the engine writes behind its payload.
const LAST: &[u8] = b"\r\n0\r\n\r\n";

impl Body {
    /// Of so many bytes.
    pub fn length(length: u64) -> Self {
        if length == 0 { Self::Done } else { Self::Length(length) }
    }

    /// In chunks.
    pub fn chunked() -> Self {
        Self::Chunked(Chunk::Size(0))
    }

    /// Is it over?
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Sends what the window has room for. Tells how many bytes of the input are done with.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut SendStream<Bytes>,
        input: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut at = 0;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            match self.poll_step(cx, to, rest) {
                Poll::Ready(Ok(count)) => at += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if at > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(at))
    }

    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut SendStream<Bytes>,
        input: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            // Nothing can be said behind the end.
            Self::Done => Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
            Self::Raw => {
                let sent = ready!(poll_send(cx, to, input, |_| false))?;
                Poll::Ready(Ok(sent))
            }
            Self::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let piece = input.get(..most).unwrap_or(input);
                let sent = ready!(poll_send(cx, to, piece, |sent| sent == most))?;
                *self = Self::length(*left - sent as u64);
                Poll::Ready(Ok(sent))
            }
            Self::Chunked(Chunk::Data(left)) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let piece = input.get(..most).unwrap_or(input);
                // One frame instead of two where the end is in sight.
                let is_last = |sent: usize| sent == most && input.get(sent..) == Some(LAST);
                let sent = ready!(poll_send(cx, to, piece, is_last))?;
                if is_last(sent) {
                    *self = Self::Done;
                    return Poll::Ready(Ok(input.len()));
                }
                let left = *left - sent as u64;
                *self = Self::Chunked(if left == 0 { Chunk::End(2) } else { Chunk::Data(left) });
                Poll::Ready(Ok(sent))
            }
            Self::Chunked(chunk) => Poll::Ready(match chunk.framing(input) {
                Framing::Within(count) => Ok(count),
                Framing::Over(count, trailers) => {
                    *self = Self::Done;
                    end(to, trailers).map(|()| count)
                }
            }),
        }
    }

    /// Ends a body that ends with its connection.
    pub fn shut(&mut self, to: &mut SendStream<Bytes>) -> io::Result<()> {
        match std::mem::replace(self, Self::Done) {
            Self::Raw => end(to, HeaderMap::new()),
            Self::Done => Ok(()),
            unfinished @ (Self::Length(_) | Self::Chunked(_)) => {
                *self = unfinished;
                Ok(())
            }
        }
    }
}

enum Framing {
    Within(usize),
    Over(usize, HeaderMap),
}

impl Chunk {
    /// Goes on in the framing. Payload is not looked at here.
    fn framing(&mut self, input: &[u8]) -> Framing {
        let line_end = input.iter().position(|byte| *byte == b'\n');
        let count = line_end.map_or(input.len(), |at| at + 1);
        let piece = input.get(..count).unwrap_or_default();
        match self {
            Self::Size(size) => {
                let digits = piece.iter().filter_map(|byte| char::from(*byte).to_digit(16));
                *size = digits.fold(*size, |sum, digit| sum << 4 | u64::from(digit));
                match (line_end, *size) {
                    (None, _) => {}
                    (Some(_), 0) => *self = Self::Trailers(Vec::new(), Box::default()),
                    (Some(_), size) => *self = Self::Data(size),
                }
                Framing::Within(count)
            }
            Self::End(left) => {
                let taken = usize::from(*left).min(input.len());
                *left -= u8::try_from(taken).unwrap_or(*left);
                if *left == 0 {
                    *self = Self::Size(0);
                }
                Framing::Within(taken)
            }
            Self::Trailers(begun, fields) => {
                begun.extend_from_slice(piece);
                if line_end.is_none() {
                    return Framing::Within(count);
                }
                let line = std::mem::take(begun);
                let Some((name, value)) = heads::split(&line) else {
                    return Framing::Over(count, std::mem::take(&mut **fields));
                };
                let field =
                    HeaderName::from_bytes(name).ok().zip(HeaderValue::from_bytes(value).ok());
                if let Some((name, value)) = field {
                    fields.append(name, value);
                }
                Framing::Within(count)
            }
            Self::Data(_) => Framing::Within(0),
        }
    }
}

/// Sends a piece, or as much of it as there is room for, and the end with it where that is the last of it.
fn poll_send(
    cx: &mut Context<'_>,
    to: &mut SendStream<Bytes>,
    piece: &[u8],
    is_last: impl Fn(usize) -> bool,
) -> Poll<io::Result<usize>> {
    to.reserve_capacity(piece.len());
    while to.capacity() == 0 {
        match ready!(to.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
    let count = to.capacity().min(piece.len());
    let data = Bytes::copy_from_slice(piece.get(..count).unwrap_or_default());
    to.send_data(data, is_last(count)).map_err(io::Error::other)?;
    Poll::Ready(Ok(count))
}

fn end(to: &mut SendStream<Bytes>, trailers: HeaderMap) -> io::Result<()> {
    let sent = match trailers.is_empty() {
        true => to.send_data(Bytes::new(), true),
        false => to.send_trailers(trailers),
    };
    sent.map_err(io::Error::other)
}
