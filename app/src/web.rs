//! The two listeners: one for the public, one for processes and operators.

mod health;
mod internal;
mod ops;
mod public;
mod seats;
mod tls;

use std::net::TcpListener;

use actix_web::dev::{Server, ServerHandle};
use anyhow::{Context, Result};

pub use internal::{Inside, internal};
pub use public::{Outside, Public, public};
pub use seats::Place;

/// A listener that serves, and the way to end it.
pub struct Listening {
    /// Where.
    pub url: String,
    /// Ends it.
    pub handle: ServerHandle,
    /// Runs until it is ended.
    pub server: Server,
}

/// Takes an address, so that the port is known (and taken) before anything is started.
pub fn bind(address: std::net::SocketAddr, setting: &str) -> Result<TcpListener> {
    TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {address}: is another server there? Set another {setting}")
    })
}
