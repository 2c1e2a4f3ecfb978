//! The head of a response, read as strictly as a request: what an upstream says decides where its client's next response begins.

use super::{
    cause::{BadResponse, Cause},
    connection,
    fields::{Field, Fields, LineEnd, line_end},
    framing::{Declared, Framing, Version, declared},
    leniency::Leniency,
    limits::Limits,
    name::Known,
    request::{Parsed, RequestFacts},
    scan,
    span::Span,
};

/// The head of a response, by places in the buffer that it was read from. Reused like
/// [`RequestHead`](super::RequestHead).
#[derive(Debug, Default)]
pub struct ResponseHead {
    status: u16,
    version: Version,
    reason: Span,
    fields: Fields,
    in_fields: bool,
    complete: bool,
    framing: Framing,
    keep_alive: bool,
    nominated: Vec<Span>,
}

impl ResponseHead {
    /// Reads a head from the front of `buf`, as [`RequestHead::parse`](super::RequestHead::parse) does. A head with a
    /// status below 200 other than 101 is an interim one: another follows it.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        to: RequestFacts,
    ) -> Result<Parsed, BadResponse> {
        if self.complete {
            self.clear();
        }
        match self.go_on(buf, limits, to) {
            Ok(parsed) => Ok(parsed),
            Err(cause) => {
                self.clear();
                Err(cause.into())
            }
        }
    }

    /// Forgets what was read. Needed only to drop a partial head.
    pub fn clear(&mut self) {
        self.in_fields = false;
        self.complete = false;
        self.fields.start(0);
    }

    #[inline]
    fn go_on(&mut self, buf: &[u8], limits: &Limits, to: RequestFacts) -> Result<Parsed, Cause> {
        let view = buf.get(..limits.head_bytes).unwrap_or(buf);
        if !self.in_fields {
            match self.status_line(view)? {
                Some(next) => self.fields.start(next),
                None if buf.len() >= limits.head_bytes => return Err(Cause::HeadTooLarge),
                None => return Ok(Parsed::Partial),
            }
            self.in_fields = true;
        }
        match self.fields.read(view, limits.fields, LineEnd::CrLf)? {
            Some(head_len) => {
                self.finish(buf, to)?;
                self.complete = true;
                Ok(Parsed::Complete { head_len })
            }
            None if buf.len() >= limits.head_bytes => Err(Cause::HeadTooLarge),
            None => Ok(Parsed::Partial),
        }
    }

    #[inline]
    fn status_line(&mut self, buf: &[u8]) -> Result<Option<usize>, Cause> {
        const OPENING: usize = b"HTTP/1.1 ".len();
        let opening = buf.get(..OPENING).unwrap_or(buf);
        self.version = match opening {
            b"HTTP/1.1 " => Version::Http11,
            b"HTTP/1.0 " => Version::Http10,
            part if b"HTTP/1.1 ".starts_with(part) || b"HTTP/1.0 ".starts_with(part) => {
                return Ok(None);
            }
            _ => return Err(Cause::StatusLine),
        };
        let digits = buf.get(OPENING..).unwrap_or_default();
        let digits = digits.get(..3).unwrap_or(digits);
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(Cause::StatusLine);
        }
        if digits.len() < 3 {
            return Ok(None);
        }
        self.status = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
        if !(100..=599).contains(&self.status) {
            return Err(Cause::StatusCode);
        }
        let after = OPENING + 3;
        let start = match buf.get(after) {
            None => return Ok(None),
            // The space belongs there even without a reason (RFC 9112 4); many leave it out and nothing hangs on it.
            Some(b'\r') => after,
            Some(b' ') => after + 1,
            Some(b'\n') => return Err(Cause::BareLf),
            Some(_) => return Err(Cause::StatusLine),
        };
        let end = scan::value_end(buf, start);
        self.reason = Span::new(start, end);
        line_end(buf, end, LineEnd::CrLf, |_| Cause::StatusLine)
    }

    #[inline]
    fn finish(&mut self, buf: &[u8], to: RequestFacts) -> Result<(), Cause> {
        let options = connection::options(&mut self.fields, buf, &mut self.nominated)?;
        let declared = declared(&self.fields, buf, self.version, Leniency::NONE)?;
        if self.status == 101 && !to.upgrade {
            return Err(Cause::SwitchingUnasked);
        }
        self.framing = self.framed(declared, to)?;
        self.keep_alive = self.framing != Framing::UntilClose
            && self.status != 101
            && match self.version {
                Version::Http11 => !options.close,
                Version::Http10 => options.keep_alive && !options.close,
            };
        Ok(())
    }

    fn framed(&self, declared: Declared, to: RequestFacts) -> Result<Framing, Cause> {
        match self.status {
            // Some send `Content-Length: 0`, which is wrong and harms nobody. More than that would be a body that one
            // reader skips and another does not.
            100..=199 | 204
                if declared.chunked || declared.length.is_some_and(|length| length > 0) =>
            {
                Err(Cause::BodyNotAllowed)
            }
            100..=199 | 204 | 304 => Ok(Framing::None),
            _ if to.head => Ok(Framing::None),
            _ => Ok(match (declared.chunked, declared.length) {
                (true, _) => Framing::Chunked,
                (false, Some(length)) => Framing::Length(length),
                (false, None) => Framing::UntilClose,
            }),
        }
    }
}

/// What a whole head says. `buf` is the buffer that it was parsed from, with the same bytes.
impl ResponseHead {
    /// The status, 100 to 599.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether another head follows for the same request. Not to be sent on to a client of HTTP/1.0.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// Whether the connection speaks another protocol from here on.
    #[must_use]
    pub fn is_switching(&self) -> bool {
        self.status == 101
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The reason phrase; may be empty.
    #[must_use]
    pub fn reason<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        self.reason.of(buf)
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

    /// How the body ends, with the request's method considered.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether `Connection` nominates fields that have no other meaning here. Then
    /// [`BodyReader::forgetting_trailers`](super::BodyReader::forgetting_trailers) must be told so.
    #[must_use]
    pub fn nominates(&self) -> bool {
        !self.nominated.is_empty()
    }

    /// Whether the connection may be used again after the body.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }
}
