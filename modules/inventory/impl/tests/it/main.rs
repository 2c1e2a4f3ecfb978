//! Inventory by its contract, on SQLite and, where there is a server, on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod books;
mod explained;
mod fake;
mod history;
mod http;
mod reservations;
mod stock;
mod world;
