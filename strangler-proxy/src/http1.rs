//! A strict HTTP/1.1 codec for a gateway, without any I/O: bytes in, places in them out.
//!
//! **Reading.** [`RequestHead::parse`] and [`ResponseHead::parse`] read one head from the front of a buffer, tell how
//! long it is, and leave what follows alone (a body, a pipelined request). Heads hold places ([`Span`]), not bytes, so
//! the accessors take the buffer again. [`BodyReader`] finds the payload of a body in what follows.
//!
//! **Writing.** [`write::request`] and [`write::response`] append the head for the other side to a `Vec<u8>`;
//! [`write::chunk_size`] and [`write::last_chunk`] frame what is sent in chunks.
//!
//! **Refusing.** Whatever two readers could understand in two ways is refused, never repaired: each rule is a [`Cause`]
//! with its name, its status and the section of the RFC. What a route forgives is a [`Leniency`].
//!
//! The parser and the writers allocate nothing once their buffers have grown.

mod body;
mod cause;
mod chunk;
mod connection;
mod edits;
mod fields;
mod framing;
mod host;
mod leniency;
mod limits;
mod method;
mod name;
mod path;
mod request;
mod response;
mod scan;
mod span;
mod start_line;
pub mod write;

pub use self::{
    body::{BodyReader, Event, Piece},
    cause::{BadResponse, Cause, Refusal},
    edits::{EditError, Edits},
    fields::{Field, Fields},
    framing::{Framing, Version},
    host::{Authority, authority},
    leniency::Leniency,
    limits::Limits,
    method::Method,
    name::{Known, KnownSet},
    path::normalise,
    request::{Parsed, RequestFacts, RequestHead, Upgrade},
    response::ResponseHead,
    span::Span,
};
