//! The head of a request.

mod asides;

use super::{
    cause::{Cause, Refusal},
    connection,
    fields::{Field, Fields, LineEnd},
    framing::{Framing, Version, declared},
    host,
    leniency::Leniency,
    limits::Limits,
    method::Method,
    name::{Known, KnownSet},
    path,
    span::Span,
    start_line::{Form, StartLine},
};

/// How far a head came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// It is right so far; more bytes are needed.
    Partial,
    /// It is whole, and `head_len` bytes long; the body begins there.
    Complete {
        /// Bytes of the head, empty lines before it included.
        head_len: usize,
    },
}

/// What a request asks for beyond an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// Nothing, or something that is not passed on: `h2c`, a list, an upgrade with a body or without `Connection: upgrade`.
    #[default]
    None,
    /// A WebSocket.
    WebSocket,
    /// Another single protocol.
    Other,
}

/// What the reader of the response must know of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// It was `HEAD`: the response has no body whatever its fields say.
    pub head: bool,
    /// It asked for an upgrade that was passed on: 101 is an answer.
    pub upgrade: bool,
}

/// The head of a request, by places in the buffer that it was read from. One is kept per connection and reused: once its
/// lists have grown, parsing allocates nothing.
///
/// ```
/// use strangler_proxy::http1::{Framing, Known, Leniency, Limits, Parsed, RequestHead};
///
/// let buf = b"POST /a/../b?c HTTP/1.1\r\nHost: shop.example:8080\r\nContent-Length: 2\r\n\r\nhi and the next one";
/// let mut head = RequestHead::default();
/// let Ok(Parsed::Complete { head_len }) = head.parse(buf, &Limits::default(), Leniency::NONE) else { panic!() };
/// assert_eq!(&buf[head_len..head_len + 2], b"hi");
/// assert_eq!(head.path(buf), b"/b");
/// assert_eq!(head.query(buf), Some(&b"c"[..]));
/// assert_eq!((head.host(buf), head.port()), (&b"shop.example"[..], Some(8080)));
/// assert_eq!(head.framing(), Framing::Length(2));
/// assert_eq!(head.value(buf, Known::ContentLength), Some(&b"2"[..]));
/// ```
#[derive(Debug, Default)]
pub struct RequestHead {
    line: StartLine,
    fields: Fields,
    state: State,
    authority: Span,
    host_len: u32,
    port: Option<u16>,
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
    upgrade: Upgrade,
    max_forwards: Option<u64>,
    used: Leniency,
    nominated: Vec<Span>,
    /// Path and query where they are spelled anew.
    spelled: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    StartLine,
    Fields,
    Complete,
}

impl RequestHead {
    /// Reads a head from the front of `buf`. After [`Parsed::Partial`] it goes on where it stopped, so `buf` must then
    /// be the same bytes with more at the end; after anything else, or after [`clear`](Self::clear), it starts anew.
    /// Bytes after the head are not looked at.
    ///
    /// `permitted` is what any route of the listener forgives; see [`Leniency`].
    ///
    /// # Errors
    /// The first rule that is broken, as soon as the bytes show it. Nothing of the head is of use then.
    pub fn parse(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        permitted: Leniency,
    ) -> Result<Parsed, Refusal> {
        if self.state == State::Complete {
            self.clear();
        }
        match self.go_on(buf, limits, permitted) {
            Ok(parsed) => Ok(parsed),
            Err(cause) => {
                self.clear();
                Err(cause.into())
            }
        }
    }

    /// Forgets what was read. Needed only to drop a partial head.
    pub fn clear(&mut self) {
        self.state = State::StartLine;
        self.fields.start(0);
    }

    #[inline]
    fn go_on(&mut self, buf: &[u8], limits: &Limits, permitted: Leniency) -> Result<Parsed, Cause> {
        let view = buf.get(..limits.head_bytes).unwrap_or(buf);
        if self.state == State::StartLine {
            match self.line.read(view, limits, permitted)? {
                Some(next) => self.fields.start(next),
                None if buf.len() >= limits.head_bytes => return Err(Cause::HeadTooLarge),
                None => return Ok(Parsed::Partial),
            }
            self.state = State::Fields;
        }
        match self.fields.read(view, limits.fields, self.line.ends)? {
            Some(head_len) => {
                self.finish(buf, permitted)?;
                self.state = State::Complete;
                Ok(Parsed::Complete { head_len })
            }
            None if buf.len() >= limits.head_bytes => Err(Cause::HeadTooLarge),
            None => Ok(Parsed::Partial),
        }
    }

    /// What only the whole head shows.
    #[inline]
    fn finish(&mut self, buf: &[u8], permitted: Leniency) -> Result<(), Cause> {
        /// Fields that few requests have.
        const RARE: KnownSet = KnownSet::of(&[Known::Expect, Known::MaxForwards, Known::Upgrade]);
        const FRAMES: KnownSet = KnownSet::of(&[Known::ContentLength, Known::TransferEncoding]);

        self.used = self.line.used;
        if self.fields.have_underscores() {
            self.used = self.used.with(Leniency::UNDERSCORE_NAMES);
        }
        self.place(buf)?;
        let options = connection::options(&mut self.fields, buf, &mut self.nominated)?;
        self.framing = Framing::None;
        if self.fields.seen().meets(FRAMES) {
            let declared = declared(&self.fields, buf, self.line.version, permitted)?;
            self.used = self.used.with(declared.used);
            self.framing = match (declared.chunked, declared.length) {
                (true, _) => Framing::Chunked,
                (false, Some(length)) => Framing::Length(length),
                (false, None) => Framing::None,
            };
        }
        self.keep_alive = match self.line.version {
            Version::Http11 => !options.close,
            Version::Http10 => options.keep_alive && !options.close,
        };
        if self.line.ends == LineEnd::Lf {
            if self.has_body() {
                return Err(Cause::BareLf);
            }
            self.keep_alive = false;
        }
        self.expects_continue = false;
        self.upgrade = Upgrade::None;
        self.max_forwards = None;
        if self.fields.seen().meets(RARE) {
            self.rare(buf, options.upgrade)?;
        }
        self.spell(buf, permitted)
    }

    /// Who is asked: `Host`, which the authority of an absolute target must agree with.
    #[inline]
    fn place(&mut self, buf: &[u8]) -> Result<(), Cause> {
        if self.fields.repeats(Known::Host) {
            return Err(Cause::HostRepeated);
        }
        let named = match self.fields.get(Known::Host) {
            Some(field) => {
                let authority = host::authority(field.value.of(buf)).ok_or(Cause::HostInvalid)?;
                Some((field.value, authority))
            }
            None if self.line.version == Version::Http11 => return Err(Cause::HostMissing),
            None => None,
        };
        let of_target = match self.line.form {
            Form::Absolute { authority, default_port } => {
                let text = authority.of(buf);
                if let Some((host, _)) = named
                    && !host::same_place(host.of(buf), text, default_port)
                {
                    return Err(Cause::HostMismatch);
                }
                Some((authority, host::authority(text).ok_or(Cause::TargetAuthority)?))
            }
            Form::Origin | Form::Asterisk => None,
        };
        let Some((place, authority)) = of_target.or(named) else {
            self.authority = Span::default();
            self.host_len = 0;
            self.port = None;
            return Ok(());
        };
        let start = place.start as usize;
        self.authority = Span::new(start, start + authority.len);
        self.host_len = Span::new(0, authority.host_len).end;
        self.port = authority.port;
        Ok(())
    }

    #[inline]
    fn spell(&mut self, buf: &[u8], permitted: Leniency) -> Result<(), Cause> {
        self.spelled.clear();
        if self.line.respell_path {
            let raw = self.line.path.of(buf);
            self.used = self.used.with(path::normalise(raw, permitted, &mut self.spelled)?);
            self.line.path = Span::new(0, self.spelled.len());
        }
        if self.line.respell_query {
            let start = self.spelled.len();
            path::encode_raw(self.line.query.unwrap_or_default().of(buf), &mut self.spelled);
            self.line.query = Some(Span::new(start, self.spelled.len()));
        }
        Ok(())
    }
}

/// What a whole head says. `buf` is the buffer that it was parsed from, with the same bytes.
impl RequestHead {
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.line.method
    }

    /// The method as it was written.
    #[must_use]
    pub fn method_text<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        self.line.method_text.of(buf)
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// The path in its one spelling: what routes are matched against and upstreams are asked for. `*` for `OPTIONS *`.
    #[inline]
    #[must_use]
    pub fn path<'a>(&'a self, buf: &'a [u8]) -> &'a [u8] {
        self.line.path(if self.line.respell_path { &self.spelled } else { buf })
    }

    /// The query without its `?`, as it was written; nothing where there is no `?`.
    #[inline]
    #[must_use]
    pub fn query<'a>(&'a self, buf: &'a [u8]) -> Option<&'a [u8]> {
        let from = if self.line.respell_query { &self.spelled } else { buf };
        self.line.query.map(|query| query.of(from))
    }

    /// The host as it was written, without port and final dot; compare it whatever its case. Empty only in HTTP/1.0.
    #[inline]
    #[must_use]
    pub fn host<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        let host = Span {
            start: self.authority.start,
            end: self.authority.start.saturating_add(self.host_len),
        };
        host::without_root(host.of(buf))
    }

    /// The port that the client named.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port as they were written.
    #[inline]
    #[must_use]
    pub fn authority<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        self.authority.of(buf)
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The first field of a well-known name.
    #[must_use]
    pub fn field(&self, known: Known) -> Option<&Field> {
        self.fields.get(known)
    }

    /// The first value of a well-known name.
    #[must_use]
    pub fn value<'a>(&self, buf: &'a [u8], known: Known) -> Option<&'a [u8]> {
        self.fields.value(buf, known)
    }

    /// How the body ends; never [`Framing::UntilClose`].
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether bytes of a body follow.
    #[must_use]
    pub fn has_body(&self) -> bool {
        !matches!(self.framing, Framing::None | Framing::Length(0))
    }

    /// Whether `Connection` nominates fields that have no other meaning here. Then
    /// [`BodyReader::forgetting_trailers`](super::BodyReader::forgetting_trailers) must be told so.
    #[must_use]
    pub fn nominates(&self) -> bool {
        !self.nominated.is_empty()
    }

    /// Whether the connection may carry another request.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client waits for 100 before it sends its body.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// What it asks to change the connection into.
    #[must_use]
    pub fn upgrade(&self) -> Upgrade {
        self.upgrade
    }

    /// How often it may still be forwarded, where that counts (`OPTIONS`). At 0 this gateway must answer itself (RFC 9110 7.6.2).
    #[must_use]
    pub fn max_forwards(&self) -> Option<u64> {
        self.max_forwards
    }

    /// The relaxations that the head makes use of. Check them with the route's [`Leniency::check`], and count those that
    /// the route allows.
    #[must_use]
    pub fn forgiven(&self) -> Leniency {
        self.used
    }

    /// What the reader of the response must know; `upgrade` says whether the upgrade was passed on.
    #[must_use]
    pub fn facts(&self, upgrade: bool) -> RequestFacts {
        RequestFacts { head: self.line.method == Method::Head, upgrade }
    }
}

#[cfg(test)]
mod tests;
