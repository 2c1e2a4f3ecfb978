//! Catalog by its contract, on SQLite and, where there is a server, on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod hearing;
mod http;
mod importing;
mod prices;
mod products;
mod world;
