//! A connection over TLS: rustls in the middle, the socket below, and the same face as a plain one above.
//!
//! Invariant: what [`Secure::poll_write`] has taken is encrypted and goes out with the next polls of whatever kind, before
//! anything new is taken; so at most one call's bytes ever wait here, as they else would in the kernel. Whoever calls a
//! message written has waited for [`Secure::poll_flush`].

use std::{
    fmt,
    io::{self, BufRead, IoSlice, Read, Write},
    task::{Context, Poll, Waker, ready},
};

use rustls::{Connection, HandshakeKind, pki_types::CertificateDer};
use tokio::io::ReadBuf;

use super::stream::Stream;

/// Room for what comes in: the largest record (RFC 8446, section 5.2) and what usually comes with it.
const INCOMING: usize = 20 * 1024;

/// What a record begins with when it is one of a handshake. No method of HTTP begins so.
const HANDSHAKE: u8 = 22;
/// Or when it is an alert, with which a server may answer at once.
const ALERT: u8 = 21;

/// A connection over TLS.
pub struct Secure {
    /// The connection beneath.
    below: Stream,
    session: Connection,
    /// What has come and rustls has not had yet. Has no room while nothing is in it.
    incoming: Vec<u8>,
    /// Where in it that begins.
    at: usize,
    /// Decrypted bytes that wait to be read.
    waiting: usize,
    records: Records,
    end: Option<End>,
    said_goodbye: bool,
}

/// Why nothing more comes.
#[derive(Debug, Clone)]
enum End {
    /// The other side has said so.
    Said,
    /// The connection beneath ended without a word: what came may have been cut short by anybody.
    Cut,
    /// A rule was broken, or the other side has sent an alert.
    Broken(rustls::Error),
    /// The connection beneath failed.
    Failed(io::ErrorKind),
}

/// Why there was no handshake.
#[derive(Debug)]
pub enum Failure {
    /// The other side does not speak TLS.
    NotTls,
    /// It has gone.
    Gone,
    /// A rule was broken, a certificate was not good, or the other side has sent an alert.
    Broken(rustls::Error),
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotTls => io::Error::new(io::ErrorKind::InvalidData, "no TLS is spoken there"),
            Failure::Gone => io::ErrorKind::ConnectionAborted.into(),
            Failure::Broken(error) => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// The error of TLS in an error of a connection, where it is one.
pub fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Waits for the first bytes of a connection and holds nothing before they are there; none where it has ended. They are
/// read, as an accepted socket is called readable before anybody knows.
pub fn poll_first(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
    ready!(stream.poll_readable(cx));
    let mut first = Vec::with_capacity(INCOMING);
    // What has failed has ended.
    stream.poll_read(cx, &mut first).map(|_read| first)
}

impl Secure {
    /// Before the handshake.
    pub fn new(below: Stream, session: impl Into<Connection>) -> Self {
        Self {
            below,
            session: session.into(),
            incoming: Vec::new(),
            at: 0,
            waiting: 0,
            records: Records::default(),
            end: None,
            said_goodbye: false,
        }
    }

    /// Before the handshake, with what has been read of it already.
    pub fn begun(below: Stream, session: impl Into<Connection>, first: Vec<u8>) -> Self {
        let mut secure = Self::new(below, session);
        secure.records.pass(&first);
        secure.incoming = first;
        secure
    }

    /// Ready when both sides have finished. A failure is told to the other side as far as that takes no waiting.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            if ready!(self.poll_flush(cx)).is_err() {
                return Poll::Ready(Err(Failure::Gone));
            }
            if !self.session.is_handshaking() && !self.session.wants_write() {
                return Poll::Ready(Ok(()));
            }
            if self.at == self.incoming.len() {
                ready!(self.poll_fill(cx));
            }
            if !self.records.has_seen_tls() {
                return Poll::Ready(Err(Failure::NotTls));
            }
            self.digest();
            let failure = match &self.end {
                None => continue,
                // A client may finish, ask and say goodbye in one breath.
                Some(_) if !self.session.is_handshaking() => continue,
                Some(End::Broken(error)) => Failure::Broken(error.clone()),
                Some(End::Said | End::Cut | End::Failed(_)) => Failure::Gone,
            };
            // The alert, if it can go at once.
            drop(self.poll_flush(cx));
            return Poll::Ready(Err(failure));
        }
    }

    /// What ALPN has agreed on.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    /// The name that the client has asked for.
    pub fn server_name(&self) -> Option<&str> {
        match &self.session {
            Connection::Server(session) => session.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// The certificate that the other side has shown.
    pub fn shown(&self) -> Option<&CertificateDer<'static>> {
        self.session.peer_certificates().and_then(<[_]>::first)
    }

    /// Did the handshake take up an earlier session?
    pub fn is_resumed(&self) -> bool {
        self.session.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The connection beneath.
    pub fn below(&self) -> &Stream {
        &self.below
    }

    /// The connection below, for another protocol.
    pub fn into_below(self) -> Stream {
        self.below
    }

    /// As [`Stream::poll_readable`].
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Whatever fails here shows up when reading.
        drop(self.poll_flush(cx));
        loop {
            self.digest();
            if self.waiting > 0 || self.end.is_some() {
                return Poll::Ready(());
            }
            ready!(self.poll_fill(cx));
        }
    }

    /// As [`Stream::poll_read`]. An end that the other side has not announced is an error.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let room = buffer.capacity() - buffer.len();
        self.poll_take(cx, room, |bytes| buffer.extend_from_slice(bytes))
    }

    /// As [`Stream::poll_read_into`].
    pub fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = into.remaining();
        self.poll_take(cx, room, |bytes| into.put_slice(bytes)).map_ok(|_count| ())
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_readable(cx));
        let mut taken = 0;
        while self.waiting > 0 && taken < room {
            let mut reader = self.session.reader();
            let chunk = reader.fill_buf()?;
            let piece = chunk.get(..room - taken).unwrap_or(chunk);
            let count = piece.len();
            take(piece);
            reader.consume(count);
            taken += count;
            self.waiting = if count == 0 { 0 } else { self.waiting.saturating_sub(count) };
        }
        Poll::Ready(match &self.end {
            _ if taken > 0 => Ok(taken),
            Some(End::Said) | None => Ok(0),
            Some(End::Cut) => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(End::Broken(error)) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, error.clone()))
            }
            Some(End::Failed(kind)) => Err((*kind).into()),
        })
    }

    /// As [`Stream::poll_write`].
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let pieces = [IoSlice::new(first), IoSlice::new(second)];
        let taken = self.session.writer().write_vectored(&pieces)?;
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    /// As [`Stream::poll_shutdown`]: everything goes out first, then `close_notify`, without which the other side would
    /// have to take its answer for cut short.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.said_goodbye {
            self.said_goodbye = true;
            self.session.send_close_notify();
        }
        ready!(self.poll_flush(cx))?;
        self.below.poll_shutdown(cx)
    }

    /// As [`Stream::is_quiet`]. Tickets and new keys are no bytes of anybody's; the beginning of a record may be.
    pub fn is_quiet(&mut self) -> bool {
        let nothing = self.poll_readable(&mut Context::from_waker(Waker::noop())).is_pending();
        nothing && !self.records.is_inside() && !self.session.wants_write()
    }

    /// As [`Stream::is_open`].
    pub fn is_open(&mut self) -> bool {
        // What the system has may be no more than a ticket: it is taken in, and the system asked again.
        let mut bytes = [0; 4096];
        loop {
            if !self.is_quiet() {
                return false;
            }
            if self.below.is_open() {
                return true;
            }
            match self.below.take_now(&mut bytes) {
                Ok(count) if count > 0 => self.take(bytes.get(..count).unwrap_or_default()),
                Ok(_) | Err(_) => return false,
            }
        }
    }

    /// As [`Stream::abort`].
    pub fn abort(self) {
        self.below.abort();
    }

    /// As [`Stream::poll_flush`].
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let mut below = Below { stream: &mut self.below, cx };
            match self.session.write_tls(&mut below) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes in what has come. Ready when that is something.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.incoming.capacity() == 0 {
            ready!(self.below.poll_readable(cx));
            self.incoming.reserve(INCOMING);
        }
        let before = self.incoming.len();
        match self.below.poll_read(cx, &mut self.incoming) {
            Poll::Ready(Ok(0)) => self.end = Some(End::Cut),
            Poll::Ready(Ok(_)) => {
                self.records.pass(self.incoming.get(before..).unwrap_or_default());
            }
            Poll::Ready(Err(error)) => self.end = Some(End::Failed(error.kind())),
            Poll::Pending => {
                self.give_up_room();
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.records.pass(bytes);
        self.incoming.extend_from_slice(bytes);
    }

    /// Decrypts what has come, until there is something to be read.
    fn digest(&mut self) {
        while self.waiting == 0 && self.at < self.incoming.len() {
            // What comes after a goodbye, or after a broken rule, means nothing.
            if matches!(self.end, Some(End::Said | End::Broken(_))) {
                self.at = self.incoming.len();
                break;
            }
            let mut rest = self.incoming.get(self.at..).unwrap_or_default();
            let before = rest.len();
            if let Err(error) = self.session.read_tls(&mut rest) {
                self.end = Some(End::Failed(error.kind()));
                self.at = self.incoming.len();
                break;
            }
            self.at += before - rest.len();
            match self.session.process_new_packets() {
                Ok(state) => {
                    self.waiting = state.plaintext_bytes_to_read();
                    if state.peer_has_closed() {
                        self.end = Some(End::Said);
                    }
                }
                Err(error) => self.end = Some(End::Broken(error)),
            }
        }
        self.give_up_room();
    }

    /// An idle connection holds no buffer.
    fn give_up_room(&mut self) {
        if self.at == self.incoming.len() {
            self.incoming = Vec::new();
            self.at = 0;
        }
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("below", &self.below).finish_non_exhaustive()
    }
}

/// The connection beneath, as rustls wants it.
struct Below<'a, 'b> {
    stream: &'a mut Stream,
    cx: &'a mut Context<'b>,
}

impl Write for Below<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.stream.poll_write_pieces(self.cx, pieces) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where records begin and end in what comes (RFC 8446, section 5.1). rustls keeps the beginning of a record to itself, but
/// whoever wants to use a connection again must know of it.
#[derive(Debug, Default)]
struct Records {
    header: [u8; 5],
    /// How much of the header has come.
    known: usize,
    /// How much of the record behind it has not.
    left: usize,
    first: Option<u8>,
}

impl Records {
    fn pass(&mut self, mut bytes: &[u8]) {
        self.first = self.first.or_else(|| bytes.first().copied());
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                self.left -= count;
                bytes = bytes.get(count..).unwrap_or_default();
                continue;
            }
            let room = self.header.get_mut(self.known..).unwrap_or_default();
            // Reading from a slice never fails.
            let count = bytes.read(room).unwrap_or(0);
            self.known += count;
            if self.known == self.header.len() {
                let [_, _, _, high, low] = self.header;
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.known = 0;
            }
        }
    }

    fn is_inside(&self) -> bool {
        self.known > 0 || self.left > 0
    }

    fn has_seen_tls(&self) -> bool {
        self.first.is_none_or(|first| matches!(first, HANDSHAKE | ALERT))
    }
}

#[cfg(test)]
mod tests {
    use super::Records;

    #[test]
    fn records_are_followed_however_they_come() {
        let stream =
            [&[22, 3, 1, 0, 2, 1, 2][..], &[23, 3, 3, 0, 0], &[23, 3, 3, 1, 0], &[7; 256]].concat();
        for step in 1..=stream.len() {
            let mut records = Records::default();
            let mut passed = 0;
            for piece in stream.chunks(step) {
                records.pass(piece);
                passed += piece.len();
                let is_between = [7, 12, stream.len()].contains(&passed);
                assert_eq!(records.is_inside(), !is_between, "{passed} in steps of {step}");
            }
            assert!(records.has_seen_tls());
        }
        let mut records = Records::default();
        records.pass(b"GET / HTTP/1.1\r\n");
        assert!(!records.has_seen_tls());
    }
}
