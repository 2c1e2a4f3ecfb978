//! The whole program, from outside: the real binary, real databases, real HTTP. One file per story.
//!
//! Each story runs on SQLite and, where a server is reachable, on PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may"
)]

mod ahead;
mod away;
mod bad_input;
mod carved;
mod carves;
mod commands;
mod faults;
mod feeds;
mod fronted;
mod history;
mod letters;
mod replayed;
mod server;
mod shopping;
mod shows;
mod storage;
mod tls;
