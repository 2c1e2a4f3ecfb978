//! `/docs`: a page that reads `/openapi.json` and needs nothing else.

use actix_web::{
    HttpResponse,
    http::header::{self, ContentType},
    web::{self, ServiceConfig},
};

const PAGE: &str = include_str!("docs/page.html");

/// The page may run its own script and talk to its own server, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route("/docs", web::get().to(page));
}

async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::html())
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(PAGE)
}
