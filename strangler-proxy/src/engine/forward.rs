//! Asking an upstream: an endpoint, a connection, the request as the upstream gets it, and a second try where that is safe.

use std::{future::poll_fn, io, pin::pin, rc::Rc, task::Poll};

use super::{
    client::Client,
    endpoint::Endpoint,
    exchange::{End, Exchange, Failed},
    fault::Fault,
    kit::Kit,
    listen::is_exhaustion,
    request::{Asked, with_facts},
    stream::Stream,
    timers::Tick,
    view::View,
};
use crate::{
    http1::{
        Framing,
        write::{self, Announce, Forwarding, RequestOut, Scheme},
    },
    route::Side,
};

/// Sends the request to the upstream that was decided on and its answer to the client.
pub async fn ask(
    client: &mut Client,
    kit: &mut Kit,
    asked: &mut Asked,
    view: &Rc<View>,
) -> Result<End, Failed> {
    let plain = |fault| Failed { fault, begun: None, repeatable: false };
    let timeouts = view.snapshot.route(asked.decision.route).timeouts;
    let now = client.worker.timers.now();
    let total = timeouts.total.map_or(Tick::NEVER, |total| now.after(total));
    let upstream = view.upstream(asked.decision.upstream).ok_or(plain(Fault::NoEndpoint))?;
    let mut tries_left = 1 + view.snapshot.route(asked.decision.route).retries.tries;
    let mut fresh = false;
    loop {
        tries_left = tries_left.saturating_sub(1);
        let endpoint = Rc::clone(upstream.choose().ok_or(plain(Fault::NoEndpoint))?);
        asked.endpoint = Some(Rc::clone(&endpoint));
        let (stream, reused) = match connection(client, kit, &endpoint, fresh, (view, asked)).await
        {
            Ok(found) => found,
            // Nothing was sent, so another endpoint may have it, whatever it is.
            Err(fault) if tries_left > 0 && upstream.len() > 1 && fault.is_upstreams() => continue,
            Err(fault) => return Err(plain(fault)),
        };
        let framing = kit.request.framing();
        kit.to_client.clear();
        write_head(client, kit, asked, view, framing);
        let connection = (stream, endpoint, reused);
        let made = Exchange::new(connection, kit, view, asked, framing);
        let mut exchange = made.map_err(|cause| plain(Fault::Refused(cause)))?.until(total);
        let _busy = Busy::new(&exchange.endpoint);
        let ended = poll_fn(|cx| exchange.poll(cx, client, kit, asked)).await;
        match ended {
            Ok(()) => return Ok(exchange.finish(client)),
            Err(fault) => {
                let failed = exchange.fail(client, kit, fault);
                if !failed.repeatable {
                    return Err(failed);
                }
                // The upstream had closed a connection that was idle. A new one does not have that fault, so this ends.
                fresh = true;
            }
        }
    }
}

/// Counts a request under way at its endpoint.
struct Busy(Rc<Endpoint>);

impl Busy {
    fn new(endpoint: &Rc<Endpoint>) -> Self {
        endpoint.busy.set(endpoint.busy.get() + 1);
        Self(Rc::clone(endpoint))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get().saturating_sub(1));
    }
}

/// An idle connection, or a new one; and whether it is an idle one.
async fn connection(
    client: &mut Client,
    kit: &mut Kit,
    endpoint: &Rc<Endpoint>,
    fresh: bool,
    (view, asked): (&View, &Asked),
) -> Result<(Stream, bool), Fault> {
    if !fresh && let Some(stream) = endpoint.pool.take() {
        // A request that must not be done twice gets no second try, so here it is worth asking the system whether the
        // connection still stands.
        if kit.request.method().is_idempotent() || stream.is_open() {
            return Ok((stream, true));
        }
    }
    let timeouts = &view.snapshot.route(asked.decision.route).timeouts;
    client.slot.set_after(timeouts.connect);
    let mut connecting = pin!(endpoint.connect());
    let stream = poll_fn(|cx| {
        if let Poll::Ready(connected) = connecting.as_mut().poll(cx) {
            return Poll::Ready(connected.map_err(|error| {
                let fault = connect_fault(&error);
                if fault == Fault::NoDescriptor {
                    // What lies idle is worth less than a request.
                    client.worker.endpoints.each(|endpoint| endpoint.pool.clear());
                }
                fault
            }));
        }
        client.poll_watch(cx, &mut kit.input)?;
        if client.slot.passed() {
            return Poll::Ready(Err(Fault::ConnectTimeout));
        }
        Poll::Pending
    })
    .await?;
    Ok((stream, false))
}

fn connect_fault(error: &io::Error) -> Fault {
    match error.kind() {
        _ if is_exhaustion(error) => Fault::NoDescriptor,
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Fault::ConnectRefused,
        io::ErrorKind::TimedOut => Fault::ConnectTimeout,
        _ => Fault::ConnectFailed,
    }
}

/// Stages the head as the upstream gets it.
pub fn write_head(client: &Client, kit: &mut Kit, asked: &Asked, view: &View, framing: Framing) {
    let snapshot = &view.snapshot;
    let route = snapshot.route(asked.decision.route);
    let upstream = snapshot.upstream(asked.decision.upstream);
    let mut rewritten = Vec::new();
    let is_new = asked.decision.side == Side::New;
    if let Some(path) = route.rewrite.path.as_ref().filter(|_| is_new) {
        with_facts(kit, asked.client, |facts| path.fill(facts, route.paths(), &mut rewritten));
    }
    let trusted = client.peer.is_some_and(|peer| snapshot.client.trusts(peer));
    let forwarding = Forwarding {
        client: client.peer_text.as_bytes(),
        scheme: Scheme::Http,
        trusted,
        announce: Announce::XForwarded,
    };
    let pseudonym = snapshot.client.pseudonym.as_bytes();
    let mut out = RequestOut::of(&kit.request, &kit.input, pseudonym, forwarding);
    if !rewritten.is_empty() {
        out.path = &rewritten;
    }
    if let Some(host) = &upstream.host {
        out.host = host.as_bytes();
    }
    if let Some(host) = route.rewrite.host.as_ref().filter(|_| is_new) {
        out.host = host.as_bytes();
    }
    out.framing = framing;
    out.trailers = kit.request.accepts_trailers(&kit.input);
    out.traceparent = asked.trace.is_made().then(|| asked.trace.field());
    out.edits = &route.request_headers.edits;
    out.keep_underscores = view.route(asked.decision.route).keeps_underscores();
    kit.to_upstream.clear();
    write::request(&mut kit.to_upstream, &kit.request, &kit.input, &out);
}
