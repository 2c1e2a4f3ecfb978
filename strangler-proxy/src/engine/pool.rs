//! The idle connections of a worker to one endpoint.
//!
//! Invariant: a connection in the pool has finished its last response to the byte, and nothing more had come when it was
//! put here. Whatever comes while it lies here makes it useless: bytes that nobody asked for could only be taken for the
//! answer to the next request. So the system is asked once more before a connection is used: between two looks of the
//! event loop a whole batch of requests is served, and what came meanwhile is not noted yet. That costs a system call for
//! each request; taking a stray answer for the right one would cost more.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use super::{limits::POOL_PER_ENDPOINT, stream::Stream, timers::Tick};

/// Idle connections, the last one given back on top.
#[derive(Debug)]
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
    /// At most this many.
    most: Cell<usize>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { idle: RefCell::default(), most: Cell::new(POOL_PER_ENDPOINT) }
    }
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    since: Tick,
}

impl Pool {
    /// A connection that is open and on which nothing has come. It may be closed before the request is there.
    pub fn take(&self) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let mut stream = idle.pop()?.stream;
            if stream.is_quiet() && stream.is_open() {
                return Some(stream);
            }
        }
    }

    /// Keeps none, until somebody wants some.
    pub fn allow_none(&self) {
        self.most.set(0);
    }

    /// Keeps at most so many, or more where another upstream with the same endpoint has said so.
    pub fn allow(&self, most: u32) {
        self.most.set(self.most.get().max(usize::try_from(most).unwrap_or(usize::MAX)));
    }

    /// Keeps a connection for the next request.
    pub fn put(&self, mut stream: Stream, now: Tick) {
        let mut idle = self.idle.borrow_mut();
        // A stream of HTTP/2 has carried its request; its connection is kept elsewhere.
        if idle.len() < self.most.get() && !stream.is_http2() && stream.is_quiet() {
            idle.push(Idle { stream, since: now });
        }
    }

    /// Closes what the other side has closed and what has been idle for longer than `longest`.
    pub fn sweep(&self, now: Tick, longest: Duration) {
        let mut idle = self.idle.borrow_mut();
        idle.retain_mut(|idle| idle.since.after(longest) > now && idle.stream.is_quiet());
        // The oldest lie at the front.
        let surplus = idle.len().saturating_sub(self.most.get());
        idle.drain(..surplus);
    }

    /// Closes all.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener, time::Duration};

    use super::{Pool, Tick};
    use crate::engine::stream::Stream;

    /// The event loop does not turn in between: only the system knows.
    #[tokio::test]
    async fn what_came_a_moment_ago_makes_a_connection_useless() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool::default();
        for says in [Some("stray"), None] {
            let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await;
            let (mut other, _) = listener.accept().unwrap();
            pool.put(Stream::Tcp(stream.unwrap()), Tick::of(0));
            match says {
                Some(text) => other.write_all(text.as_bytes()).unwrap(),
                None => drop(other),
            }
            assert!(pool.take().is_none(), "{says:?}");
        }
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await;
        pool.put(Stream::Tcp(stream.unwrap()), Tick::of(0));
        pool.sweep(Tick::of(0), Duration::from_secs(1));
        assert!(pool.take().is_some());
    }
}
