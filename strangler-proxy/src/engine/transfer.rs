//! One direction of a message: its body is decoded as it comes and framed anew as it goes, without a copy where it is long.

use std::{
    ops::Range,
    task::{Context, Poll, ready},
};

use super::{
    limits::{BODY_ROOM, COPY_MAX},
    stream::Stream,
};
use crate::http1::{BodyReader, Cause, Event, Limits, write};

/// How the body is framed where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encode {
    /// As it is: its length was told, or the end of the connection ends it.
    Raw,
    /// In chunks, with the trailers that came.
    Chunked,
}

/// Why a transfer stopped.
#[derive(Debug)]
pub enum Stopped {
    /// The source broke a rule, or ended before the message did.
    Rule(Cause),
    /// Reading failed: the source has gone, whatever the system calls it.
    Read,
    /// Writing failed: the sink has gone.
    Write,
}

/// A message on its way. Written next are the staged bytes (a head, chunk sizes, short pieces) and behind them the
/// direct ones, which lie in the buffer that was read.
#[derive(Debug)]
pub struct Transfer {
    reader: BodyReader,
    encode: Encode,
    /// Where in the buffer the undecoded bytes begin.
    read_at: usize,
    /// What stands before this in the buffer stays there.
    base: usize,
    staged_at: usize,
    direct: Range<usize>,
    owes_line_end: bool,
    /// The end has been read, but the direct piece must go before it. The place of the trailers.
    ends_at: Option<Range<usize>>,
    decoded: bool,
    overwritten: bool,
    /// Bytes written so far.
    pub sent: u64,
    /// Was anything read or written since this was last set back?
    pub progress: bool,
    /// Is it the sink that it waits for, and not the source?
    pub waits_for_sink: bool,
}

enum Next {
    Write,
    Read,
    Done,
}

impl Transfer {
    /// Of a body that begins at `read_at` of the buffer; what stands before stays. A head that is staged goes out first.
    pub fn new(reader: BodyReader, encode: Encode, read_at: usize) -> Self {
        Self {
            reader,
            encode,
            read_at,
            base: read_at,
            staged_at: 0,
            direct: 0..0,
            owes_line_end: false,
            ends_at: None,
            decoded: false,
            overwritten: false,
            sent: 0,
            progress: false,
            waits_for_sink: false,
        }
    }

    /// Lets the next bytes overwrite what stands before them: for a head that nobody looks at any more.
    pub fn forget_head(&mut self) {
        self.base = 0;
    }

    /// Where the message ended in the buffer. What stands behind is the next one's.
    pub fn end(&self) -> usize {
        self.read_at
    }

    /// Has a part of what is staged gone out, and not the rest?
    pub fn is_half_written(&self) -> bool {
        self.staged_at > 0
    }

    /// Can it be sent once more from the same buffer?
    pub fn is_replayable(&self) -> bool {
        !self.overwritten
    }

    /// Goes on with writing where another one, of the same staged bytes, has stopped.
    pub fn go_on_from(mut self, other: &Self) -> Self {
        self.staged_at = other.staged_at;
        self.sent = other.sent;
        self
    }

    /// Moves as much as the sockets let it. Ready once all is written.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (source, buffer): (&mut Stream, &mut Vec<u8>),
        (sink, staged): (&mut Stream, &mut Vec<u8>),
        limits: &Limits,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            match self.stage(buffer, staged, limits).map_err(Stopped::Rule)? {
                Next::Write => ready!(self.poll_write(cx, buffer, sink, staged))?,
                Next::Done => {
                    self.waits_for_sink = true;
                    return sink.poll_flush(cx).map_err(|_gone| Stopped::Write);
                }
                Next::Read => {
                    self.waits_for_sink = false;
                    self.make_room(buffer);
                    let count =
                        ready!(source.poll_read(cx, buffer)).map_err(|_gone| Stopped::Read)?;
                    self.progress = true;
                    if count == 0 {
                        self.reader.closed().map_err(Stopped::Rule)?;
                        self.finish(&[], staged);
                    }
                }
            }
        }
    }

    /// Writes what is staged, and nothing more.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &[u8],
        sink: &mut Stream,
        staged: &mut Vec<u8>,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            let first = staged.get(self.staged_at..).unwrap_or_default();
            let second = buffer.get(self.direct.clone()).unwrap_or_default();
            if first.is_empty() && second.is_empty() {
                staged.clear();
                self.staged_at = 0;
                self.direct = 0..0;
                return Poll::Ready(Ok(()));
            }
            self.waits_for_sink = true;
            let count =
                ready!(sink.poll_write(cx, first, second)).map_err(|_gone| Stopped::Write)?;
            if count == 0 {
                return Poll::Ready(Err(Stopped::Write));
            }
            self.progress = true;
            self.sent = self.sent.saturating_add(count as u64);
            let of_first = count.min(first.len());
            self.staged_at += of_first;
            self.direct.start += count - of_first;
        }
    }

    /// Decodes what is in the buffer and stages it, up to a long piece that is written directly.
    fn stage(
        &mut self,
        buffer: &[u8],
        staged: &mut Vec<u8>,
        limits: &Limits,
    ) -> Result<Next, Cause> {
        while !self.decoded && self.direct.is_empty() {
            if let Some(trailers) = self.ends_at.take() {
                self.finish(buffer.get(trailers).unwrap_or_default(), staged);
                break;
            }
            let input = buffer.get(self.read_at..).unwrap_or_default();
            let piece = self.reader.read(input, limits)?;
            self.put(piece.payload, input, staged);
            let begin = self.read_at;
            self.read_at += piece.consumed;
            match piece.event {
                Event::Again => {}
                Event::More => break,
                Event::End { trailers } => {
                    self.ends_at = Some(begin + trailers.start..begin + trailers.end);
                    // Without chunks nothing is written behind the payload, so nothing has to wait for it.
                    self.decoded = self.encode == Encode::Raw;
                }
            }
        }
        let is_staged = self.staged_at < staged.len() || !self.direct.is_empty();
        Ok(match (is_staged, self.decoded) {
            (true, _) => Next::Write,
            (false, true) => Next::Done,
            (false, false) => Next::Read,
        })
    }

    fn put(&mut self, payload: Range<usize>, input: &[u8], staged: &mut Vec<u8>) {
        if payload.is_empty() {
            return;
        }
        let is_chunked = self.encode == Encode::Chunked;
        if std::mem::take(&mut self.owes_line_end) {
            staged.extend_from_slice(b"\r\n");
        }
        if is_chunked {
            write::chunk_size(staged, payload.len() as u64);
        }
        if payload.len() > COPY_MAX {
            self.direct = self.read_at + payload.start..self.read_at + payload.end;
            self.owes_line_end = is_chunked;
            return;
        }
        staged.extend_from_slice(input.get(payload).unwrap_or_default());
        if is_chunked {
            staged.extend_from_slice(b"\r\n");
        }
    }

    fn finish(&mut self, trailers: &[u8], staged: &mut Vec<u8>) {
        self.decoded = true;
        if self.encode == Encode::Raw {
            return;
        }
        if std::mem::take(&mut self.owes_line_end) {
            staged.extend_from_slice(b"\r\n");
        }
        match self.reader.trailers() {
            [] => write::last_chunk(staged),
            fields => write::last_chunk_with(staged, fields, trailers),
        }
    }

    /// Everything in the buffer is decoded as far as it goes and what was direct is written: the rest moves to the front.
    fn make_room(&mut self, buffer: &mut Vec<u8>) {
        if self.read_at > self.base {
            buffer.drain(self.base..self.read_at);
            self.read_at = self.base;
            self.overwritten = true;
        }
        let wanted = self.reader.remaining().map_or(BODY_ROOM, |left| {
            usize::try_from(left).map_or(BODY_ROOM, |left| left.min(BODY_ROOM))
        });
        // Half of it will do: a buffer that was made for a body has a head in it too.
        if buffer.capacity() - buffer.len() < wanted.div_ceil(2).max(1) {
            buffer.reserve(wanted);
        }
    }
}
