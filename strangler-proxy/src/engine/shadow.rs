//! Shadows: a copy of a safe request goes to the new side too; its answer is thrown away, only the status is compared.
//!
//! Detached from the live request: it waits for nothing of the shadow, and the number of copies under way is bounded.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::task::spawn_local;

use super::{
    client::Client,
    endpoint::Busy,
    forward,
    kit::Kit,
    limits::{SHADOW_BODY_MAX, SHADOWS_MAX},
    request::Asked,
    stream::Stream,
    timers::Slot,
    view::View,
    worker::Worker,
};
use crate::{
    config::Protocol,
    http1::{BodyReader, Event, Limits, Parsed, RequestFacts, ResponseHead, Upgrade},
    route::{Decision, Side, UpstreamId},
    seen::RouteCells,
};

/// The two statuses of a request and its shadow. Whichever comes last compares.
#[derive(Debug)]
pub struct Pair {
    live: Cell<Option<u16>>,
    shadow: Cell<Option<u16>>,
    cells: Arc<RouteCells>,
}

impl Pair {
    /// The live answer has ended.
    pub fn live(&self, status: u16) {
        self.live.set(Some(status));
        self.compare();
    }

    fn shadow(&self, status: u16) {
        self.shadow.set(Some(status));
        self.compare();
    }

    fn compare(&self) {
        if let (Some(live), Some(shadow)) = (self.live.get(), self.shadow.get()) {
            let agree = live == shadow;
            if agree { &self.cells.shadow_agreed } else { &self.cells.shadow_differed }.add(1);
        }
    }
}

/// Sends a copy of the request to an upstream, where there is room for one more.
pub fn send(
    client: &Client,
    kit: &mut Kit,
    asked: &Asked,
    view: &Rc<View>,
    upstream: UpstreamId,
) -> Option<Rc<Pair>> {
    if kit.request.has_body() || kit.request.upgrade() != Upgrade::None {
        return None;
    }
    let cells = &view.route(asked.decision.route).cells;
    let worker = &client.worker;
    let now = worker.timers.now();
    let chosen = view.upstream(upstream).and_then(|upstream| upstream.choose(None, now).ok());
    let endpoint = chosen.map(|(_, known)| &known.endpoint);
    let Some(endpoint) = endpoint.filter(|_| worker.shadows.get() < SHADOWS_MAX) else {
        cells.shadow_left_out.add(1);
        return None;
    };
    let copied = Asked {
        decision: Decision { side: Side::New, upstream, ..asked.decision },
        endpoint: Some(Rc::clone(endpoint)),
        bound: None,
        tries: Vec::new(),
        pair: None,
        ..*asked
    };
    forward::write_head(client, kit, &copied, view, kit.request.framing());
    let pair =
        Rc::new(Pair { live: Cell::new(None), shadow: Cell::new(None), cells: Arc::clone(cells) });
    let timeouts = view.snapshot.route(asked.decision.route).timeouts;
    let copy = Copied {
        head: kit.to_upstream.clone(),
        facts: kit.request.facts(false),
        endpoint: Busy::at(endpoint),
        time: timeouts.connect + timeouts.first_byte,
        limits: view.limits.clone(),
        protocol: view.snapshot.upstream(upstream).protocol,
    };
    worker.shadows.set(worker.shadows.get() + 1);
    let (worker, told) = (Rc::clone(worker), Rc::clone(&pair));
    spawn_local(async move {
        match copy.ask(&worker).await {
            Some(status) => told.shadow(status),
            None => told.cells.shadow_failed.add(1),
        }
        worker.shadows.set(worker.shadows.get().saturating_sub(1));
    });
    Some(pair)
}

/// A copy, on its own.
struct Copied {
    head: Vec<u8>,
    facts: RequestFacts,
    endpoint: Busy,
    time: Duration,
    limits: Limits,
    protocol: Protocol,
}

impl Copied {
    /// The status of the answer, if one comes in time.
    async fn ask(&self, worker: &Rc<Worker>) -> Option<u16> {
        let slot = worker.timers.slot();
        slot.set_after(self.time);
        let idle = match self.protocol {
            Protocol::Http1 => self.endpoint.pool.take(),
            Protocol::Http2 => None,
        };
        let stream = match idle {
            Some(stream) => stream,
            None => self.connect(worker, &slot).await?,
        };
        let mut buffer = worker.bodies.take();
        let answer = self.answer(stream, &mut buffer, &slot).await;
        worker.bodies.put(buffer);
        let (status, reusable) = answer?;
        if let Some(stream) = reusable {
            self.endpoint.pool.put(stream, worker.timers.now());
        }
        Some(status)
    }

    async fn connect(&self, worker: &Worker, slot: &Slot) -> Option<Stream> {
        let opening = self.endpoint.open(self.protocol, &worker.timers, self.time);
        let mut connecting = pin!(opening);
        poll_fn(|cx| {
            slot.listen(cx);
            match connecting.as_mut().poll(cx) {
                Poll::Ready(connected) => Poll::Ready(connected.ok()),
                Poll::Pending => slot.poll().map(|()| None),
            }
        })
        .await
    }

    /// Writes the copy, reads the answer to its end, and gives the connection back where that went well.
    async fn answer(
        &self,
        mut stream: Stream,
        buffer: &mut Vec<u8>,
        slot: &Slot,
    ) -> Option<(u16, Option<Stream>)> {
        let mut written = 0;
        let mut head = ResponseHead::default();
        let mut status = None;
        let is_whole = poll_fn(|cx| {
            slot.listen(cx);
            while let Some(rest) = self.head.get(written..).filter(|rest| !rest.is_empty()) {
                match stream.poll_write(cx, rest, &[]) {
                    Poll::Ready(Ok(count)) => written += count,
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => return slot.poll().map(|()| false),
                }
            }
            match self.poll_answer(cx, &mut stream, buffer, (&mut head, &mut status)) {
                Poll::Pending => slot.poll().map(|()| false),
                ready => ready,
            }
        })
        .await;
        let (status, _) = status?;
        Some((status, (is_whole && head.keep_alive()).then_some(stream)))
    }

    /// Ready with true where the answer was read to its end and nothing is left.
    fn poll_answer(
        &self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        buffer: &mut Vec<u8>,
        (head, status): (&mut ResponseHead, &mut Option<(u16, Option<BodyReader>)>),
    ) -> Poll<bool> {
        loop {
            if status.is_none() && !buffer.is_empty() {
                match head.parse(buffer, &self.limits, self.facts) {
                    Ok(Parsed::Complete { head_len }) => {
                        buffer.drain(..head_len);
                        if !head.is_interim() {
                            *status = Some((
                                head.status(),
                                BodyReader::new(head.framing(), SHADOW_BODY_MAX).ok(),
                            ));
                        }
                        continue;
                    }
                    Ok(Parsed::Partial) => {}
                    Err(_) => return Poll::Ready(false),
                }
            }
            if let Some((_, body)) = status {
                // Longer than is worth reading: the status is known, the connection is not kept.
                let Some(body) = body else { return Poll::Ready(false) };
                match body.read(buffer, &self.limits) {
                    Ok(piece) => {
                        buffer.drain(..piece.consumed);
                        match piece.event {
                            Event::End { .. } => return Poll::Ready(buffer.is_empty()),
                            Event::Again => continue,
                            Event::More => {}
                        }
                    }
                    Err(_) => return Poll::Ready(false),
                }
            }
            if buffer.len() == buffer.capacity() {
                return Poll::Ready(false);
            }
            match stream.poll_read(cx, buffer) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
