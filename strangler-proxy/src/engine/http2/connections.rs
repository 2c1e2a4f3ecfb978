//! The connections of a worker to one endpoint that speaks HTTP/2. Requests share them.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, PingPong,
    client::{Builder, Connection, SendRequest},
};
use http::uri::Scheme;
use tokio::task::spawn_local;

use super::{asked::Asked, wire::Wire};
use crate::engine::{
    Address, Stream,
    limits::{
        HTTP2_CONNECTIONS_MAX, HTTP2_HEAD_MAX, HTTP2_PING_AFTER, HTTP2_PING_AGAIN, HTTP2_PONG,
        HTTP2_SEND_ROOM, HTTP2_STREAMS_MAX, HTTP2_WINDOW, HTTP2_WINDOW_UPSTREAM,
    },
    secure::tls_error,
    timers::{Slot, Tick, Timers},
};
use crate::{config::Protocol, tls::UpstreamTls};

/// The connections to an endpoint.
#[derive(Debug)]
pub struct Shared(Rc<Inner>);

struct Inner {
    address: Address,
    tls: Option<Arc<UpstreamTls>>,
    connections: RefCell<Vec<Link>>,
    /// Is one being made? Then whoever wants one waits for it.
    is_connecting: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
    /// How often one could not be made, and why it could not the last time.
    failures: Cell<u64>,
    why: RefCell<Option<io::Error>>,
}

/// A connection. While one of these is there it stays open.
struct Link {
    sender: SendRequest<Bytes>,
    state: Rc<State>,
}

/// What its requests and its driver share.
#[derive(Debug)]
struct State {
    streams: Cell<usize>,
    has_ended: Cell<bool>,
    idle_since: Cell<Tick>,
    heard: Rc<Cell<bool>>,
    timers: Rc<Timers>,
    waker: RefCell<Option<Waker>>,
    endpoint: Rc<Inner>,
}

/// A request's place on a connection, until it is dropped.
pub struct Place(Rc<State>);

impl Drop for Place {
    fn drop(&mut self) {
        let state = &self.0;
        state.streams.set(state.streams.get().saturating_sub(1));
        state.idle_since.set(state.timers.now());
        state.endpoint.wake();
    }
}

impl Shared {
    /// None yet.
    pub fn new(address: Address, tls: Option<Arc<UpstreamTls>>) -> Self {
        Self(Rc::new(Inner {
            address,
            tls,
            connections: RefCell::default(),
            is_connecting: Cell::new(false),
            waiting: RefCell::default(),
            failures: Cell::new(0),
            why: RefCell::default(),
        }))
    }

    /// A place for a request, on a new connection where the others are full.
    pub async fn open(&self, timers: &Rc<Timers>, longest: Duration) -> io::Result<Stream> {
        let failures = self.0.failures.get();
        poll_fn(|cx| {
            if let Some(place) = self.0.place(cx) {
                return Poll::Ready(Ok(Stream::Asked(Box::new(place))));
            }
            if self.0.failures.get() != failures {
                return Poll::Ready(Err(self.0.failure()));
            }
            if !self.0.is_connecting.get() {
                if self.0.connections.borrow().len() >= HTTP2_CONNECTIONS_MAX {
                    return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
                }
                self.0.is_connecting.set(true);
                spawn_local(Rc::clone(&self.0).connect(Rc::clone(timers), longest));
            }
            let mut waiting = self.0.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Lets go of what has been idle for longer than `longest`; it closes then.
    pub fn sweep(&self, now: Tick, longest: Duration) {
        self.0.connections.borrow_mut().retain(|link| {
            let is_idle =
                link.state.streams.get() == 0 && link.state.idle_since.get().after(longest) <= now;
            !is_idle && !link.state.has_ended.get()
        });
    }

    /// Closes those that carry no request.
    pub fn clear(&self) {
        self.0.connections.borrow_mut().retain(|link| link.state.streams.get() > 0);
    }
}

impl Inner {
    fn wake(&self) {
        self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }

    fn failure(&self) -> io::Error {
        let why = self.why.borrow();
        let Some(error) = &*why else { return io::ErrorKind::ConnectionAborted.into() };
        match (tls_error(error), error.raw_os_error()) {
            (Some(broken), _) => io::Error::new(error.kind(), broken.clone()),
            (None, Some(code)) => io::Error::from_raw_os_error(code),
            (None, None) => error.kind().into(),
        }
    }

    /// A place on the first connection that has one: filled from the front, those at the back become idle and close.
    fn place(&self, cx: &mut Context<'_>) -> Option<Asked> {
        let mut connections = self.connections.borrow_mut();
        // One that is told to go takes no more requests, and closes by itself after its last one.
        connections.retain_mut(|link| {
            !link.state.has_ended.get()
                && !matches!(link.sender.poll_ready(cx), Poll::Ready(Err(_)))
        });
        let link = connections.iter().find(|link| {
            let most = link.sender.current_max_send_streams().min(HTTP2_STREAMS_MAX);
            link.state.streams.get() < most
        })?;
        let was_idle = link.state.streams.get() == 0;
        link.state.streams.set(link.state.streams.get() + 1);
        if let Some(driver) = &*link.state.waker.borrow() {
            driver.wake_by_ref();
        }
        let place = Place(Rc::clone(&link.state));
        let scheme = match self.address {
            Address::Tls { .. } => Scheme::HTTPS,
            Address::Tcp(_) | Address::Unix(_) => Scheme::HTTP,
        };
        Some(Asked::new(link.sender.clone(), scheme, place, was_idle))
    }

    async fn connect(self: Rc<Self>, timers: Rc<Timers>, longest: Duration) {
        let made = made(&self, &timers, longest).await;
        self.is_connecting.set(false);
        match made {
            Ok((sender, connection, heard)) => {
                let state = Rc::new(State {
                    streams: Cell::new(0),
                    has_ended: Cell::new(false),
                    idle_since: Cell::new(timers.now()),
                    heard,
                    waker: RefCell::default(),
                    endpoint: Rc::clone(&self),
                    timers,
                });
                self.connections.borrow_mut().push(Link { sender, state: Rc::clone(&state) });
                self.wake();
                drop(self);
                drive(connection, state).await;
            }
            Err(error) => {
                *self.why.borrow_mut() = Some(error);
                self.failures.set(self.failures.get() + 1);
                self.wake();
            }
        }
    }
}

type Made = (SendRequest<Bytes>, Connection<Wire, Bytes>, Rc<Cell<bool>>);

async fn made(inner: &Inner, timers: &Rc<Timers>, longest: Duration) -> io::Result<Made> {
    let slot = timers.slot();
    slot.set_after(longest);
    let mut making = pin!(async {
        let stream = inner.address.connect(inner.tls.as_deref(), Protocol::Http2).await?;
        let heard = Rc::new(Cell::new(false));
        let wire = Wire::new(stream, Vec::new(), Rc::clone(&heard));
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            // Until the other side has said how many it takes.
            .initial_max_send_streams(HTTP2_STREAMS_MAX)
            .initial_window_size(HTTP2_WINDOW)
            .initial_connection_window_size(HTTP2_WINDOW_UPSTREAM)
            .max_header_list_size(HTTP2_HEAD_MAX)
            .max_send_buffer_size(HTTP2_SEND_ROOM);
        let (sender, connection) = builder.handshake(wire).await.map_err(io::Error::other)?;
        Ok((sender, connection, heard))
    });
    poll_fn(|cx| {
        slot.listen(cx);
        match making.as_mut().poll(cx) {
            Poll::Pending => slot.poll().map(|()| Err(io::ErrorKind::TimedOut.into())),
            ready => ready,
        }
    })
    .await
}

/// Drives a connection to its end, and asks the other side for a sign of life when it has been silent.
async fn drive(mut connection: Connection<Wire, Bytes>, state: Rc<State>) {
    let slot = state.timers.slot();
    let pings = connection.ping_pong();
    let mut pulse = Pulse { slot, pings, waits: false, not_before: Tick::default(), is_set: false };
    let ended = poll_fn(|cx| {
        pulse.slot.listen(cx);
        *state.waker.borrow_mut() = Some(cx.waker().clone());
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(ended.err());
            }
            match pulse.poll(cx, &state) {
                Beat::Quiet => return Poll::Pending,
                // What was asked for has to be sent.
                Beat::Asked => {}
                Beat::Dead => {
                    tracing::warn!(endpoint = %state.endpoint.address, "no sign of life: its connection is given up");
                    return Poll::Ready(None);
                }
            }
        }
    })
    .await;
    state.has_ended.set(true);
    if let Some(error) = ended {
        tracing::debug!(%error, endpoint = %state.endpoint.address, "a connection to an upstream ended");
    }
    state.endpoint.wake();
}

/// The sign of life that a silent connection with requests is asked for.
struct Pulse {
    slot: Slot,
    pings: Option<PingPong>,
    /// Has it been asked for and not come?
    waits: bool,
    /// Before this it is not asked for again.
    not_before: Tick,
    is_set: bool,
}

enum Beat {
    Quiet,
    Asked,
    Dead,
}

impl Pulse {
    fn poll(&mut self, cx: &mut Context<'_>, state: &State) -> Beat {
        let Some(pings) = &mut self.pings else { return Beat::Quiet };
        if self.waits && pings.poll_pong(cx).is_ready() {
            (self.waits, self.is_set) = (false, false);
        }
        if state.heard.replace(false) {
            self.is_set = false;
        }
        if state.streams.get() == 0 && !self.waits {
            self.is_set = false;
            self.slot.set(Tick::NEVER);
            return Beat::Quiet;
        }
        let now = state.timers.now();
        if !std::mem::replace(&mut self.is_set, true) {
            let late = now.after(HTTP2_PING_AFTER).max(self.not_before);
            self.slot.set(if self.waits { now.after(HTTP2_PONG) } else { late });
        }
        if !self.slot.passed() {
            return Beat::Quiet;
        }
        if self.waits {
            return Beat::Dead;
        }
        self.waits = pings.send_ping(Ping::opaque()).is_ok();
        self.not_before = now.after(HTTP2_PING_AGAIN);
        self.slot.set(if self.waits { now.after(HTTP2_PONG) } else { self.not_before });
        Beat::Asked
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("failures", &self.failures).finish_non_exhaustive()
    }
}
