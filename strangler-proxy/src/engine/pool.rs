//! The idle connections of a worker to one endpoint.
//!
//! Invariant: a connection in the pool has finished its last response to the byte, and nothing more had been read when it
//! was put here. Whatever comes behind that makes it useless: bytes that nobody asked for could only be taken for the
//! answer to the next request. So somebody looks before a connection is used again: the event loop, which has turned since
//! the connection was put here and has noted what came, or, where it has not, the system is asked. Connections that have
//! lain here for a turn go first, as that look costs nothing, and a stray answer has had the time to come.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use super::{limits::POOL_PER_ENDPOINT, stream::Stream, timers::Tick, turn::Turn};

/// Idle connections.
#[derive(Debug)]
pub struct Pool {
    idle: RefCell<Lists>,
    /// At most this many.
    most: Cell<usize>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { idle: RefCell::default(), most: Cell::new(POOL_PER_ENDPOINT) }
    }
}

/// In both the last one given back is on top.
#[derive(Debug, Default)]
struct Lists {
    /// The event loop has looked at these.
    rested: Vec<Idle>,
    /// These were given back in the turn `turn` of the event loop.
    fresh: Vec<Idle>,
    turn: Turn,
}

impl Lists {
    /// What was given back before this turn has been looked at.
    fn turn(&mut self, turn: Turn) {
        if self.turn != turn {
            self.turn = turn;
            self.rested.append(&mut self.fresh);
        }
    }

    fn len(&self) -> usize {
        self.rested.len() + self.fresh.len()
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
        idle.turn(Turn::now());
        while let Some(Idle { mut stream, .. }) = idle.rested.pop() {
            if stream.is_quiet() {
                return Some(stream);
            }
        }
        while let Some(Idle { mut stream, .. }) = idle.fresh.pop() {
            if stream.is_quiet() && stream.is_open() {
                return Some(stream);
            }
        }
        None
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
    pub fn put(&self, stream: Stream, now: Tick) {
        let mut idle = self.idle.borrow_mut();
        // A stream of HTTP/2 has carried its request; its connection is kept elsewhere.
        if idle.len() < self.most.get() && !stream.is_http2() {
            idle.turn(Turn::now());
            idle.fresh.push(Idle { stream, since: now });
        }
    }

    /// Closes what the other side has closed and what has been idle for longer than `longest`.
    pub fn sweep(&self, now: Tick, longest: Duration) {
        let mut idle = self.idle.borrow_mut();
        let Lists { rested, fresh, .. } = &mut *idle;
        for idle in [&mut *rested, fresh] {
            idle.retain_mut(|idle| idle.since.after(longest) > now && idle.stream.is_quiet());
        }
        // The oldest lie at the front.
        let surplus = (rested.len() + fresh.len()).saturating_sub(self.most.get());
        let of_rested = surplus.min(rested.len());
        rested.drain(..of_rested);
        fresh.drain(..surplus - of_rested);
    }

    /// Closes all.
    pub fn clear(&self) {
        *self.idle.borrow_mut() = Lists::default();
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener, time::Duration};

    use super::{Pool, Tick, Turn};
    use crate::engine::stream::Stream;

    /// A connection and its other side.
    async fn pair(listener: &TcpListener) -> (Stream, std::net::TcpStream) {
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await;
        (Stream::Tcp(stream.unwrap()), listener.accept().unwrap().0)
    }

    /// The event loop does not turn in between: only the system knows.
    #[tokio::test]
    async fn what_came_a_moment_ago_makes_a_connection_useless() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool::default();
        for says in [Some("stray"), None] {
            let (stream, mut other) = pair(&listener).await;
            pool.put(stream, Tick::of(0));
            match says {
                Some(text) => other.write_all(text.as_bytes()).unwrap(),
                None => drop(other),
            }
            assert!(pool.take().is_none(), "{says:?}");
        }
        let (stream, _other) = pair(&listener).await;
        pool.put(stream, Tick::of(0));
        pool.sweep(Tick::of(0), Duration::from_secs(1));
        assert!(pool.take().is_some());
    }

    #[tokio::test]
    async fn what_came_before_the_event_loop_turned_makes_a_connection_useless() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool::default();
        let (stream, mut other) = pair(&listener).await;
        pool.put(stream, Tick::of(0));
        other.write_all(b"stray").unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        Turn::begin();
        assert!(pool.take().is_none());
    }

    #[tokio::test]
    async fn who_has_rested_for_a_turn_goes_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool::default();
        let (rested, other) = pair(&listener).await;
        pool.put(rested, Tick::of(0));
        Turn::begin();
        let (fresh, _another) = pair(&listener).await;
        pool.put(fresh, Tick::of(0));
        let Some(Stream::Tcp(taken)) = pool.take() else { panic!("there are two") };
        assert_eq!(taken.local_addr().unwrap(), other.peer_addr().unwrap());
        assert!(pool.take().is_some() && pool.take().is_none());
    }
}
