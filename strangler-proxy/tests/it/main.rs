//! The proxy between raw sockets: real upstreams, real clients, every fault that either can make.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "tests may"
)]

mod authority;
mod breaking;
mod choosing;
mod clients;
mod descriptors;
mod draining;
mod framing;
mod limiting;
mod parking;
mod passing;
mod proxied;
mod raw;
mod retrying;
mod session;
mod shadows;
mod soak;
mod steering;
mod tls_certificates;
mod tls_clients;
mod tls_faults;
mod tls_upstreams;
mod tunnels;
mod upstreams;
mod vanishing;
