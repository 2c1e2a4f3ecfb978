//! The store's promises, held against real databases.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod alone;
mod archive;
mod door;
mod faults;
mod feed;
mod prepared;
mod shop;
