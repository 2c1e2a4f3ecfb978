//! A client's connection in HTTP/2: takes its streams as they come, and ends it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::Request;
use tokio::task::spawn_local;

use super::{served::Served, wire::Wire};
use crate::engine::{
    Stream, connection,
    handshake::Arrival,
    limits::{
        HTTP2_EARLY, HTTP2_FIELD_OVERHEAD, HTTP2_RESETS_MAX, HTTP2_SEND_ROOM, HTTP2_TALK,
        HTTP2_TALK_SHARE, HTTP2_WINDOW, HTTP2_WINDOW_CLIENT, LINGER,
    },
    timers::{Slot, Tick, Timers},
    worker::Worker,
};

/// The streams of a connection, counted.
#[derive(Debug, Default)]
pub struct Tally {
    live: Cell<usize>,
    opened: Cell<u64>,
    /// Those that the client has reset soon after it had opened them.
    cut: Cell<u64>,
    /// Bytes of frames that carry nothing of them.
    talk: Rc<Cell<u64>>,
    /// Bytes of requests and answers that have passed.
    moved: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

/// One of the streams, until it is dropped.
#[derive(Debug)]
pub struct Live {
    tally: Rc<Tally>,
    timers: Rc<Timers>,
    since: Tick,
    was_cut: bool,
}

impl Live {
    /// One more.
    pub fn new(tally: &Rc<Tally>, timers: &Rc<Timers>) -> Self {
        tally.live.set(tally.live.get() + 1);
        tally.opened.set(tally.opened.get() + 1);
        let since = timers.now();
        Self { tally: Rc::clone(tally), timers: Rc::clone(timers), since, was_cut: false }
    }

    /// So much of its request or answer has passed.
    pub fn moved(&self, count: usize) {
        self.tally.moved.set(self.tally.moved.get() + count as u64);
    }

    /// The client has given it up.
    pub fn was_cut(&mut self) {
        let early = self.timers.now() < self.since.after(HTTP2_EARLY);
        if early && !std::mem::replace(&mut self.was_cut, true) {
            self.tally.cut.set(self.tally.cut.get() + 1);
            self.tally.wake();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.tally.live.set(self.tally.live.get().saturating_sub(1));
        if self.tally.live.get() == 0 {
            self.tally.wake();
        }
    }
}

impl Tally {
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// What the client is sent away for.
    fn abuse(&self) -> Option<&'static str> {
        // It makes the upstreams work for nobody (CVE-2023-44487).
        if self.cut.get() > HTTP2_RESETS_MAX && self.cut.get() * 2 > self.opened.get() {
            return Some("too many streams are opened and reset");
        }
        // Each such frame is allowed, and nothing comes of them but work.
        if self.talk.get() / HTTP2_TALK_SHARE > self.moved.get() + HTTP2_TALK {
            return Some("frames upon frames carry nothing");
        }
        None
    }

    /// It has been sent away for all that.
    fn forgive(&self) {
        self.cut.set(0);
        self.talk.set(0);
    }
}

/// Serves a connection to its end. Boxed, so that the many connections of HTTP/1.1 have no room for it.
pub fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    ahead: Vec<u8>,
    arrival: Arrival,
) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let slot = worker.timers.slot();
        let tally = Rc::<Tally>::default();
        let wire = Wire::new(stream, ahead, Rc::default()).counting(Rc::clone(&tally.talk));
        let Some(connection) = greet(&worker, &slot, wire).await else { return };
        let mut serving =
            Serving { worker, arrival, connection, tally, slot, is_leaving: false, is_idle: false };
        poll_fn(|cx| serving.poll(cx)).await;
    })
}

/// The settings; nothing where the client does not take part.
async fn greet(worker: &Rc<Worker>, slot: &Slot, wire: Wire) -> Option<Connection<Wire, Bytes>> {
    let view = worker.view();
    let client = &view.snapshot.client;
    let head_bytes = client.head_bytes + client.fields * HTTP2_FIELD_OVERHEAD;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(client.http2_streams)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .initial_window_size(HTTP2_WINDOW)
        .initial_connection_window_size(HTTP2_WINDOW_CLIENT)
        .max_send_buffer_size(HTTP2_SEND_ROOM)
        .enable_connect_protocol();
    let mut handshake = pin!(builder.handshake(wire));
    slot.set_after(client.head_time);
    drop(view);
    poll_fn(|cx| {
        slot.listen(cx);
        match handshake.as_mut().poll(cx) {
            Poll::Ready(Ok(connection)) => Poll::Ready(Some(connection)),
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "a client does not speak HTTP/2");
                Poll::Ready(None)
            }
            Poll::Pending => slot.poll().map(|()| None),
        }
    })
    .await
}

struct Serving {
    worker: Rc<Worker>,
    arrival: Arrival,
    connection: Connection<Wire, Bytes>,
    tally: Rc<Tally>,
    slot: Slot,
    /// The client was told to open no more streams.
    is_leaving: bool,
    /// No stream is open, and the slot has the time at which that ends.
    is_idle: bool,
}

impl Serving {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.slot.listen(cx);
        *self.tally.waker.borrow_mut() = Some(cx.waker().clone());
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.begin(request, respond);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a client's connection failed");
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            if let Some(why) = self.tally.abuse() {
                self.tally.forgive();
                tracing::warn!(client = ?self.arrival.peer, why, "a connection is closed");
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                continue;
            }
            if self.worker.draining.get() && !self.is_leaving {
                self.leave();
                continue;
            }
            if self.tally.live.get() > 0 {
                if std::mem::replace(&mut self.is_idle, false) {
                    self.slot.set(Tick::NEVER);
                }
                return Poll::Pending;
            }
            if !std::mem::replace(&mut self.is_idle, true) {
                let keep_alive = self.worker.view().snapshot.client.keep_alive;
                self.slot.set_after(if self.is_leaving { LINGER } else { keep_alive });
            }
            match (self.slot.passed(), self.is_leaving) {
                (false, _) => return Poll::Pending,
                (true, false) => self.leave(),
                // It was told and does not go.
                (true, true) => return Poll::Ready(()),
            }
        }
    }

    /// Says that no more streams are taken; those that are open end in their own time.
    fn leave(&mut self) {
        self.connection.graceful_shutdown();
        self.is_leaving = true;
        self.is_idle = false;
    }

    fn begin(&self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        let worker = Rc::clone(&self.worker);
        match Served::new(request, respond, &self.tally, &worker.timers) {
            Ok(stream) => {
                let (stream, arrival) = (Stream::Served(Box::new(stream)), self.arrival.clone());
                spawn_local(connection::serve(worker, stream, arrival));
            }
            Err(unfit) => {
                let view = worker.view();
                view.route(view.snapshot.rest()).cells.refused.add(1);
                tracing::debug!(cause = unfit.name(), client = ?self.arrival.peer, "a stream was reset");
            }
        }
    }
}
