//! Ordering by its contract, with fakes of its neighbours, on SQLite and, where there is a server, on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod carts;
mod checkout;
mod failures;
mod history;
mod http;
mod neighbours;
mod refusals;
mod returns;
mod world;
