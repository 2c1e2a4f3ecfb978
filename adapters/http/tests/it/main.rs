//! The route table over a real actix app: what is accepted, refused, documented and listed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod access;
mod bodies;
mod document;
mod faults;
mod harness;
mod hostile;
mod routing;
mod versions;
