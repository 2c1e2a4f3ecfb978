//! Public HTTP: one route table from which the server's routes, the access rules, the OpenAPI document and the list of
//! routes all come; problems (RFC 9457), extractors, paging and versions.
//!
//! A module writes `pub fn routes(inventory: Arc<dyn Inventory>) -> Routes` and plain handlers:
//!
//! ```
//! # use std::sync::Arc;
//! # use http_api::{Access, Ask, Json, Operation, Path, Problem, Routes};
//! # trait Inventory: Send + Sync { fn on_hand(&self, sku: &str) -> Option<i64>; }
//! # #[derive(serde::Serialize, schemars::JsonSchema)] struct StockBody { on_hand: i64 }
//! use actix_web::web::Data;
//!
//! async fn stock(inventory: Data<dyn Inventory>, ask: Ask, sku: Path<String>) -> Result<Json<StockBody>, Problem> {
//!     let _call = &ask.0;
//!     let on_hand = inventory.on_hand(&sku).ok_or_else(|| Problem::not_found("no such SKU"))?;
//!     Ok(Json(StockBody { on_hand }))
//! }
//!
//! fn routes(inventory: Arc<dyn Inventory>) -> Routes {
//!     Routes::new("inventory").data(inventory).add(
//!         Operation::get("/v1/stock/{sku}")
//!             .summary("What is there of a SKU")
//!             .access(Access::Operator)
//!             .answers::<StockBody>(200)
//!             .problems(&[http_api::problems::NOT_FOUND]),
//!         stock,
//!     )
//! }
//! ```

mod access;
mod body;
mod context;
mod docs;
mod limits;
mod observe;
mod openapi;
mod operation;
mod part;
mod path;
mod problem;
pub mod problems;
mod query;
mod reply;
mod routes;
mod serve;
mod version;

pub use access::{Access, GuestSecret, OperatorToken, Visitor};
pub use body::{BodyTime, Json};
pub use context::{Ask, CallTime, FROM_COPY, Tell};
pub use limits::{
    BODY_LIMIT, BODY_READ_TIMEOUT, CALL_TIME, CLIENT_DISCONNECT_TIMEOUT, CLIENT_REQUEST_TIMEOUT,
    KEEP_ALIVE,
};
pub use observe::{Finished, Observer, internal_only, observe};
pub use openapi::About;
pub use operation::{Operation, RouteRow};
pub use part::{Part, Parts, Spec};
pub use path::Path;
pub use problem::{FieldError, Problem, ProblemType};
pub use query::{Paging, Query};
pub use reply::Reply;
pub use routes::{Routes, Table};
pub use version::{ETag, IfMatch};
