//! What subscriptions promise, held against real databases.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    reason = "tests may"
)]

mod delivery;
mod gaps;
mod http;
mod processes;
mod switched;
mod trouble;
mod world;
