//! The bindings, seen from both ends: one conformance suite over all of them, and what each has of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may"
)]

mod boundaries;
mod conformance;
mod depot;
mod graph;
mod lent;
mod moved;
mod rehearsal;
mod remote;
mod rpc;
mod server;
mod switch;
