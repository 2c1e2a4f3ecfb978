//! What can be seen of the traffic: numbers per route and side, the access log, the trace context.

pub mod access;
pub mod cells;
pub mod clock;
pub mod collect;
pub mod figures;
pub mod handshakes;
pub mod recent;
pub mod trace;

pub use access::{AccessLog, Entry};
pub use cells::{Cells, RouteCells, SideCells};
pub use handshakes::{Handshake, Handshakes};
pub use recent::{Happened, Recent, Remembered, RouteThen};
pub use trace::{Ids, Trace};
