//! The store's promises, held against real databases.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::too_many_lines,
    reason = "tests may"
)]

mod alone;
mod archive;
mod bulk;
mod door;
mod faults;
mod feed;
mod migrations;
mod mover;
mod prepared;
mod shop;
mod standby;
mod waiting;
