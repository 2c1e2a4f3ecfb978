//! The turns of a worker's event loop: between two of them the system was asked what has come on every connection.

use std::cell::Cell;

thread_local! {
    static TURN: Cell<u64> = const { Cell::new(0) };
}

/// A turn of the event loop of this thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn(u64);

impl Turn {
    /// The one that is under way.
    pub fn now() -> Self {
        Self(TURN.get())
    }

    /// The event loop of this thread has looked at its connections.
    pub fn begin() {
        TURN.set(TURN.get().wrapping_add(1));
    }
}
