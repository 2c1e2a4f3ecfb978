//! The reader of bodies: finds what is payload in the bytes of a connection, and where the message ends.

use std::ops::Range;

use super::{
    cause::Cause,
    chunk,
    fields::{Field, Fields, LineEnd},
    framing::Framing,
    limits::Limits,
};

/// What was found at the front of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of the input that are done with: framing and payload. The rest must be given again, with more behind it.
    pub consumed: usize,
    /// The payload among them; may be empty.
    pub payload: Range<usize>,
    /// What to do next.
    pub event: Event,
}

/// How to go on after a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// All that the input shows is in this piece: read more bytes from the connection.
    More,
    /// The input may show another piece: read on with what is left.
    Again,
    /// This piece is the last one. What is left of the input is the next message's.
    End {
        /// The trailer section in the input, for [`BodyReader::trailers`]; empty where there is none.
        trailers: Range<usize>,
    },
}

/// Reads one body. Holds no payload: it tells where in the input it is.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    /// Bytes left of the body or of the chunk.
    left: u64,
    /// Bytes that the body may still have.
    allowance: u64,
    extension_bytes: u64,
    trailers: Option<Box<Fields>>,
    forgets_trailers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length,
    ChunkSize,
    ChunkData,
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

impl BodyReader {
    /// A reader for a body of at most `body_max` bytes.
    ///
    /// # Errors
    /// [`Cause::BodyTooLarge`] when the head says already that it is longer.
    pub fn new(framing: Framing, body_max: u64) -> Result<Self, Cause> {
        let (state, left) = match framing {
            Framing::None | Framing::Length(0) => (State::Done, 0),
            Framing::Length(length) if length > body_max => return Err(Cause::BodyTooLarge),
            Framing::Length(length) => (State::Length, length),
            Framing::Chunked => (State::ChunkSize, 0),
            Framing::UntilClose => (State::UntilClose, 0),
        };
        Ok(Self {
            state,
            left,
            allowance: body_max,
            extension_bytes: 0,
            trailers: None,
            forgets_trailers: false,
        })
    }

    /// Checks trailers and then forgets them, where `forgets` says so: for a message whose `Connection` nominates fields
    /// of its own. These must not pass in the trailers either (RFC 9110 7.6.1), and all trailers may be dropped (6.5.1).
    #[must_use]
    pub fn forgetting_trailers(mut self, forgets: bool) -> Self {
        self.forgets_trailers = forgets;
        self
    }

    /// Whether the message is over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes that are still to come, where that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length => Some(self.left),
            State::Done => Some(0),
            State::ChunkSize
            | State::ChunkData
            | State::ChunkEnd
            | State::Trailers
            | State::UntilClose => None,
        }
    }

    /// Reads one piece from the front of `input`: the bytes of the connection that no earlier piece consumed.
    ///
    /// # Errors
    /// The rule that the body breaks. Nothing more can be read from the connection then.
    pub fn read(&mut self, input: &[u8], limits: &Limits) -> Result<Piece, Cause> {
        match self.state {
            State::Done => Ok(end(0, 0..0, 0..0)),
            State::Length => Ok(self.length(input.len())),
            State::UntilClose => self.until_close(input.len()),
            State::ChunkSize | State::ChunkData | State::ChunkEnd | State::Trailers => {
                self.chunks(input, limits)
            }
        }
    }

    /// Says that the connection ended after all that was read.
    ///
    /// # Errors
    /// [`Cause::CutShort`] when the message was not over.
    pub fn closed(&mut self) -> Result<(), Cause> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Length
            | State::ChunkSize
            | State::ChunkData
            | State::ChunkEnd
            | State::Trailers => Err(Cause::CutShort),
        }
    }

    /// The trailer fields of a body that ended, by places in the trailer section.
    #[must_use]
    pub fn trailers(&self) -> &[Field] {
        match (&self.trailers, self.state) {
            (Some(fields), State::Done) if !self.forgets_trailers => fields.list(),
            _ => &[],
        }
    }

    fn length(&mut self, available: usize) -> Piece {
        let taken = self.take(available);
        if self.left == 0 {
            self.state = State::Done;
            return end(taken, 0..taken, 0..0);
        }
        Piece { consumed: taken, payload: 0..taken, event: Event::More }
    }

    fn until_close(&mut self, available: usize) -> Result<Piece, Cause> {
        self.allow(available as u64)?;
        Ok(Piece { consumed: available, payload: 0..available, event: Event::More })
    }

    /// Takes what is available of what is left.
    fn take(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.left).map_or(available, |left| left.min(available));
        self.left -= taken as u64;
        taken
    }

    fn allow(&mut self, bytes: u64) -> Result<(), Cause> {
        self.allowance = self.allowance.checked_sub(bytes).ok_or(Cause::BodyTooLarge)?;
        Ok(())
    }

    /// One stretch of payload at most, with all the framing around it that has come.
    fn chunks(&mut self, input: &[u8], limits: &Limits) -> Result<Piece, Cause> {
        let mut at = 0;
        let mut payload = 0..0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            match self.state {
                State::ChunkSize => {
                    let Some(line) = chunk::size_line(rest, limits.chunk_line_bytes)? else {
                        break;
                    };
                    self.extension_bytes =
                        self.extension_bytes.saturating_add(line.extension_bytes);
                    if self.extension_bytes > limits.chunk_extension_bytes {
                        return Err(Cause::ChunkExtension);
                    }
                    self.allow(line.size)?;
                    self.left = line.size;
                    at += line.length;
                    self.state = if line.size == 0 { State::Trailers } else { State::ChunkData };
                }
                State::ChunkData if !payload.is_empty() => {
                    return Ok(Piece { consumed: at, payload, event: Event::Again });
                }
                State::ChunkData => {
                    let taken = self.take(rest.len());
                    payload = at..at + taken;
                    at += taken;
                    if self.left > 0 {
                        break;
                    }
                    self.state = State::ChunkEnd;
                }
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        at += 2;
                        self.state = State::ChunkSize;
                    }
                    [] | [b'\r'] => break,
                    _ => return Err(Cause::ChunkTerminator),
                },
                State::Trailers => {
                    let Some(length) = self.trailer_section(rest, limits)? else { break };
                    self.state = State::Done;
                    return Ok(end(at + length, payload, at..at + length));
                }
                State::Length | State::UntilClose | State::Done => break,
            }
        }
        Ok(Piece { consumed: at, payload, event: Event::More })
    }

    /// The length of the trailer section with its empty line; nothing while it is not whole.
    fn trailer_section(&mut self, rest: &[u8], limits: &Limits) -> Result<Option<usize>, Cause> {
        if rest.starts_with(b"\r\n") {
            self.trailers = None;
            return Ok(Some(2));
        }
        let view = rest.get(..limits.trailer_bytes).unwrap_or(rest);
        let fields = self.trailers.get_or_insert_default();
        fields.start(0);
        let length = fields.read(view, limits.fields, LineEnd::CrLf);
        if fields.list().iter().any(|field| !field.known.may_trail()) {
            return Err(Cause::TrailerForbidden);
        }
        match length.map_err(of_trailer)? {
            None if rest.len() >= limits.trailer_bytes => Err(Cause::TrailersTooLarge),
            length => Ok(length),
        }
    }
}

fn of_trailer(cause: Cause) -> Cause {
    if cause == Cause::TooManyFields { Cause::TrailersTooLarge } else { cause }
}

fn end(consumed: usize, payload: Range<usize>, trailers: Range<usize>) -> Piece {
    Piece { consumed, payload, event: Event::End { trailers } }
}

#[cfg(test)]
mod tests;
