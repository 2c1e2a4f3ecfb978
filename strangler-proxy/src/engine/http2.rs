//! HTTP/2 at both edges of the engine. Each stream becomes a [`Stream`](super::Stream) of HTTP/1.1 bytes, so that requests
//! of either version take the same way: one parser, one table, one set of limits, one log.
//!
//! No bytes are held between the two but a head and a frame's payload: what the engine reads is made from the frames that
//! have come, what it writes becomes frames at once, and it waits where the peer's window is shut. Frames, HPACK and flow
//! control are the `h2` crate's.
//!
//! Reading order: `served` (a client's stream), `serve` (its connection), `asked` (a stream to an upstream), `shared` (the
//! connections to one endpoint), `incoming` and `outgoing` (bodies), `heads` (heads).

mod asked;
mod connections;
mod heads;
mod incoming;
mod outgoing;
mod probe;
mod serve;
mod served;
mod talk;
mod wire;

pub use self::{
    asked::Asked,
    connections::Shared,
    probe::{Question, probe},
    serve::serve,
    served::Served,
};

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
