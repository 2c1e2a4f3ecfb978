//! The way from a matched route to its handler: access, key and parameters are checked here, from the table.

use std::sync::Arc;

use actix_web::{
    FromRequest, Handler, HttpMessage, HttpRequest, HttpResponse, Responder, ResponseError, Route,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse, fn_service},
    guard,
    http::Method,
};

use crate::{
    Problem, Visitor,
    access::admit,
    context::{RequestContext, key},
    problems,
    query::pairs,
    routes::Registered,
};

/// The actix route of an operation.
pub(crate) fn route<F, Args>(registered: Arc<Registered>, handler: F) -> Route
where
    F: Handler<Args>,
    F::Output: Responder,
    Args: FromRequest + 'static,
{
    let method = registered.operation.method.clone();
    let route = if method == Method::GET {
        Route::new().guard(guard::Any(guard::Get()).or(guard::Head()))
    } else {
        Route::new().guard(guard::Method(method))
    };
    route.service(fn_service(move |request: ServiceRequest| {
        let handler = handler.clone();
        let registered = Arc::clone(&registered);
        async move {
            let (request, mut payload) = request.into_parts();
            let response = match enter(&request, &registered) {
                Ok(()) => match Args::from_request(&request, &mut payload).await {
                    Ok(args) => handler
                        .call(args)
                        .await
                        .respond_to(&request)
                        .map_body(|_, body| body.boxed()),
                    Err(error) => refuse(&error.into()),
                },
                Err(problem) => problem.error_response(),
            };
            Ok::<_, actix_web::Error>(ServiceResponse::new(request, response))
        }
    }))
}

/// Checks what the table says of every request of this operation, before anything of it is read.
fn enter(request: &HttpRequest, registered: &Arc<Registered>) -> Result<(), Problem> {
    note(request, registered, None);
    let operation = &registered.operation;
    let span = tracing::Span::current();
    span.record("module", registered.module);
    span.record("route", operation.path);
    let visitor = admit(request, operation.access)?;
    note(request, registered, Some(visitor));
    if operation.method == Method::POST {
        key(request)?;
    }
    if request.query_string().is_empty() {
        return Ok(());
    }
    let known = |name: &String| registered.query_names.contains(name);
    let unknown: Vec<_> =
        pairs(request.query_string()).map(|(name, _)| name).filter(|name| !known(name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let problem = Problem::of(&problems::MALFORMED).detail("the query has unknown parameters");
    Err(unknown.into_iter().fold(problem, |problem, name| problem.field(name, "unknown parameter")))
}

fn note(request: &HttpRequest, registered: &Arc<Registered>, visitor: Option<Visitor>) {
    let mut extensions = request.extensions_mut();
    if let Some(context) = extensions.get_mut::<RequestContext>() {
        context.registered = Some(Arc::clone(registered));
        context.visitor = visitor;
    } else {
        let registered = Some(Arc::clone(registered));
        extensions.insert(RequestContext { registered, visitor, ..RequestContext::default() });
    }
}

/// An extractor's error as a problem, also where the extractor is not one of ours.
fn refuse(error: &actix_web::Error) -> HttpResponse {
    if let Some(problem) = error.as_error::<Problem>() {
        return problem.error_response();
    }
    let status = error.as_response_error().status_code();
    if status.is_client_error() {
        return Problem::of(&problems::MALFORMED).detail(error.to_string()).error_response();
    }
    tracing::error!(%error, "a handler's parameter cannot be made");
    Problem::of(&problems::INTERNAL).error_response()
}
