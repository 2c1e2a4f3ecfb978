//! The admin API: on its own port, the loopback unless the file says otherwise, opened by a token.
//!
//! `/metrics` and `/health` are open to whoever reaches the port. Everything else wants `Authorization: Bearer <token>`;
//! errors are problems (RFC 9457). An edit takes the revision that it was made against as `If-Match`.

mod answers;
mod handlers;

use std::{io, net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    web::{Data, delete, get, post, put, to},
};
use http_api::{OperatorToken, Problem};
use telemetry::{Health, Metrics};

use super::{Engine, Steering};

pub use answers::{KillWish, ParkWish, Parked, RouteStatus, Status, Switched, ToggleWish, Undone};

/// What the admin API serves.
pub struct Admin {
    /// Changes things.
    pub steering: Arc<Steering>,
    /// Tells its numbers, drains.
    pub engine: Arc<dyn Engine>,
    /// The process's series.
    pub metrics: Metrics,
    /// How the process stands.
    pub health: Health,
    /// What opens it.
    pub token: String,
}

/// An admin API that serves, and the way to end it.
pub struct Serving {
    /// Where.
    pub url: String,
    /// Ends it.
    pub handle: ServerHandle,
    /// Runs until it is ended.
    pub server: Server,
}

/// Threads of the admin API: few people ask, and whatever takes time is handed on.
const WORKERS: usize = 1;

/// How many connections it takes: a dashboard and some scripts; more must not eat the proxy's descriptors.
const CONNECTIONS_MAX: usize = 64;

/// Serves on a listener that is bound already.
pub fn serve(listener: TcpListener, admin: Admin) -> io::Result<Serving> {
    let Admin { steering, engine, metrics, health, token } = admin;
    let (steering, token) = (Data::from(steering), Data::new(OperatorToken::new(&token)));
    let engine: Data<dyn Engine> = Data::from(engine);
    let (metrics, health) = (Data::new(metrics), Data::new(health));
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(steering.clone())
            .app_data(engine.clone())
            .app_data(metrics.clone())
            .app_data(health.clone())
            .app_data(token.clone())
            .route("/status", get().to(handlers::status))
            .route("/toggles/{name}", put().to(handlers::toggle))
            .route("/kill", put().to(handlers::kill))
            .route("/kill", delete().to(handlers::unkill))
            .route("/parked/{name}", put().to(handlers::park))
            .route("/parked/{name}", delete().to(handlers::resume))
            .route("/reload", post().to(handlers::reload))
            .route("/explain", post().to(handlers::explain))
            .route("/explain/{trace}", get().to(handlers::recall))
            .route("/drain", post().to(handlers::drain))
            .route("/metrics", get().to(handlers::metrics))
            .route("/health/live", get().to(handlers::live))
            .route("/health/ready", get().to(handlers::is_ready))
            .route("/health/startup", get().to(handlers::startup))
            .default_service(to(|| async {
                Err::<actix_web::HttpResponse, _>(Problem::not_found(
                    "there is /status, /toggles/{name}, /kill, /parked/{name}, /reload, /explain, /explain/{trace}, /drain, /metrics and /health",
                ))
            }))
    })
    .workers(WORKERS)
    .max_connections(CONNECTIONS_MAX)
    .shutdown_timeout(2)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(Serving { url: format!("http://{address}"), handle: server.handle(), server })
}

#[cfg(test)]
mod tests;
