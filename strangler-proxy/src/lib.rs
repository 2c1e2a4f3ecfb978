//! Routes selected endpoints of any application to extracted services: a proxy that stands in front of a monolith and
//! moves its endpoints to services one by one, by toggles, without a restart.
//!
//! Reading order: [`config`] (what the file says, as a [`config::Snapshot`]), [`route`] (which route and side a request
//! takes), [`steer`] (how the toggles change while requests flow), [`tls`] (certificates and keys).
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

pub mod cli;
pub mod config;
pub mod engine;
pub mod handover;
pub mod http1;
mod resilience;
pub mod route;
pub mod seen;
pub mod steer;
pub mod tls;

pub use engine::{Handle, Inherited, Proxy, StartError};
