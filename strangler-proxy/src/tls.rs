//! TLS as the configuration says it: certificates, keys and authorities, read from files, checked, and made into what
//! connections are opened with.
//!
//! Reading order: `files` (what is read, each file once), `certificate` (what a certificate says), `server` (towards
//! clients), `client` (towards upstreams). Connections themselves are the engine's.

mod certificate;
mod client;
mod der;
mod files;
mod identity;
mod server;
mod validity;

pub use certificate::Certificate;
pub use client::UpstreamTls;
pub use files::Files;
pub use identity::Peer;
pub use server::{HTTP2, ListenerTls, Protocol};
pub use validity::{Expiry, expiries, now, warn};

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// The cryptography: ring, which needs neither a C compiler nor a library of the system.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
mod tests;
