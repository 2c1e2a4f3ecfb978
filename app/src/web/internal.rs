//! The internal listener: calls and feeds between processes, metrics, health, and the operator's API.
//!
//! `/rpc` and `/feed` want a peer's credential, `/ops` the deployment's control token; `/metrics` and `/health` are open to
//! whoever reaches the port, which is loopback unless someone says otherwise.

use std::{net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::StatusCode,
    web::{Bytes, Data, Path, PayloadConfig, ServiceConfig, get, post},
};
use anyhow::Result;
use contract::rpc;
use events::FeedServer;
use telemetry::{Health, LogHandle, Metrics};

use super::{Listening, Place, health, ops, seats};
use crate::operations::Operations;

/// Threads of the internal listener: what they do is handed on at once.
const WORKERS: usize = 1;

/// What the internal listener serves.
pub struct Inside {
    /// Answers calls.
    pub registry: Arc<rpc::Registry>,
    /// Shows feeds.
    pub feeds: Arc<FeedServer>,
    /// Where the modules are, as this process knows it.
    pub place: Place,
    /// The process's series.
    pub metrics: Metrics,
    /// How the process stands.
    pub health: Health,
    /// What an operator may ask.
    pub operations: Arc<dyn Operations>,
    /// The log's level.
    pub log: Option<LogHandle>,
    /// What opens the operator's part.
    pub control: String,
}

/// Serves processes and operators on a listener that is bound already.
pub fn internal(listener: TcpListener, inside: Inside) -> Result<Listening> {
    let Inside { registry, feeds, place, metrics, health, operations, log, control } = inside;
    let (registry, feeds) = (Data::from(registry), Data::from(feeds));
    let (metrics, health, log) = (Data::new(metrics), Data::new(health), Data::new(log));
    let operations: Data<dyn Operations> = Data::from(operations);
    let control = Data::new(ops::Control::new(&control));
    let place = Data::new(place);
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(registry.clone())
            .app_data(feeds.clone())
            .app_data(metrics.clone())
            .app_data(health.clone())
            .app_data(log.clone())
            .app_data(operations.clone())
            .app_data(control.clone())
            .app_data(place.clone())
            .app_data(PayloadConfig::new(rpc::REQUEST_BYTES_MAX))
            .configure(health::configure)
            .configure(between_processes)
            .configure(ops::configure)
            .configure(seats::configure)
            .route("/metrics", get().to(metrics_text))
    })
    .workers(WORKERS)
    .shutdown_timeout(2)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(Listening { url: format!("http://{address}"), handle: server.handle(), server })
}

fn between_processes(config: &mut ServiceConfig) {
    config
        .route("/rpc/{module}", post().to(call))
        .route("/rpc/{module}/openrpc.json", get().to(open_rpc))
        .route("/rpc/{module}/schema", get().to(schema))
        .route("/feed/{module}", get().to(feed));
}

async fn call(
    registry: Data<rpc::Registry>,
    module: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    sent(rpc::call(&registry, &module, head(&request), &body).await)
}

async fn open_rpc(
    registry: Data<rpc::Registry>,
    module: Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    sent(rpc::document(&registry, &module, &head(&request), rpc::Document::OpenRpc))
}

async fn schema(
    registry: Data<rpc::Registry>,
    module: Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    sent(rpc::document(&registry, &module, &head(&request), rpc::Document::Schema))
}

async fn feed(feeds: Data<FeedServer>, module: Path<String>, request: HttpRequest) -> HttpResponse {
    sent(feeds.answer(&module, request.query_string(), &head(&request)).await)
}

async fn metrics_text(metrics: Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok().content_type(Metrics::CONTENT_TYPE).body(metrics.text())
}

fn head(request: &HttpRequest) -> rpc::Head {
    rpc::Head::read(|name| request.headers().get(name)?.to_str().ok())
}

fn sent(reply: rpc::Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).content_type("application/json").body(reply.body)
}
