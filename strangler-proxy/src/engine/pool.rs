//! The idle connections of a worker to one endpoint.
//!
//! Invariant: a connection in the pool has finished its last response to the byte, and nothing more had come when it was
//! put here. Whatever comes while it lies here makes it useless: bytes that nobody asked for could only be taken for the
//! answer to the next request.

use std::{
    cell::RefCell,
    task::{Context, Waker},
    time::Duration,
};

use super::{limits::POOL_PER_ENDPOINT, stream::Stream, timers::Tick};

/// Idle connections, the last one given back on top.
#[derive(Debug, Default)]
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    since: Tick,
}

impl Pool {
    /// A connection that was fine when the worker last heard from the kernel. It may have been closed since.
    pub fn take(&self) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let stream = idle.pop()?.stream;
            if is_quiet(&stream) {
                return Some(stream);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub fn put(&self, stream: Stream, now: Tick) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < POOL_PER_ENDPOINT && is_quiet(&stream) {
            idle.push(Idle { stream, since: now });
        }
    }

    /// Closes what the other side has closed and what has been idle for longer than `longest`.
    pub fn sweep(&self, now: Tick, longest: Duration) {
        self.idle
            .borrow_mut()
            .retain(|idle| idle.since.after(longest) > now && is_quiet(&idle.stream));
    }

    /// Closes all.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
    }
}

/// Has nothing come on this connection, no byte and no end? Asks no system call: the event loop has noted it.
fn is_quiet(stream: &Stream) -> bool {
    stream.poll_readable(&mut Context::from_waker(Waker::noop())).is_pending()
}
