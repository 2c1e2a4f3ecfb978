//! `/health/live`, `/health/ready`, `/health/startup`: on both listeners, since probes differ in where they look.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, ServiceConfig, get},
};
use telemetry::{Health, HealthReport};

/// Mounts them.
pub fn configure(config: &mut ServiceConfig) {
    config
        .route("/health/live", get().to(|health: Data<Health>| answer(health.live())))
        .route("/health/ready", get().to(|health: Data<Health>| answer(health.ready())))
        .route("/health/startup", get().to(|health: Data<Health>| answer(health.startup())));
}

async fn answer(report: HealthReport) -> HttpResponse {
    let status = if report.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).insert_header(("cache-control", "no-store")).json(report)
}
