//! JSON bodies: read within limits, refused with the field's name, written plainly.

use std::{future::Future, ops::Deref, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    dev::Payload,
    http::header,
    rt::time::timeout,
    web::{Bytes, BytesMut, Data},
};
use futures_util::StreamExt;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    BODY_LIMIT, BODY_READ_TIMEOUT, Part, Problem, Spec, context::RequestContext, problems,
};

/// How long a body may take to arrive, where [`BODY_READ_TIMEOUT`] does not fit; the app gives it as `Data<BodyTime>`.
#[derive(Debug, Clone, Copy)]
pub struct BodyTime(pub Duration);

/// A JSON body, as a parameter and as an answer.
///
/// Read strictly: another media type is 415, a body over the operation's limit 413, one that does not arrive in time 408;
/// malformed JSON, a wrong type, a missing and an unknown field are 400 and named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let checked = check_media_type(request);
        let limit = request
            .extensions()
            .get::<RequestContext>()
            .and_then(|context| context.registered.as_ref())
            .map_or(BODY_LIMIT, |registered| registered.operation.body_limit);
        let announced = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let time = request.app_data::<Data<BodyTime>>().map_or(BODY_READ_TIMEOUT, |time| time.0);
        let payload = payload.take();
        Box::pin(async move {
            checked?;
            if announced.is_some_and(|length| length > limit) {
                return Err(too_large(limit));
            }
            let body = timeout(time, collect(payload, announced, limit)).await;
            let body = body.map_err(|_elapsed| {
                Problem::of(&problems::REQUEST_TIMEOUT).detail(format!(
                    "the body must arrive within {} s",
                    BODY_READ_TIMEOUT.as_secs()
                ))
            })??;
            read(&body).map(Self)
        })
    }
}

impl<T: JsonSchema> Part for Json<T> {
    fn describe(spec: &mut Spec) {
        spec.body = Some(SchemaGenerator::subschema_for::<T>);
    }
}

impl<T: Serialize> Responder for Json<T> {
    type Body = BoxBody;
    fn respond_to(self, _: &HttpRequest) -> HttpResponse<BoxBody> {
        json_response(HttpResponse::Ok(), &self.0)
    }
}

/// The answer with this body; a value that is no JSON is our bug.
pub(crate) fn json_response<T: Serialize>(
    mut response: actix_web::HttpResponseBuilder,
    body: &T,
) -> HttpResponse<BoxBody> {
    match serde_json::to_vec(body) {
        Ok(bytes) => response.insert_header(header::ContentType::json()).body(bytes),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            actix_web::ResponseError::error_response(&Problem::of(&problems::INTERNAL))
        }
    }
}

fn check_media_type(request: &HttpRequest) -> Result<(), Problem> {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|text| text.split(';').next()).unwrap_or("").trim();
    let lower = essence.to_ascii_lowercase();
    let json = lower == "application/json"
        || (lower.starts_with("application/") && lower.ends_with("+json"));
    json.then_some(()).ok_or_else(|| {
        Problem::of(&problems::MEDIA_TYPE)
            .detail("send the body as application/json")
            .field("Content-Type", "must be application/json")
    })
}

fn too_large(limit: usize) -> Problem {
    Problem::of(&problems::BODY_TOO_LARGE)
        .detail(format!("the body may have at most {limit} bytes"))
        .with("limit", limit)
}

async fn collect(
    mut payload: Payload,
    announced: Option<usize>,
    limit: usize,
) -> Result<Bytes, Problem> {
    let broken = |error: actix_web::error::PayloadError| {
        Problem::of(&problems::MALFORMED).detail(format!("the body did not arrive whole: {error}"))
    };
    let Some(first) = payload.next().await else { return Ok(Bytes::new()) };
    let first = first.map_err(broken)?;
    if first.len() > limit {
        return Err(too_large(limit));
    }
    // Most bodies arrive in one piece, which is then used as it is.
    if announced == Some(first.len()) {
        return Ok(first);
    }
    let mut body = BytesMut::from(first.as_ref());
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(broken)?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads strictly: an object, nothing unknown in it, nothing after it.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Serde would read a struct from an array too, by the order of its fields: no client means that.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::malformed("body", "must be an object, not an array"));
    }
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let value: Result<T, _> = serde_ignored::deserialize(tracked, |path| {
        unknown.push(bracketed(&path.to_string()));
    });
    let value = match value {
        Ok(value) => value,
        Err(error) => return Err(unreadable(&track.path().to_string(), &error.to_string())),
    };
    json.end().map_err(|error| unreadable("", &error.to_string()))?;
    if unknown.is_empty() {
        return Ok(value);
    }
    let problem = Problem::of(&problems::MALFORMED).detail("the body has unknown fields");
    Err(unknown.into_iter().fold(problem, |problem, path| problem.field(path, "unknown field")))
}

/// `lines.0.?.colour`, as unknown fields are reported, in the form of all other paths: `lines[0].colour`.
fn bracketed(path: &str) -> String {
    let mut written = String::new();
    for segment in path.split('.').filter(|segment| *segment != "?") {
        if segment.parse::<usize>().is_ok() {
            written.push_str(&format!("[{segment}]"));
        } else if written.is_empty() {
            written.push_str(segment);
        } else {
            written.push('.');
            written.push_str(segment);
        }
    }
    written
}

/// Names the field: serde reports a missing one at its parent, so its name is taken from the message.
pub(crate) fn unreadable(path: &str, message: &str) -> Problem {
    let parent = if path == "." { "" } else { path };
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once('`').map(|(name, _)| name));
    let field = match named {
        Some(name) if parent.is_empty() => name.to_owned(),
        // An unknown field's own name already ends the path.
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None if parent.is_empty() => "body".to_owned(),
        None => parent.to_owned(),
    };
    Problem::malformed(field, message)
}
