//! Answers that need more than a body: status, location, version.

use std::hash::Hash;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, Responder,
    body::BoxBody,
    http::{Method, StatusCode, header},
};
use serde::Serialize;

use crate::{ETag, body::json_response};

/// An answer with a status, and a location and a version where they help. Plain 200s are [`Json`](crate::Json).
///
/// A client that sends `Prefer: return=minimal` with a POST, PUT or PATCH gets the headers without the body.
#[derive(Debug, Clone)]
pub struct Reply<T> {
    status: StatusCode,
    body: Option<T>,
    location: Option<String>,
    etag: Option<ETag>,
    headers: Vec<(&'static str, String)>,
}

impl<T> Reply<T> {
    fn with_status(status: StatusCode, body: Option<T>) -> Self {
        Self { status, body, location: None, etag: None, headers: Vec::new() }
    }

    /// 200 with a body.
    pub fn ok(body: T) -> Self {
        Self::with_status(StatusCode::OK, Some(body))
    }

    /// 201 with what was made, and where it is.
    pub fn created(location: impl Into<String>, body: T) -> Self {
        Self::with_status(StatusCode::CREATED, Some(body)).location(location)
    }

    /// 202: taken on, not finished; ask at the location.
    pub fn accepted(location: impl Into<String>, body: T) -> Self {
        Self::with_status(StatusCode::ACCEPTED, Some(body)).location(location)
    }

    /// Where it is.
    #[must_use]
    pub fn location(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Its version: sets `ETag`, and answers a GET that has it already with 304.
    #[must_use]
    pub fn etag(mut self, version: i64) -> Self {
        self.etag = Some(ETag::new(version));
        self
    }

    /// Says what else of the body may change without its version. After [`etag`](Self::etag).
    #[must_use]
    pub fn varying(mut self, rest: &impl Hash) -> Self {
        self.etag = self.etag.map(|etag| etag.varying(rest));
        self
    }

    /// Another header. A value that is no header's is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn is_known(&self, request: &HttpRequest) -> bool {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let held = request.headers().get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
        reads && self.etag.zip(held).is_some_and(|(etag, held)| etag.is_in(held))
    }
}

impl Reply<()> {
    /// 204.
    pub fn no_content() -> Self {
        Self::with_status(StatusCode::NO_CONTENT, None)
    }
}

impl<T: Serialize> Responder for Reply<T> {
    type Body = BoxBody;
    fn respond_to(self, request: &HttpRequest) -> HttpResponse<BoxBody> {
        let known = self.is_known(request);
        let minimal = self.body.is_some() && wants_minimal(request);
        let mut response = HttpResponseBuilder::new(match self.status {
            _ if known => StatusCode::NOT_MODIFIED,
            StatusCode::OK if minimal => StatusCode::NO_CONTENT,
            status => status,
        });
        if minimal {
            response.insert_header(("preference-applied", "return=minimal"));
        }
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        if let Some(etag) = self.etag {
            response.insert_header((header::ETAG, etag.to_string()));
        }
        for header in self.headers {
            response.insert_header(header);
        }
        match self.body {
            Some(body) if !known && !minimal => json_response(response, &body),
            Some(_) | None => response.finish(),
        }
    }
}

/// Did the client ask for no copy of what it has just sent (`Prefer: return=minimal`, RFC 7240)? Only where it sent
/// something.
fn wants_minimal(request: &HttpRequest) -> bool {
    !request.method().is_safe()
        && request.headers().get_all("prefer").filter_map(|value| value.to_str().ok()).any(|list| {
            list.split(',')
                .any(|preference| preference.trim().eq_ignore_ascii_case("return=minimal"))
        })
}
