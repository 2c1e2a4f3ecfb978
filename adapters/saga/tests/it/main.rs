//! What sagas promise, held against real databases.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod chance;
mod crash;
mod ends;
mod operator;
mod world;
