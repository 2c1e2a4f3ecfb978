//! The connection of a client between and around its requests.

use std::{
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    task::{Context, Poll},
};

use super::{
    fault::Fault,
    handshake::{Arrival, Secured},
    kit::Kit,
    limits::{DRAIN_FIRST, HEAD_ROOM, LINGER, LINGER_BYTES},
    stream::Stream,
    timers::Slot,
    view::View,
    worker::Worker,
};
use crate::http1::Parsed;

/// A client.
pub struct Client {
    /// The worker that it came to.
    pub worker: Rc<Worker>,
    /// Its bytes.
    pub stream: Stream,
    /// The deadline of whatever is waited for.
    pub slot: Slot,
    /// Its address; none over a Unix socket.
    pub peer: Option<IpAddr>,
    /// The same as text.
    pub peer_text: Box<str>,
    /// What is known of it by TLS.
    pub secured: Option<Rc<Secured>>,
    /// Is it to be sent to `https` at this port?
    pub https_redirect: Option<u16>,
    /// It has said that it sends no more.
    pub has_ended: bool,
    /// It has asked something.
    pub has_asked: bool,
}

/// How the wait for a head came out.
pub enum Head {
    /// It is whole and so long.
    Whole(usize),
    /// There will be none.
    Over,
    /// Not a byte of it is there: the connection is still idle. The runtime takes new connections for readable until
    /// somebody has looked.
    NotBegun,
    /// It is not to be served.
    Bad(Fault),
}

impl Client {
    /// A client that has just come.
    pub fn new(worker: Rc<Worker>, stream: Stream, arrival: Arrival) -> Self {
        let Arrival { peer, secured, https_redirect } = arrival;
        let peer = peer.map(|peer| peer.ip().to_canonical());
        // RFC 7239, section 6.3: who has no address is "unknown".
        let peer_text = peer.map_or_else(|| "unknown".into(), |peer| peer.to_string().into());
        let slot = worker.timers.slot();
        Self {
            worker,
            stream,
            slot,
            peer,
            peer_text,
            secured,
            https_redirect,
            has_ended: false,
            has_asked: false,
        }
    }

    /// Its deadlines wake the task that this is called in.
    pub async fn listens(&self) {
        poll_fn(|cx| {
            self.slot.listen(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// The connection and how its client has come to it, for another protocol.
    pub fn into_parts(self) -> (Stream, Arrival) {
        let peer = self.peer.map(|peer| SocketAddr::new(peer, 0));
        let arrival = Arrival { peer, secured: self.secured, https_redirect: self.https_redirect };
        (self.stream, arrival)
    }

    /// Waits for the first byte of a request without holding a buffer; false when the connection is to be closed.
    ///
    /// A connection that has not been used yet gets a moment for its first request even while the worker drains; where
    /// another process has taken over, every connection may ask once more.
    pub async fn is_asking(&mut self) -> bool {
        let mut is_set = false;
        poll_fn(|cx| {
            if self.stream.poll_readable(cx).is_ready() {
                return Poll::Ready(true);
            }
            let drains = self.worker.draining.get() && !self.worker.followed.get();
            if (drains && self.has_asked) || (is_set && self.slot.passed()) {
                return Poll::Ready(false);
            }
            if drains {
                self.slot.set_after(DRAIN_FIRST);
                is_set = true;
            }
            if !is_set {
                is_set = true;
                self.slot.set_after(self.worker.view().snapshot.client.keep_alive);
            }
            Poll::Pending
        })
        .await
    }

    /// Reads until the head at the front of the input is whole.
    pub async fn head(&mut self, kit: &mut Kit, view: &View) -> Head {
        let mut is_set = false;
        poll_fn(|cx| {
            loop {
                if !kit.input.is_empty() {
                    match kit.request.parse(&kit.input, &view.limits, view.permitted) {
                        Ok(Parsed::Complete { head_len }) => {
                            return Poll::Ready(Head::Whole(head_len));
                        }
                        Err(refusal) => {
                            return Poll::Ready(Head::Bad(Fault::Refused(refusal.cause)));
                        }
                        Ok(Parsed::Partial) => {}
                    }
                }
                if kit.input.capacity() == kit.input.len() {
                    kit.input.reserve(HEAD_ROOM);
                }
                match self.stream.poll_read(cx, &mut kit.input) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    Poll::Ready(Ok(_) | Err(_)) => return Poll::Ready(Head::Over),
                    Poll::Pending if kit.input.is_empty() => return Poll::Ready(Head::NotBegun),
                    Poll::Pending if !is_set => {
                        is_set = true;
                        self.slot.set_after(view.snapshot.client.head_time);
                        return Poll::Pending;
                    }
                    Poll::Pending if self.slot.passed() => {
                        return Poll::Ready(Head::Bad(Fault::SlowHead));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Looks whether the client is still there while its answer is waited for. What it sends meanwhile is kept for later,
    /// up to the room there is.
    pub fn poll_watch(&mut self, cx: &mut Context<'_>, input: &mut Vec<u8>) -> Result<(), Fault> {
        if self.stream.has_gone(cx) {
            return Err(Fault::ClientGone);
        }
        while !self.has_ended
            && input.len() < input.capacity()
            && self.stream.poll_readable(cx).is_ready()
        {
            match self.stream.poll_read(cx, input) {
                Poll::Ready(Ok(0)) => self.has_ended = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Err(Fault::ClientGone),
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    /// Writes all of it.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut at = 0;
        self.slot.set_after(self.worker.view().snapshot.client.body_idle);
        poll_fn(|cx| {
            while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
                match self.stream.poll_write(cx, rest, &[]) {
                    Poll::Ready(Ok(count)) if count > 0 => at += count,
                    Poll::Ready(Ok(_) | Err(_)) => return Poll::Ready(Err(Fault::ClientGone)),
                    Poll::Pending if self.slot.passed() => {
                        return Poll::Ready(Err(Fault::ClientGone));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
            match self.stream.poll_flush(cx) {
                Poll::Ready(flushed) => Poll::Ready(flushed.map_err(|_gone| Fault::ClientGone)),
                Poll::Pending if self.slot.passed() => Poll::Ready(Err(Fault::ClientGone)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Waits, but not for long, for the end of a stream of HTTP/2 that has been answered. Where a length says how much comes
    /// the answer need not wait for it, and many clients send it in an empty frame of its own: to drop the stream before
    /// would reset it, which is allowed (RFC 9113, section 8.1) and which some take for a failure of the whole.
    pub async fn hear_out(mut self) {
        if !self.stream.is_answered() {
            return;
        }
        self.slot.set_after(LINGER);
        poll_fn(|cx| match self.stream.poll_readable(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => self.slot.poll(),
        })
        .await;
    }

    /// Ends an idle connection. In the clear there is nothing to say; over TLS there is, and the end of the last answer may
    /// still have to go out.
    pub async fn part(mut self) {
        if !matches!(self.stream, Stream::Tls(_)) {
            return;
        }
        self.slot.set_after(LINGER);
        poll_fn(|cx| match self.stream.poll_shutdown(cx) {
            Poll::Ready(_ended) => Poll::Ready(()),
            Poll::Pending => self.slot.poll(),
        })
        .await;
    }

    /// Ends this side, then reads and throws away what still comes, so that the client gets to read its last answer.
    pub async fn linger(mut self, mut rubbish: Vec<u8>) {
        self.slot.set_after(LINGER);
        let mut left = LINGER_BYTES;
        let mut is_shut = false;
        poll_fn(|cx| {
            if !is_shut {
                // Where it cannot be ended it has ended.
                is_shut = self.stream.poll_shutdown(cx).is_ready();
            }
            loop {
                rubbish.clear();
                match self.stream.poll_read(cx, &mut rubbish) {
                    Poll::Ready(Ok(count)) if count > 0 && left > count => left -= count,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.slot.poll(),
                }
            }
        })
        .await;
    }
}
