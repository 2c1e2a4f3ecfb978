//! The payments module: charges, refunds and credits, and the double-entry ledger. See the README beside `api` and `impl`.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod config;
mod domain;
mod http;
mod provider;
mod schema;
mod service;
mod start;
mod store;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use http::routes;
pub use start::{Running, Setup, descriptor, start};
