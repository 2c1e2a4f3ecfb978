//! What a path and a host must look like: `/v1/stock/{sku}`, `/assets/{*rest}`, `*.example.com`.

use std::fmt;

use crate::http1::{Leniency, normalise};

/// The longest pattern: no real path is longer, and the table's memory stays in proportion to the file.
const PATTERN_BYTES_MAX: usize = 1024;

/// The most segments of a pattern: the search goes one level down for each.
pub const SEGMENTS_MAX: usize = 64;

/// A path template. A parameter is one whole segment that is not empty; `{*rest}` at the end is any number of segments,
/// none included, so `/v1/stock/{*rest}` takes `/v1/stock`, `/v1/stock/` and `/v1/stock/7/moves`.
#[derive(Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: Box<str>,
    segments: Box<[Segment]>,
}

/// A part of a template between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text, in the path's normal form.
    Literal(Box<[u8]>),
    /// One segment that is not empty.
    Parameter(Box<str>),
    /// All that remains.
    Rest(Box<str>),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("`{0}` must begin with `/`")]
    NoSlash(String),
    /// Too long, or of too many segments.
    #[error("a pattern has at most {PATTERN_BYTES_MAX} bytes and {SEGMENTS_MAX} segments")]
    TooLong,
    /// A segment is neither a literal nor a parameter.
    #[error("`{segment}`: {why}")]
    Segment {
        /// Which.
        segment: String,
        /// What is wrong and what to write.
        why: &'static str,
    },
    /// A host that is none.
    #[error("`{0}` is no host: write `shop.example.com` or `*.example.com`, without a port")]
    Host(String),
}

impl PathPattern {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let inner = text.strip_prefix('/').ok_or_else(|| PatternError::NoSlash(text.to_owned()))?;
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        let mut segments = Vec::new();
        let count = inner.split('/').count();
        if count > SEGMENTS_MAX {
            return Err(PatternError::TooLong);
        }
        for (at, part) in inner.split('/').enumerate() {
            let last = at + 1 == count;
            segments.push(segment(part, last, &segments)?);
        }
        Ok(Self { text: text.into(), segments: segments.into() })
    }

    /// The pattern of exactly this path, whatever characters it has; for paths that are not written as templates.
    pub fn exact(path: &str) -> Self {
        let inner = path.strip_prefix('/').unwrap_or(path);
        let literal = |part: &str| Segment::Literal(part.as_bytes().into());
        Self { text: path.into(), segments: inner.split('/').map(literal).collect() }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its parts.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The names of its parameters in their order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter(name) | Segment::Rest(name) => Some(&**name),
        })
    }

    /// Does a path fit? Calls `take` with the value of each parameter, in their order; what it was called with counts
    /// only where the answer is yes.
    pub fn captures<'p>(&self, path: &'p [u8], take: &mut dyn FnMut(&'p [u8])) -> bool {
        let mut parts = Parts::of(path);
        for segment in &self.segments {
            match segment {
                Segment::Rest(_) => {
                    take(parts.remaining());
                    return true;
                }
                Segment::Literal(literal) => {
                    if parts.next() != Some(literal) {
                        return false;
                    }
                }
                Segment::Parameter(_) => match parts.next() {
                    Some(value) if !value.is_empty() => take(value),
                    Some(_) | None => return false,
                },
            }
        }
        parts.next().is_none()
    }

    /// Does a path fit?
    pub fn matches(&self, path: &[u8]) -> bool {
        self.captures(path, &mut |_| {})
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn segment(part: &str, last: bool, before: &[Segment]) -> Result<Segment, PatternError> {
    let wrong = |why| PatternError::Segment { segment: part.to_owned(), why };
    let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return literal(part, last).map_err(wrong);
    };
    let (name, rest) = match name.strip_prefix('*') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(good) {
        return Err(wrong("a parameter's name has letters, digits, `_` and `-`, such as {sku}"));
    }
    let taken = before.iter().any(|segment| match segment {
        Segment::Literal(_) => false,
        Segment::Parameter(other) | Segment::Rest(other) => &**other == name,
    });
    match (taken, rest, last) {
        (true, _, _) => Err(wrong("the name of this parameter is taken; each needs its own")),
        (false, true, false) => Err(wrong("what takes the rest must stand at the end")),
        (false, true, true) => Ok(Segment::Rest(name.into())),
        (false, false, _) => Ok(Segment::Parameter(name.into())),
    }
}

/// A literal must be written as the path will be when it is compared: normalised.
fn literal(part: &str, last: bool) -> Result<Segment, &'static str> {
    if part.is_empty() && !last {
        return Err("an empty segment (`//`) can never match: repeated slashes are merged first");
    }
    if part == "." || part == ".." {
        return Err("dot segments can never match: they are resolved first");
    }
    if part.contains(['{', '}', '*']) {
        return Err("a parameter is a whole segment: `/v1/stock/{sku}` or, at the end, `{*rest}`");
    }
    if part.contains(['?', '#']) {
        return Err("a path has no query and no fragment; match the query with `query`");
    }
    if !part.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("write characters that are not visible ASCII percent-encoded, `%C3%A9`");
    }
    let mut spelled = Vec::new();
    // A route may forgive what it likes: that is decided per request, not here.
    if normalise(format!("/{part}").as_bytes(), Leniency::ALL, &mut spelled).is_err() {
        return Err("no path may have this; is its percent-encoding whole?");
    }
    if spelled.strip_prefix(b"/") != Some(part.as_bytes()) {
        return Err(
            "write it in its normal form: capital hex digits, and none for letters, digits, `-._~`",
        );
    }
    Ok(Segment::Literal(part.as_bytes().into()))
}

/// The segments of a path, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'p> {
    /// What follows the next slash; nothing at the end.
    rest: Option<&'p [u8]>,
}

impl<'p> Parts<'p> {
    pub fn of(path: &'p [u8]) -> Self {
        Self { rest: Some(path.strip_prefix(b"/").unwrap_or(path)) }
    }

    /// What is left, without its leading slash.
    pub fn remaining(&self) -> &'p [u8] {
        self.rest.unwrap_or_default()
    }

    pub fn next(&mut self) -> Option<&'p [u8]> {
        let rest = self.rest?;
        match rest.iter().position(|byte| *byte == b'/').and_then(|at| rest.split_at_checked(at)) {
            Some((part, tail)) => {
                self.rest = tail.get(1..);
                Some(part)
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

/// Which hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// This one, in lower case.
    Exact(Box<str>),
    /// Every host under a domain: `.example.com`, in lower case, for `*.example.com`.
    Under(Box<str>),
}

impl HostPattern {
    /// Reads `*`, `shop.example.com`, `*.example.com` or an address.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let bad = || PatternError::Host(text.to_owned());
        if text == "*" {
            return Ok(Self::Any);
        }
        let lower = text.to_ascii_lowercase();
        let (domain, under) = match lower.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (lower.as_str(), false),
        };
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || byte == b'_';
        let address = domain
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
        let name = !domain.is_empty()
            && domain.bytes().all(plain)
            && domain.split('.').all(|label| !label.is_empty())
            && domain.len() <= 253;
        match (name || (address && !under), under) {
            (false, _) => Err(bad()),
            (true, false) => Ok(Self::Exact(domain.into())),
            (true, true) => Ok(Self::Under(format!(".{domain}").into())),
        }
    }

    /// Does a host (see [`bare_host`]) fit?
    pub fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => name.as_bytes().eq_ignore_ascii_case(host),
            Self::Under(suffix) => {
                let at = host.len().checked_sub(suffix.len());
                at.filter(|at| *at > 0)
                    .and_then(|at| host.get(at..))
                    .is_some_and(|tail| tail.eq_ignore_ascii_case(suffix.as_bytes()))
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.pad("*"),
            Self::Exact(name) => f.pad(name),
            Self::Under(suffix) => f.pad(&format!("*{suffix}")),
        }
    }
}

/// An authority without its port and without the dot of a fully qualified name.
pub fn bare_host(authority: &[u8]) -> &[u8] {
    let end = match authority.first() {
        Some(b'[') => {
            authority.iter().position(|byte| *byte == b']').map_or(authority.len(), |at| at + 1)
        }
        Some(_) | None => {
            authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len())
        }
    };
    let host = authority.get(..end).unwrap_or(authority);
    host.strip_suffix(b".").unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::{HostPattern, PathPattern, bare_host};

    fn captured(pattern: &str, path: &str) -> Option<Vec<String>> {
        let pattern = PathPattern::parse(pattern).unwrap();
        let mut found = Vec::new();
        let fits = pattern.captures(path.as_bytes(), &mut |value| {
            found.push(String::from_utf8_lossy(value).into_owned());
        });
        fits.then_some(found)
    }

    #[test]
    fn templates_take_what_they_say() {
        let some = |values: &[&str]| Some(values.iter().map(|v| (*v).to_owned()).collect());
        for (pattern, path, expected) in [
            ("/", "/", some(&[])),
            ("/", "/a", None),
            ("/v1/stock", "/v1/stock", some(&[])),
            ("/v1/stock", "/v1/stock/", None),
            ("/v1/stock/", "/v1/stock/", some(&[])),
            ("/v1/stock/", "/v1/stock", None),
            ("/v1/stock/{sku}", "/v1/stock/7", some(&["7"])),
            ("/v1/stock/{sku}", "/v1/stock/", None),
            ("/v1/stock/{sku}", "/v1/stock/7/moves", None),
            ("/v1/{a}/x/{b}", "/v1/1/x/2", some(&["1", "2"])),
            ("/v1/{*rest}", "/v1", some(&[""])),
            ("/v1/{*rest}", "/v1/", some(&[""])),
            ("/v1/{*rest}", "/v1/a/b", some(&["a/b"])),
            ("/v1/{*rest}", "/v12", None),
            ("/{*rest}", "/", some(&[""])),
            ("/{*rest}", "*", some(&["*"])),
        ] {
            assert_eq!(captured(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn what_can_never_match_is_refused() {
        for text in [
            "",
            "v1",
            "/a//b",
            "/a/../b",
            "/.",
            "/{sku}.json",
            "/{}",
            "/{a}/{a}",
            "/{*rest}/x",
            "/a?b=1",
            "/a#b",
            "/a b",
            "/é",
            "/%7Euser",
            "/%c3%a9",
            "/%4",
            "/a*",
            "/{a b}",
        ] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
        assert!(PathPattern::parse("/%C3%A9/%2F").is_ok());
        assert!(PathPattern::parse(&format!("/{}", "a/".repeat(64))).is_err());
    }

    #[test]
    fn hosts_fit_without_port_case_and_last_dot() {
        for (pattern, host, fits) in [
            ("*", "anything", true),
            ("shop.example.com", "Shop.Example.COM:8080", true),
            ("shop.example.com", "shop.example.com.", true),
            ("shop.example.com", "xshop.example.com", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("[::1]", "[::1]:80", true),
            ("127.0.0.1", "127.0.0.1:80", true),
        ] {
            let pattern = HostPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(bare_host(host.as_bytes())), fits, "{pattern} on {host}");
        }
        for text in ["", "a:80", "a..b", "*.", "*.*.com", "a b", "[::1", "http://a"] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
