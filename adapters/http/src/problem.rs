//! Problems: the one shape of every error answer (RFC 9457).

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{StatusCode, header},
};
use contract::{Fault, NotExecuted, Reason};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::problems;

/// What clients may wait before they repeat, where nothing better is known: long enough to matter, short enough that a
/// switch of owners is not noticed much later than it ends.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A kind of problem: what a client may decide by. Declared once, shown in the OpenAPI document and used at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemType {
    /// The stable last part of `urn:banyan:problem:<slug>`.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A short sentence that is the same each time.
    pub title: &'static str,
}

impl ProblemType {
    /// A kind of problem.
    pub const fn new(slug: &'static str, status: u16, title: &'static str) -> Self {
        Self { slug, status, title }
    }

    /// The stable URN.
    pub fn urn(&self) -> String {
        format!("urn:banyan:problem:{}", self.slug)
    }
}

/// One field that must change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FieldError {
    /// The path in the body (`lines[0].quantity`), or the parameter's or header's name.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

/// An error answer in `application/problem+json`.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ProblemType,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem of this kind.
    pub fn of(kind: &ProblemType) -> Self {
        Self(Box::new(Inner {
            kind: *kind,
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            members: Map::new(),
        }))
    }

    /// `404`: there is no such thing, or not for this caller.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::of(&problems::NOT_FOUND).detail(detail)
    }

    /// `400`: the request must change; names the field.
    pub fn malformed(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::of(&problems::MALFORMED)
            .detail("the request cannot be read; see `errors`")
            .field(field, detail)
    }

    /// What happened this time, for people.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names a field that must change.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { field: field.into(), detail: detail.into() });
        self
    }

    /// Says how long to wait before the next try (`Retry-After`).
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds an extension member, such as what is available. A value that is no JSON is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.members.insert(name.to_owned(), value);
        }
        self
    }

    /// Its kind.
    pub fn kind(&self) -> &ProblemType {
        &self.0.kind
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The problem of a call that has no answer; the module's own refusals are translated by `refusal`.
    ///
    /// `NotExecuted` says that nothing happened. `Unknown` is never shown as a failure: it says that the outcome is not
    /// known and that the same request with the same key settles it.
    pub fn from_fault<R>(fault: Fault<R>, refusal: impl FnOnce(R) -> Self) -> Self {
        match fault {
            Fault::Refused(reason) => refusal(reason),
            Fault::NotExecuted(reason) => Self::from(reason),
            Fault::Unknown(reason) => {
                tracing::warn!(detail = %reason.detail, "the outcome of a call is unknown");
                Self::of(&problems::OUTCOME_UNKNOWN)
                    .detail("the request may have taken effect or not: repeat it unchanged with the same Idempotency-Key to learn which")
                    .retry_after(RETRY_AFTER)
            }
        }
    }

    /// The document.
    pub fn to_json(&self) -> Value {
        let inner = &self.0;
        let mut document = inner.members.clone();
        document.insert("type".into(), inner.kind.urn().into());
        document.insert("title".into(), inner.kind.title.into());
        document.insert("status".into(), inner.kind.status.into());
        if let Some(detail) = &inner.detail {
            document.insert("detail".into(), detail.clone().into());
        }
        if !inner.errors.is_empty() {
            document.insert("errors".into(), serde_json::json!(inner.errors));
        }
        Value::Object(document)
    }
}

impl From<NotExecuted> for Problem {
    fn from(fault: NotExecuted) -> Self {
        let problem = |kind: &ProblemType| Self::of(kind);
        let wait = fault.retry_after.unwrap_or(RETRY_AFTER);
        match fault.reason {
            Reason::Overloaded => problem(&problems::OVERLOADED)
                .detail("too much work is waiting; nothing was done")
                .retry_after(wait),
            Reason::Unavailable | Reason::BreakerOpen => {
                tracing::warn!(reason = %fault.reason, detail = %fault.detail, "a call was not executed");
                problem(&problems::UNAVAILABLE)
                    .detail("a part of the service is away; nothing was done")
                    .retry_after(wait)
            }
            Reason::GateClosed | Reason::Moved => problem(&problems::MOVING)
                .detail("the module is changing its place; nothing was done")
                .retry_after(wait),
            Reason::DeadlinePassed => problem(&problems::DEADLINE_PASSED)
                .detail("the time for the call ran out before it began; nothing was done")
                .retry_after(wait),
            Reason::Incompatible => {
                tracing::error!(detail = %fault.detail, "two processes speak incompatible contracts");
                problem(&problems::UNAVAILABLE)
                    .detail("a part of the service speaks another version; nothing was done")
                    .retry_after(wait)
            }
            Reason::KeyReused => problem(&problems::KEY_REUSED)
                .detail("this Idempotency-Key was used before with another request")
                .field("Idempotency-Key", "take a new key for a new request"),
            Reason::Forbidden => problem(&problems::FORBIDDEN),
            Reason::Malformed => problem(&problems::MALFORMED).detail(fault.detail),
            Reason::Failed => {
                tracing::error!(detail = %fault.detail, "a call failed");
                problem(&problems::INTERNAL).detail("the service failed; nothing was done")
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.kind.slug, self.0.kind.status)?;
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        for error in &self.0.errors {
            write!(f, "; {}: {}", error.field, error.detail)?;
        }
        Ok(())
    }
}
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status());
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        // An error is about this request only, and some would be cached by default (404).
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(wait) = self.0.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.insert_header((header::RETRY_AFTER, seconds.max(1)));
        }
        if self.0.kind == problems::UNAUTHENTICATED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.body(self.to_json().to_string())
    }
}
