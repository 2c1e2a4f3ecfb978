//! The engine: workers that carry requests between clients and upstreams.
//!
//! Reading order: `worker` (a thread and what it owns), `connection` (a client's connection), `request` (one
//! request), `forward` and `exchange` (an upstream asked), `transfer` (one direction of a body). `http2` makes all this
//! serve HTTP/2 too.

mod accept;
mod admit;
mod answer;
mod buffers;
mod client;
mod connection;
mod endpoint;
mod exchange;
mod fault;
mod forward;
mod gate;
mod grpc;
mod handle;
mod handshake;
mod http2;
mod inherited;
mod kit;
mod limits;
mod listen;
mod open;
mod patience;
mod pool;
mod request;
mod resolve;
mod secure;
mod shadow;
mod spread;
mod stream;
mod timers;
mod transfer;
mod tunnel;
mod turn;
mod view;
mod worker;

pub use endpoint::Address;
pub use handle::{Handle, Proxy, StartError};
pub(crate) use http2::{Question, probe};
pub use inherited::Inherited;
pub(crate) use resolve::Resolved;
pub(crate) use stream::Stream;
