//! The beginning of a connection over TLS: who is there, which protocol is spoken, and what becomes of those with whom it
//! does not come to a handshake.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
};

use super::{
    client::Client,
    connection,
    fault::Fault,
    http2,
    limits::DRAIN_FIRST,
    secure::{self, Failure, Secure},
    stream::Stream,
    worker::Worker,
};
use crate::{
    route::pattern::bare_host,
    seen::Handshake,
    tls::{Certificate, ListenerTls, Peer, Protocol},
};

/// How a client has come to its connection. Shared by all that it asks there.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    /// Its address; none over a Unix socket.
    pub peer: Option<SocketAddr>,
    /// What is known of it by TLS; none in the clear.
    pub secured: Option<Rc<Secured>>,
    /// Is it to be sent to `https` at this port, whatever it asks?
    pub https_redirect: Option<u16>,
}

/// What is known of a client by TLS.
#[derive(Debug)]
pub struct Secured {
    /// Its certificate, where it has shown one and that was verified.
    pub peer: Option<Peer>,
    /// What it was shown; nothing where any host is served.
    shown: Option<Arc<Certificate>>,
    /// The last host that was found good: usually all requests of a connection have the same.
    last: RefCell<Vec<u8>>,
}

impl Secured {
    fn of(session: &Secure, tls: &ListenerTls) -> Self {
        let shown = tls.certificate(session.server_name()).filter(|_| !tls.any_host);
        Self {
            peer: session.shown().map(|certificate| Peer::of(certificate)),
            shown: shown.map(Arc::clone),
            last: RefCell::default(),
        }
    }

    /// Is the certificate that the client was shown for this host? RFC 9110, section 7.4, wants a request refused where it
    /// is not: the client, or something on its way, has mistaken this server for another one.
    pub fn is_for(&self, authority: &[u8]) -> bool {
        let Some(shown) = &self.shown else { return true };
        if authority.is_empty() || *self.last.borrow() == authority {
            return true;
        }
        let host = std::str::from_utf8(bare_host(authority)).unwrap_or_default();
        let is_for = shown.covers(host);
        if is_for {
            *self.last.borrow_mut() = authority.to_vec();
        }
        is_for
    }
}

/// The handshakes of a worker that are under way, the oldest first.
#[derive(Debug, Default)]
pub struct UnderWay {
    places: RefCell<BTreeMap<u64, Rc<Place>>>,
    next: Cell<u64>,
}

#[derive(Debug)]
struct Place {
    is_lost: Cell<bool>,
    waker: Waker,
}

/// A place among them. Free when dropped.
struct Taken {
    worker: Rc<Worker>,
    number: u64,
    place: Rc<Place>,
}

impl Taken {
    /// One more. Where there are as many as may be, the oldest loses its place: who has not finished by now is the least
    /// likely to do so, and a crowd that never finishes keeps nobody out.
    fn new(worker: &Rc<Worker>, most: usize, waker: &Waker) -> Self {
        let under_way = &worker.handshakes;
        let mut places = under_way.places.borrow_mut();
        while places.len() >= most.max(1) {
            let Some((_, oldest)) = places.pop_first() else { break };
            oldest.is_lost.set(true);
            oldest.waker.wake_by_ref();
        }
        let number = under_way.next.get();
        under_way.next.set(number + 1);
        let place = Rc::new(Place { is_lost: Cell::new(false), waker: waker.clone() });
        places.insert(number, Rc::clone(&place));
        Self { worker: Rc::clone(worker), number, place }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.worker.handshakes.places.borrow_mut().remove(&self.number);
    }
}

/// How it came out.
enum Outcome {
    Done(Box<Secure>),
    /// It is over, and the client may be there to be told.
    Failed(Box<Secure>, Failure),
    /// It is over, and nobody is told.
    Dropped(Handshake),
}

/// Serves a connection over TLS to its end.
pub async fn serve(worker: Rc<Worker>, stream: Stream, arrival: Arrival, tls: Arc<ListenerTls>) {
    // Boxed: it is over soon, and the connection may last for days.
    match Box::pin(shake(&worker, stream, &tls)).await {
        Outcome::Done(session) => {
            let is_resumed = session.is_resumed();
            worker.count(if is_resumed { Handshake::Resumed } else { Handshake::Full });
            let protocol = Protocol::of(session.protocol());
            let secured = Some(Rc::new(Secured::of(&session, &tls)));
            drop(tls);
            let (stream, arrival) = (Stream::Tls(session), Arrival { secured, ..arrival });
            match protocol {
                Protocol::Http1 => connection::serve(worker, stream, arrival).await,
                Protocol::Http2 => http2::serve(worker, stream, Vec::new(), arrival).await,
            }
        }
        Outcome::Failed(session, failure) => turned_away(worker, *session, arrival, failure).await,
        Outcome::Dropped(how) => worker.count(how),
    }
}

/// Waits for the first byte, for which nothing is held, and then for the end of the handshake.
async fn shake(worker: &Rc<Worker>, mut stream: Stream, tls: &ListenerTls) -> Outcome {
    let slot = worker.timers.slot();
    slot.set_after(tls.handshake_time);
    let mut drains = false;
    let first = poll_fn(|cx| {
        slot.listen(cx);
        if worker.draining.get() && !drains {
            drains = true;
            slot.set_after(DRAIN_FIRST);
        }
        match secure::poll_first(&mut stream, cx) {
            Poll::Ready(first) => Poll::Ready(Some((first, cx.waker().clone()))),
            Poll::Pending => slot.poll().map(|()| None),
        }
    });
    let Some((first, waker)) = first.await else { return Outcome::Dropped(Handshake::Slow) };
    if first.is_empty() {
        return Outcome::Dropped(Handshake::Failed);
    }
    slot.set_after(tls.handshake_time);
    let session = match tls.accept(worker.view().snapshot.client.http2) {
        Ok(session) => session,
        Err(error) => {
            tracing::error!(%error, "TLS cannot begin");
            return Outcome::Dropped(Handshake::Failed);
        }
    };
    let taken = Taken::new(worker, tls.handshakes, &waker);
    let mut session = Box::new(Secure::begun(stream, session, first));
    let shaken = poll_fn(|cx| match session.poll_handshake(cx) {
        Poll::Ready(shaken) => Poll::Ready(Ok(shaken)),
        Poll::Pending if taken.place.is_lost.get() => Poll::Ready(Err(Handshake::Crowded)),
        Poll::Pending if slot.passed() => Poll::Ready(Err(Handshake::Slow)),
        Poll::Pending => Poll::Pending,
    });
    match shaken.await {
        Ok(Ok(())) => Outcome::Done(session),
        Ok(Err(Failure::Gone)) => Outcome::Dropped(Handshake::Failed),
        Ok(Err(failure)) => Outcome::Failed(session, failure),
        Err(how) => Outcome::Dropped(how),
    }
}

/// Tells why, in the language that the client has spoken.
async fn turned_away(worker: Rc<Worker>, session: Secure, arrival: Arrival, failure: Failure) {
    let peer = arrival.peer.map(|peer| peer.to_string());
    match failure {
        Failure::NotTls => {
            worker.count(Handshake::Plain);
            let below = session.into_below();
            Box::pin(connection::turn_away(worker, below, arrival, Fault::NotTls)).await;
        }
        Failure::Broken(error) => {
            worker.count(Handshake::Failed);
            tracing::debug!(%error, client = peer, "no handshake");
            // The alert has gone; what the client has sent behind its hello must not make the kernel take it back.
            let client = Client::new(worker, session.into_below(), arrival);
            client.listens().await;
            client.linger(Vec::with_capacity(super::limits::HEAD_ROOM)).await;
        }
        Failure::Gone => worker.count(Handshake::Failed),
    }
}
