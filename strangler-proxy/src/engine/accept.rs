//! Accepting connections, also when there are too many of them.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    net::{TcpListener, UnixListener},
    task::{spawn_local, yield_now},
    time::sleep,
};

use super::{
    answer::{self, About},
    connection,
    fault::Fault,
    handshake::{self, Arrival},
    limits::{ACCEPT_BATCH, ACCEPT_PAUSE},
    listen::{Reserve, is_exhaustion},
    spread::{Place, Seat},
    stream::Stream,
    worker::Worker,
};
use crate::config::{self, Snapshot};

/// A socket that listens.
#[derive(Debug)]
pub enum Listening {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A Unix socket.
    Unix(std::os::unix::net::UnixListener),
}

/// A socket that listens, its listener, and whether another process accepts from it now.
#[derive(Debug)]
pub struct Entrance {
    /// The socket.
    pub listening: Listening,
    /// As the configuration has it.
    pub door: Door,
    /// Then what waits there is that process's.
    pub followed: Arc<AtomicBool>,
}

/// The listener of a socket as the configuration in force has it: its address is for good, its TLS is not.
#[derive(Debug)]
pub struct Door(RefCell<config::Listener>);

impl Door {
    /// As it was at the start.
    pub fn new(listener: config::Listener) -> Self {
        Self(RefCell::new(listener))
    }

    /// As it is now. A listener that is no longer in the configuration stays as it was until the restart that it wants.
    fn now(&self, snapshot: &Snapshot) -> config::Listener {
        let mut known = self.0.borrow_mut();
        if let Some(now) = snapshot.listeners.iter().find(|it| it.address == known.address) {
            known.clone_from(now);
        }
        known.clone()
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn of(listening: Listening) -> io::Result<Self> {
        Ok(match listening {
            Listening::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Listening::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
        })
    }

    /// Where other workers may listen, too.
    fn seat(&self, worker: &Worker) -> Option<Seat> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|at| worker.spread().join(at)),
            // The workers share one queue, and whoever has time takes from it.
            Self::Unix(_) => None,
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<SocketAddr>)>> {
        match self {
            Self::Tcp(listener) => {
                let accepted = listener.poll_accept(cx);
                accepted.map_ok(|(stream, peer)| (Stream::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener) => {
                let accepted = listener.poll_accept(cx);
                accepted.map_ok(|(stream, _)| (Stream::Unix(stream), None))
            }
        }
    }
}

/// Accepts until the worker drains, and then what the queue still has: those clients were told that they are connected.
/// Where another process accepts from the same socket, the queue is that one's at once.
pub async fn run(worker: Rc<Worker>, entrance: Entrance) {
    let Entrance { listening, door, followed } = entrance;
    let listener = match Listener::of(listening) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a listener cannot be used");
            return;
        }
    };
    let mut reserve = Reserve::new();
    let mut batch = 0;
    let mut is_told = false;
    let slot = worker.timers.slot();
    let mut seat = listener.seat(&worker);
    loop {
        let arrived = poll_fn(|cx| {
            slot.listen(cx);
            let is_followed = followed.load(Ordering::Acquire);
            poll_arrived(cx, &listener, seat.as_mut(), (worker.draining.get(), is_followed))
        });
        let Some(arrived) = arrived.await else { return };
        match arrived {
            Ok((stream, peer, place)) => {
                is_told = false;
                if let Some((stream, place)) = placed(stream, peer, place, seat.as_ref()) {
                    welcome(&worker, stream, peer, (&door, place));
                }
                batch += 1;
                if batch == ACCEPT_BATCH {
                    batch = 0;
                    yield_now().await;
                }
            }
            Err(error) if is_exhaustion(&error) => {
                if !is_told {
                    tracing::warn!(%error, "no descriptor left for connections: they are turned away");
                    is_told = true;
                }
                reserve.give_up();
                let one = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await;
                if let Poll::Ready(Ok((stream, _))) = one {
                    let listener = door.now(&worker.view().snapshot);
                    refuse(&stream, &listener, Fault::NoDescriptor, "strangler-proxy");
                }
                reserve.take_back();
                sleep(ACCEPT_PAUSE).await;
                if worker.draining.get() {
                    return;
                }
            }
            // The client has gone before it was its turn.
            Err(_gone) => {}
        }
    }
}

/// A connection, whose it is where that is known, and where it has its place where it was handed over.
type Arrived = (Stream, Option<SocketAddr>, Option<Place>);

/// What another worker hands over, or what the listener has. Nothing once the worker drains and both are empty.
fn poll_arrived(
    cx: &mut Context<'_>,
    listener: &Listener,
    seat: Option<&mut Seat>,
    (drains, is_followed): (bool, bool),
) -> Poll<Option<io::Result<Arrived>>> {
    let mut is_over = drains;
    if let Some(seat) = seat {
        if drains {
            seat.leave();
        }
        match seat.poll_arrival(cx) {
            Poll::Ready(Some(handed)) => {
                return Poll::Ready(Some(
                    handed.map(|(stream, peer, place)| {
                        (Stream::Tcp(stream), Some(peer), Some(place))
                    }),
                ));
            }
            Poll::Ready(None) => {}
            Poll::Pending => is_over = false,
        }
    }
    if is_followed {
        return if is_over { Poll::Ready(None) } else { Poll::Pending };
    }
    match listener.poll_accept(cx) {
        Poll::Ready(accepted) => {
            Poll::Ready(Some(accepted.map(|(stream, peer)| (stream, peer, None))))
        }
        Poll::Pending if is_over => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }
}

/// The connection, if it is this worker's.
fn placed(
    stream: Stream,
    peer: Option<SocketAddr>,
    place: Option<Place>,
    seat: Option<&Seat>,
) -> Option<(Stream, Option<Place>)> {
    match (stream, peer, seat) {
        (Stream::Tcp(stream), Some(peer), Some(seat)) if place.is_none() => {
            let (stream, place) = seat.place(stream, peer)?;
            Some((Stream::Tcp(stream), Some(place)))
        }
        (stream, ..) => Some((stream, place)),
    }
}

fn welcome(
    worker: &Rc<Worker>,
    stream: Stream,
    peer: Option<SocketAddr>,
    (door, place): (&Door, Option<Place>),
) {
    let view = worker.view();
    let listener = door.now(&view.snapshot);
    if worker.open.get() >= view.snapshot.client.connections.min(worker.clients_max) {
        let pseudonym = &view.snapshot.client.pseudonym;
        refuse(&stream, &listener, Fault::TooManyConnections, pseudonym);
        return;
    }
    let open = worker.opened(place);
    let worker = Rc::clone(worker);
    let arrival = Arrival { peer, secured: None, https_redirect: listener.https_redirect };
    match listener.tls {
        None => spawn_local(async move {
            connection::serve(worker, stream, arrival).await;
            drop(open);
        }),
        Some(tls) => spawn_local(async move {
            handshake::serve(worker, stream, arrival, tls).await;
            drop(open);
        }),
    };
}

/// A fatal alert, `internal_error` (RFC 8446, section 6): what can be said over TLS without a handshake.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// One answer and no more. Where the socket does not take it at once, the client gets none.
fn refuse(stream: &Stream, listener: &config::Listener, fault: Fault, pseudonym: &str) {
    let mut out = Vec::new();
    if listener.tls.is_some() {
        out.extend_from_slice(&ALERT);
    } else {
        let about = About { pseudonym, trace: "", is_head: false, closes: true, is_grpc: false };
        answer::problem(&mut out, fault, about);
    }
    // A connection this new is not known to be writable yet; the system is asked all the same.
    let written = stream.send_now(&out);
    if let Err(error) = written {
        tracing::debug!(%error, "a client that is turned away is not told");
    }
}
