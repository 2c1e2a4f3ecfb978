//! Versions of things that are edited: `ETag`, `If-Match`, `If-None-Match` (RFC 9110).

use std::{
    fmt,
    future::{Ready, ready},
    hash::{DefaultHasher, Hash, Hasher},
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header};

use crate::{Part, Problem, Spec, problems};

/// The entity tag of a version number: `"v7"`, strong. Where a document also shows what has no version (a price, what is
/// in stock), a hash of that follows, `"v7-1f00"`: it decides whether a copy is fresh, not whether an edit may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ETag {
    version: i64,
    rest: Option<u64>,
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rest {
            Some(rest) => write!(f, "\"v{}-{rest:x}\"", self.version),
            None => write!(f, "\"v{}\"", self.version),
        }
    }
}

impl ETag {
    /// The tag of a version.
    pub fn new(version: i64) -> Self {
        Self { version, rest: None }
    }

    /// The same, with a hash of what else is shown.
    #[must_use]
    pub fn varying(self, rest: &impl Hash) -> Self {
        // Not keyed: the same answer must have the same tag in every process.
        let mut hasher = DefaultHasher::new();
        rest.hash(&mut hasher);
        Self { rest: Some(hasher.finish()), ..self }
    }

    /// Does the header's list (`"v1", W/"v2"` or `*`) name this tag? Compared weakly, as `If-None-Match` wants it.
    pub fn is_in(self, list: &str) -> bool {
        let own = self.to_string();
        list.split(',')
            .map(str::trim)
            .any(|entry| entry == "*" || entry.strip_prefix("W/").unwrap_or(entry) == own)
    }
}

/// The version that an edit expects. Without the header the request is refused with 428, so that nobody overwrites what
/// he has not seen; `*` accepts whichever stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// Exactly this version.
    Version(i64),
    /// Any version.
    Any,
}

impl IfMatch {
    /// The version, where one is named.
    pub fn version(self) -> Option<i64> {
        match self {
            Self::Version(version) => Some(version),
            Self::Any => None,
        }
    }

    /// The problem of an edit whose version is not the one in force.
    pub fn mismatch(current: i64) -> Problem {
        Problem::of(&problems::VERSION_MISMATCH)
            .detail("read it again, look at what changed, and repeat the edit with the new ETag")
            .field("If-Match", format!("the version in force is {}", ETag::new(current)))
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request))
    }
}
impl Part for IfMatch {
    fn describe(spec: &mut Spec) {
        spec.if_match = true;
    }
}

fn read(request: &HttpRequest) -> Result<IfMatch, Problem> {
    let Some(value) = request.headers().get(header::IF_MATCH) else {
        return Err(Problem::of(&problems::VERSION_MISSING)
            .detail("send the ETag of the version that you edit as `If-Match`")
            .field("If-Match", "the header is missing"));
    };
    let text = value.to_str().unwrap_or("").trim();
    if text == "*" {
        return Ok(IfMatch::Any);
    }
    let version = text.strip_prefix("\"v").and_then(|rest| rest.strip_suffix('"'));
    let version = version.map(|text| text.split_once('-').map_or(text, |(version, _)| version));
    match version.map(str::parse) {
        Some(Ok(version)) => Ok(IfMatch::Version(version)),
        // A tag that was never given out matches nothing; a list is not worth its ambiguity.
        Some(Err(_)) | None => Err(Problem::of(&problems::VERSION_MISMATCH)
            .field("If-Match", "must be one ETag that this service gave, such as \"v3\"")),
    }
}
