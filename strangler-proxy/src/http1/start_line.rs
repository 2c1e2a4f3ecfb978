//! The request line: method, target in one of its forms, version (RFC 9112 3).

use super::{
    cause::Cause,
    fields::{LineEnd, line_end},
    framing::Version,
    host,
    leniency::Leniency,
    limits::{Limits, METHOD_BYTES_MAX},
    method::Method,
    name::same,
    path,
    scan::{self, TOKEN},
    span::Span,
};

/// The form of a target. The authority form belongs to `CONNECT` alone, which is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://authority/path?query`
    Absolute { authority: Span, default_port: u16 },
    /// `*`
    Asterisk,
}

/// A request line, by places in the buffer.
#[derive(Debug, Default)]
pub(super) struct StartLine {
    pub method: Method,
    pub method_text: Span,
    pub version: Version,
    pub form: Form,
    pub path: Span,
    pub query: Option<Span>,
    pub respell_path: bool,
    pub respell_query: bool,
    pub used: Leniency,
    pub ends: LineEnd,
}

/// What a path is where a target has none.
const ROOT: &[u8] = b"/";

impl StartLine {
    /// Reads the line from the front of `buf`, after empty lines; tells where it ends, or nothing while it is not whole.
    #[inline]
    pub(super) fn read(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        permitted: Leniency,
    ) -> Result<Option<usize>, Cause> {
        let Some(start) = skip_empty_lines(buf, limits.empty_lines)? else { return Ok(None) };
        let (method_end, _) = scan::run(buf, start, TOKEN);
        if method_end - start > METHOD_BYTES_MAX {
            return Err(Cause::MethodUnknown);
        }
        match buf.get(method_end) {
            Some(b' ') if method_end > start => {}
            None => return Ok(None),
            Some(b'\r' | b'\n') => return Err(Cause::RequestLine),
            Some(_) => return Err(Cause::MethodInvalid),
        }
        self.method_text = Span::new(start, method_end);
        self.method = Method::read(self.method_text.of(buf))?;
        let target = method_end + 1;
        // What is wrong beyond the limit is not looked at, so that the answer does not depend on how the bytes came.
        let seen = buf.get(..target + limits.target_bytes + 1).unwrap_or(buf);
        let end = self.target(seen, target, permitted)?.unwrap_or(seen.len());
        if end - target > limits.target_bytes {
            return Err(Cause::TargetTooLong);
        }
        match buf.get(end) {
            None => Ok(None),
            Some(b' ') => self.version(buf, end + 1, permitted),
            Some(byte) => after_target(buf, end, *byte),
        }
    }

    /// Reads the target; tells where it ends, or nothing while that cannot be known.
    #[inline]
    fn target(
        &mut self,
        buf: &[u8],
        at: usize,
        permitted: Leniency,
    ) -> Result<Option<usize>, Cause> {
        match buf.get(at) {
            Some(b'/') => {
                self.form = Form::Origin;
                self.path_and_query(buf, at, permitted).map(Some)
            }
            None => Ok(None),
            Some(_) => self.other_form(buf, at, permitted),
        }
    }

    #[inline]
    fn path_and_query(
        &mut self,
        buf: &[u8],
        at: usize,
        permitted: Leniency,
    ) -> Result<usize, Cause> {
        let found = path::scan_path(buf, at, permitted)?;
        self.path = Span::new(at, found.end);
        self.respell_path = found.respell;
        self.used = found.used;
        self.optional_query(buf, found.end, permitted)
    }

    #[inline]
    fn optional_query(
        &mut self,
        buf: &[u8],
        at: usize,
        permitted: Leniency,
    ) -> Result<usize, Cause> {
        if buf.get(at) != Some(&b'?') {
            self.query = None;
            self.respell_query = false;
            return Ok(at);
        }
        let found = path::scan_query(buf, at + 1, permitted)?;
        self.query = Some(Span::new(at + 1, found.end));
        self.respell_query = found.respell;
        self.used = self.used.with(found.used);
        Ok(found.end)
    }

    #[cold]
    fn other_form(
        &mut self,
        buf: &[u8],
        at: usize,
        permitted: Leniency,
    ) -> Result<Option<usize>, Cause> {
        let rest = buf.get(at..).unwrap_or_default();
        match rest {
            [b' ', ..] => Err(Cause::RequestLine),
            [b'*'] => Ok(None),
            [b'*', b' ', ..] if self.method == Method::Options => {
                self.form = Form::Asterisk;
                self.no_path(Span::new(at, at + 1));
                Ok(Some(at + 1))
            }
            [b'*', b' ' | b'\r' | b'\n', ..] => Err(Cause::TargetAsterisk),
            _ => self.absolute(buf, at, permitted),
        }
    }

    fn absolute(
        &mut self,
        buf: &[u8],
        at: usize,
        permitted: Leniency,
    ) -> Result<Option<usize>, Cause> {
        let rest = buf.get(at..).unwrap_or_default();
        let stop =
            rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | 0..=b' ' | 0x7f..));
        let Some(colon) = stop.filter(|stop| rest.get(*stop) == Some(&b'/')) else {
            return no_scheme(rest, stop);
        };
        let Some(scheme) = rest.get(..colon).and_then(|text| text.strip_suffix(b":")) else {
            return Err(Cause::TargetForm);
        };
        let default_port = if same(scheme, b"http") {
            80
        } else if same(scheme, b"https") {
            443
        } else {
            return Err(Cause::TargetScheme);
        };
        match rest.get(colon + 1) {
            None => return Ok(None),
            Some(b'/') => {}
            Some(_) => return Err(Cause::TargetForm),
        }
        let start = at + colon + 2;
        let authority = buf.get(start..).unwrap_or_default();
        let Some(length) = authority
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'#' | 0..=b' ' | 0x7f..))
        else {
            return Ok(None);
        };
        let text = authority.get(..length).unwrap_or_default();
        if text.contains(&b'@') {
            return Err(Cause::TargetUserinfo);
        }
        host::authority(text).ok_or(Cause::TargetAuthority)?;
        self.form = Form::Absolute { authority: Span::new(start, start + length), default_port };
        self.after_authority(buf, start + length, permitted).map(Some)
    }

    fn after_authority(
        &mut self,
        buf: &[u8],
        at: usize,
        permitted: Leniency,
    ) -> Result<usize, Cause> {
        if buf.get(at) == Some(&b'/') {
            return self.path_and_query(buf, at, permitted);
        }
        // An empty path is `/`; in OPTIONS it is the server as a whole (RFC 9112 3.2.4). Both stand nowhere in the
        // buffer, so the place is empty and the accessor of the head fills in.
        self.no_path(Span::new(at, at));
        self.optional_query(buf, at, permitted)
    }

    fn no_path(&mut self, path: Span) {
        self.path = path;
        self.query = None;
        self.respell_path = false;
        self.respell_query = false;
        self.used = Leniency::NONE;
    }

    /// The path, of the bytes it is a place in.
    #[inline]
    pub(super) fn path<'a>(&self, from: &'a [u8]) -> &'a [u8] {
        match self.path.of(from) {
            [] if self.method == Method::Options && self.query.is_none() => b"*",
            [] => ROOT,
            path => path,
        }
    }

    #[inline]
    fn version(
        &mut self,
        buf: &[u8],
        at: usize,
        permitted: Leniency,
    ) -> Result<Option<usize>, Cause> {
        self.version = match buf.get(at..at + 8) {
            Some(b"HTTP/1.1") => Version::Http11,
            Some(b"HTTP/1.0") => Version::Http10,
            _ => return odd_version(buf, at),
        };
        self.ends = LineEnd::CrLf;
        if buf.get(at + 8) == Some(&b'\n') && permitted.has(Leniency::BARE_LF) {
            self.ends = LineEnd::Lf;
            self.used = self.used.with(Leniency::BARE_LF);
        }
        line_end(buf, at + 8, self.ends, after_version)
    }
}

fn after_version(byte: u8) -> Cause {
    if matches!(byte, b' ' | b'\t') { Cause::RequestLine } else { Cause::VersionInvalid }
}

#[inline]
fn skip_empty_lines(buf: &[u8], lines_max: usize) -> Result<Option<usize>, Cause> {
    let mut at = 0;
    loop {
        match buf.get(at) {
            None => return Ok(None),
            Some(b'\r' | b'\n') => {}
            Some(_) => return Ok(Some(at)),
        }
        if at >= lines_max.saturating_mul(2) {
            return Err(Cause::EmptyLines);
        }
        match line_end(buf, at, LineEnd::CrLf, |_| Cause::RequestLine)? {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
}

/// A target that does not begin with a scheme and `//`.
fn no_scheme(rest: &[u8], stop: Option<usize>) -> Result<Option<usize>, Cause> {
    match stop.and_then(|stop| rest.get(stop)) {
        None => Ok(None),
        Some(b'#') => Err(Cause::TargetFragment),
        Some(0x80..) => Err(Cause::TargetNonAscii),
        Some(b'\r' | b'\n' | b' ' | b'?') => Err(Cause::TargetForm),
        Some(_) => Err(Cause::TargetControl),
    }
}

#[cold]
fn after_target(buf: &[u8], end: usize, byte: u8) -> Result<Option<usize>, Cause> {
    match (byte, buf.get(end + 1)) {
        (b'\r', None) => Ok(None),
        (b'\r', Some(b'\n')) | (b'\n', _) => Err(Cause::Http09),
        (b'\r', Some(_)) => Err(Cause::BareCr),
        (b'#', _) => Err(Cause::TargetFragment),
        (0..=b' ' | 0x7f, _) => Err(Cause::TargetControl),
        (0x80.., _) => Err(Cause::TargetNonAscii),
        (_, _) => Err(Cause::TargetCharacter),
    }
}

/// What stands where a version should. Waits for the end of the line, so that the answer does not depend on how the bytes came.
#[cold]
fn odd_version(buf: &[u8], at: usize) -> Result<Option<usize>, Cause> {
    let rest = buf.get(at..).unwrap_or_default();
    let Some(ended) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return Ok(None);
    };
    match rest.get(..ended).unwrap_or_default() {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Cause::VersionUnsupported)
        }
        [] | [b' ', ..] => Err(Cause::RequestLine),
        line if line.windows(6).any(|part| part == b" HTTP/") => Err(Cause::TargetSpace),
        _ => Err(Cause::VersionInvalid),
    }
}
