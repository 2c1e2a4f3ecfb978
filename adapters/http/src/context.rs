//! What is known of a request, and the calls that follow from it.

use std::{
    future::{Ready, ready},
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{Method, header::HeaderMap},
    web::Data,
};
use contract::{Call, Command, Deadline, IdempotencyKey, TraceContext};
use kernel_api::Id;

use crate::{Part, Problem, Spec, Visitor, limits::CALL_TIME, problems, routes::Registered};

/// The field by which whoever leads requests says of one that a copy of the module's data may answer it. It opens nothing:
/// where no copy is lent it means nothing, and one that is lent is as fresh as its lender wants it. So it is none of the
/// `banyan-` fields, which are between our processes and dropped here.
pub const FROM_COPY: &str = "x-from-copy";

/// How long the calls of a request may take; the app gives it as `Data<CallTime>`.
#[derive(Debug, Clone, Copy)]
pub struct CallTime(pub Duration);

/// What the steps before the handler found out, carried in the request's extensions.
#[derive(Clone, Default)]
pub(crate) struct RequestContext {
    pub trace: Option<TraceContext>,
    pub registered: Option<Arc<Registered>>,
    pub visitor: Option<Visitor>,
}

/// The context of a query: deadline, trace and caller of this request.
#[derive(Debug, Clone)]
pub struct Ask(pub Call);

/// The context of a command: as [`Ask`], with the client's `Idempotency-Key`.
///
/// A POST must carry the header. PUT, PATCH and DELETE are idempotent by what they say, so for them it is optional and
/// a fresh key is made where it is missing: one derived from the request would answer the third of "put A, put B, put A"
/// from memory and leave B standing.
#[derive(Debug, Clone)]
pub struct Tell(pub Command);

impl Deref for Ask {
    type Target = Call;
    fn deref(&self) -> &Call {
        &self.0
    }
}
impl Deref for Tell {
    type Target = Command;
    fn deref(&self) -> &Command {
        &self.0
    }
}

impl FromRequest for Ask {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(call(request))))
    }
}
impl Part for Ask {}

impl FromRequest for Tell {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(key(request).map(|key| Self(Command { call: call(request), key })))
    }
}
impl Part for Tell {
    fn describe(spec: &mut Spec) {
        spec.key = true;
    }
}
impl Part for Visitor {}

fn call(request: &HttpRequest) -> Call {
    let time = request.app_data::<Data<CallTime>>().map_or(CALL_TIME, |time| time.0);
    let extensions = request.extensions();
    let context = extensions.get::<RequestContext>();
    let caller = context
        .and_then(|context| context.visitor.as_ref())
        .map_or_else(|| Visitor::Anyone.caller(), Visitor::caller);
    let trace = context.and_then(|context| context.trace).unwrap_or_else(TraceContext::start);
    let from_copy = request.headers().contains_key(FROM_COPY);
    Call { trace, from_copy, ..Call::new(caller, Deadline::within(time)) }
}

/// The key of this request; a fresh one for methods other than POST that carry none.
pub(crate) fn key(request: &HttpRequest) -> Result<IdempotencyKey, Problem> {
    match given_key(request.headers())? {
        Some(key) => Ok(key),
        None if request.method() == Method::POST => Err(Problem::of(&problems::KEY_MISSING)
            .detail("send a fresh `Idempotency-Key` (a UUID, say) with each new POST, and the same one when you repeat it")
            .field("Idempotency-Key", "the header is missing")),
        None => Ok(Id::<()>::fresh().to_string().parse().expect("a UUID is a key")),
    }
}

/// Reads `Idempotency-Key`, plain or as the quoted string of the IETF draft.
fn given_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let bad = |detail: String| Problem::malformed("Idempotency-Key", detail);
    let text = value.to_str().map_err(|error| bad(error.to_string()))?.trim();
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    text.parse().map(Some).map_err(|error: contract::CallError| bad(error.to_string()))
}
