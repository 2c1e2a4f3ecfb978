//! Around every request: its id, its trace, its span, its line in the log and its place in the metrics.

use std::time::{Duration, Instant};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};
use contract::TraceContext;
use kernel_api::Id;
use tracing::{Instrument, field::Empty};

use crate::{context::RequestContext, limits::REQUEST_ID_LENGTH_MAX};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request that has its answer.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// The module, or `-` where none matched.
    pub module: &'a str,
    /// The method.
    pub method: &'a str,
    /// The route's pattern, or `-`: never the path, which would make a series of each SKU.
    pub route: &'a str,
    /// The status.
    pub status: u16,
    /// From the head's arrival to the answer's head.
    pub took: Duration,
}

/// Hears of every finished request; the app gives one as `Data<dyn Observer>` and feeds its metrics.
pub trait Observer: Send + Sync {
    /// A request has its answer.
    fn finished(&self, finished: &Finished<'_>);
}

/// The middleware of the public listener, `App::wrap(from_fn(http_api::observe))`.
///
/// Takes the client's `x-request-id` and `traceparent` where they are sound, makes new ones where not, and drops every
/// `banyan-*` header: those are between our processes, and here anyone could write them.
pub async fn observe(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    internal_only(&mut request);
    let trace = trace(&request);
    let request_id = request_id(&request);
    let span = tracing::info_span!(
        "request",
        request_id,
        trace_id = trace.trace_id(),
        method = request.method().as_str(),
        route = Empty,
        module = Empty,
        status = Empty,
    );
    let context = RequestContext { trace: Some(trace), ..RequestContext::default() };
    request.extensions_mut().insert(context);
    let mut response = next.call(request).instrument(span.clone()).await?;
    let status = response.status().as_u16();
    span.record("status", status);
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    // Answers are data: no browser may take one for a page or a script.
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let _in_span = span.enter();
    finish(&response, began.elapsed());
    Ok(response)
}

/// Drops the headers that only our own processes may send.
pub fn internal_only(request: &mut ServiceRequest) {
    let internal: Vec<_> = request
        .headers()
        .keys()
        .filter(|name| name.as_str().starts_with("banyan-"))
        .cloned()
        .collect();
    for name in internal {
        request.headers_mut().remove(name);
    }
}

fn trace(request: &ServiceRequest) -> TraceContext {
    request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok()?.parse::<TraceContext>().ok())
        .map_or_else(TraceContext::start, TraceContext::child)
}

fn request_id(request: &ServiceRequest) -> String {
    request
        .headers()
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|text| {
            let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
            !text.is_empty() && text.len() <= REQUEST_ID_LENGTH_MAX && visible
        })
        .map_or_else(|| Id::<()>::fresh().to_string(), str::to_owned)
}

fn finish<B>(response: &ServiceResponse<B>, took: Duration) {
    let request = response.request();
    let extensions = request.extensions();
    let registered = extensions.get::<RequestContext>().and_then(|c| c.registered.as_ref());
    let finished = Finished {
        module: registered.map_or("-", |registered| registered.module),
        method: request.method().as_str(),
        route: registered.map_or("-", |registered| registered.operation.path),
        status: response.status().as_u16(),
        took,
    };
    if let Some(observer) = request.app_data::<Data<dyn Observer>>() {
        observer.finished(&finished);
    }
    let path = request.path();
    tracing::info!(target: "access", path, took_us = took.as_micros(), "answered");
}
