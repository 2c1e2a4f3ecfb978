//! A new binary takes the place of the one that serves, and no connection is lost.
//!
//! The proxy that serves listens at a private socket beside its configuration ([`Giver`]). The new one connects to it
//! ([`Predecessor`]), gets the listening sockets themselves, starts on them, says that it serves, and only then the old one
//! ends its last requests. Until that word nothing has changed for the old one: whatever becomes of the new one, it goes on.
//!
//! ```text
//! new                                     old
//!   TakeOver                          ->        the same user? not stopping?
//!                                     <-  Sockets, and their descriptors
//!   Begin                             ->        parks and resumes nothing from here on
//!                                     <-  Go: what is parked, the kill switch
//!   (reads the configuration, accepts)
//!   Serving                           ->
//!                                     <-  Bye   (ends its last requests)
//! ```
//!
//! The same idea as nginx's USR2 and HAProxy's `expose-fd listeners`: with a socket per worker, closing one would reset
//! whoever waits in its queue, so the sockets outlive both processes. Besides, service managers hand sockets over at the
//! start ([`service`]).

mod giver;
pub mod service;
mod taker;
mod wire;

pub use giver::{Giver, Offering};
pub use taker::{Predecessor, TakeOverError, ask_to_upgrade};
pub use wire::{Taken, Wire, Wish, Word};

/// The protocol of this version. Another one is refused: the old proxy goes on, and a restart does what cannot be agreed on.
pub const PROTOCOL: u32 = 1;
