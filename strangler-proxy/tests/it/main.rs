//! The proxy between raw sockets: real upstreams, real clients, every fault that either can make.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "tests may"
)]

mod ahead;
mod authority;
mod breaking;
mod choosing;
mod clients;
mod descriptors;
mod draining;
mod framing;
mod grpc;
mod http2;
mod jumps;
mod limiting;
mod load;
mod outputs;
mod parking;
mod passing;
mod peers;
mod process;
mod proxied;
mod raw;
mod recalling;
mod retrying;
mod session;
mod shadows;
mod soak;
mod steering;
mod tls_certificates;
mod tls_clients;
mod tls_faults;
mod tls_upstreams;
mod toggling;
mod tunnels;
mod upgrading;
mod upstreams;
mod vanishing;
