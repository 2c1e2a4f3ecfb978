//! Asking an upstream: an endpoint, a connection, the request as the upstream gets it, and a second try where that is safe.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use super::{
    client::Client,
    endpoint::{Busy, Endpoint},
    exchange::{End, Exchange, Failed, Resend, Terms},
    fault::Fault,
    grpc,
    kit::Kit,
    listen::is_exhaustion,
    request::{Asked, with_facts},
    secure::tls_error,
    stream::Stream,
    timers::Tick,
    view::{Known, UpstreamView, View},
};
use crate::{
    config::{Protocol, Route},
    http1::{
        Framing,
        write::{self, Announce, Forwarding, RequestOut, Scheme},
    },
    resilience::{balance::NoChoice, breaker::Opened, budget::pause, moment::seconds},
    route::{Side, Stage},
};

/// Sends the request to the upstream that was decided on and its answer to the client, if the breaker lets it.
pub async fn ask(
    client: &mut Client,
    kit: &mut Kit,
    asked: &mut Asked,
    view: &Rc<View>,
) -> Result<End, Failed> {
    let fuse = view.route(asked.decision.route).fuse(asked.decision.side);
    let pass = fuse
        .enter(client.worker.timers.now())
        .map_err(|Opened(wait)| Failed::unsent(Fault::BreakerOpen(seconds(wait))))?;
    let ended = tries(client, kit, asked, view).await;
    let now = client.worker.timers.now();
    match &ended {
        Ok(End::Answered { status, grpc_status, .. }) if is_failure(*status, *grpc_status) => {
            open(fuse.failed(pass, now), asked, view);
        }
        Ok(_) => fuse.succeeded(pass, now),
        Err(failed) if failed.fault.is_upstreams() => open(fuse.failed(pass, now), asked, view),
        // Says nothing of the side.
        Err(_) => drop(pass),
    }
    ended
}

/// An answer that says that the side cannot answer. 500 is none: that is the answer of a side that lives. Nor is a deadline
/// of gRPC that has passed, which the client has set.
fn is_failure(status: u16, grpc_status: Option<u8>) -> bool {
    matches!(status, 502..=504) || grpc_status == Some(grpc::UNAVAILABLE)
}

#[cold]
fn open(opened: bool, asked: &Asked, view: &View) {
    if opened {
        tracing::warn!(
            route = &*view.snapshot.route(asked.decision.route).name,
            side = asked.decision.side.as_str(),
            "failed too often and is left alone for a while"
        );
    }
}

/// One try after the other, as long as that is safe and within what retries may cost.
async fn tries(
    client: &mut Client,
    kit: &mut Kit,
    asked: &mut Asked,
    view: &Rc<View>,
) -> Result<End, Failed> {
    let route = view.snapshot.route(asked.decision.route);
    let own = view.route(asked.decision.route);
    let upstream = view.upstream(asked.decision.upstream);
    let upstream = upstream.ok_or_else(|| Failed::unsent(Fault::NoEndpoint))?;
    let is_idempotent = kit.request.method().is_idempotent();
    let (total, is_clients) = match asked.bound {
        Some(bound) => bound,
        None => *asked.bound.insert(bound(client, kit, asked, route)),
    };
    own.budget.earn(&route.retries);
    let (mut retry, mut not, mut fresh) = (0_u8, None, false);
    loop {
        let chosen = upstream.choose(not, client.worker.timers.now());
        let (at, known) = chosen.map_err(|none| {
            Failed::unsent(match none {
                NoChoice::Nobody => Fault::NoEndpoint,
                NoChoice::AllFull => Fault::EndpointsFull,
            })
        })?;
        asked.endpoint = Some(Rc::clone(&known.endpoint));
        let again = is_idempotent && retry < route.retries.tries && own.budget.has(&route.retries);
        let begun = upstream.wants_times().then(Instant::now);
        let terms = Terms { total, is_clients, begun, again };
        let failed = match once(client, kit, asked, view, (&known.endpoint, fresh, terms)).await {
            Ok(end) => {
                match &end {
                    End::Answered { status, grpc_status, .. }
                        if is_failure(*status, *grpc_status) =>
                    {
                        blame(client, upstream, known);
                    }
                    End::Answered { .. } | End::Switched(_) => known.vitals.answered(),
                }
                return Ok(end);
            }
            Err(failed) if failed.was_stale => {
                asked.may_be_done |= failed.resend != Resend::Unsent;
                asked.tries.push((Rc::clone(&known.endpoint.label), "stale-connection"));
                // The upstream had closed a connection that was idle. A new one does not have that fault, so this ends.
                fresh = true;
                continue;
            }
            Err(failed) => failed,
        };
        asked.may_be_done |= failed.resend != Resend::Unsent;
        // As many as the route has retries, and one at the old side.
        asked.tries.push((Rc::clone(&known.endpoint.label), failed.fault.name()));
        if failed.fault.is_upstreams() {
            blame(client, upstream, known);
        }
        let is_safe = match failed.resend {
            Resend::Unsent => true,
            Resend::Sent => is_idempotent,
            Resend::Never => false,
        };
        let wanted = is_safe && is_worth_it(failed.fault, route) && retry < route.retries.tries;
        if !wanted || !own.budget.spend(&route.retries) {
            return Err(failed);
        }
        let wait = pause(&route.retries, retry.into(), upstream.dice()).max(failed.retry_after);
        paused(client, kit, wait, terms).await.map_err(Failed::unsent)?;
        if is_killed(client, asked, view) {
            return Err(failed);
        }
        own.side(asked.decision.side).retried.add(1);
        (retry, not, fresh) = (retry + 1, Some(at), false);
    }
}

/// When the whole request must be over, and whether its client has said so. The route's time begins when the request has been
/// let in: how long it may wait before that is bounded by itself.
fn bound(client: &Client, kit: &Kit, asked: &Asked, route: &Route) -> (Tick, bool) {
    let now = client.worker.timers.now();
    let total = route.timeouts.total.map_or(Tick::NEVER, |total| now.after(total));
    let deadline = grpc::deadline(kit, asked, now).filter(|deadline| *deadline < total);
    (deadline.unwrap_or(total), deadline.is_some())
}

/// Has the kill switch been thrown since it was decided that the new side is asked, so that it is asked no more?
pub fn is_killed(client: &Client, asked: &Asked, view: &View) -> bool {
    asked.decision.side == Side::New
        && view.snapshot.route(asked.decision.route).stage != Stage::Retired
        && view.snapshot.kill.is_none()
        && client.worker.view().snapshot.kill.is_some()
}

/// Could another try end better?
fn is_worth_it(fault: Fault, route: &Route) -> bool {
    match fault {
        Fault::ConnectRefused
        | Fault::ConnectFailed
        | Fault::ConnectTimeout
        | Fault::TlsProtocol
        | Fault::TlsCertificate
        | Fault::TlsAlert
        | Fault::ClosedEarly
        | Fault::StreamRefused
        | Fault::BadResponse(_)
        | Fault::CutShort
        | Fault::Busy(_) => true,
        // Without a time for one try the whole time was meant, and it is over.
        Fault::FirstByteTimeout => route.timeouts.per_try.is_some(),
        _ => false,
    }
}

#[cold]
fn blame(client: &Client, upstream: &UpstreamView, known: &Known) {
    if upstream.failed(&known.vitals, client.worker.timers.now()) {
        tracing::warn!(
            endpoint = &*known.endpoint.label,
            "an endpoint failed too often and gets no requests for a while"
        );
        client.worker.ejected();
    }
}

/// Waits before the next try, while the client is there.
async fn paused(
    client: &mut Client,
    kit: &mut Kit,
    wait: Duration,
    terms: Terms,
) -> Result<(), Fault> {
    let until = client.worker.timers.now().after(wait);
    client.slot.set(until.min(terms.total));
    poll_fn(|cx| {
        client.poll_watch(cx, &mut kit.input)?;
        match client.slot.passed() {
            false if client.has_ended => Poll::Ready(Err(Fault::ClientGone)),
            false => Poll::Pending,
            true if until > terms.total => Poll::Ready(Err(terms.late())),
            true => Poll::Ready(Ok(())),
        }
    })
    .await
}

/// One try at one endpoint.
async fn once(
    client: &mut Client,
    kit: &mut Kit,
    asked: &Asked,
    view: &Rc<View>,
    (endpoint, fresh, terms): (&Rc<Endpoint>, bool, Terms),
) -> Result<End, Failed> {
    let busy = Busy::at(endpoint);
    let connected = connection(client, kit, (endpoint, fresh, terms), (view, asked)).await;
    let (stream, reused) = connected.map_err(|fault| {
        if let Some(begun) = terms.begun.filter(|_| fault.is_upstreams()) {
            endpoint.load.failed(begun.elapsed(), client.worker.timers.now());
        }
        Failed::unsent(fault)
    })?;
    let framing = kit.request.framing();
    kit.to_client.clear();
    // A try before this one may have left half a head behind.
    kit.response.clear();
    write_head(client, kit, asked, view, framing);
    let made = Exchange::new((stream, busy, reused), kit, view, asked, (framing, terms));
    let mut exchange = made.map_err(|cause| Failed::unsent(Fault::Refused(cause)))?;
    match poll_fn(|cx| exchange.poll(cx, client, kit, asked)).await {
        Ok(()) => Ok(exchange.finish(client)),
        Err(fault) => Err(exchange.fail(client, kit, fault)),
    }
}

/// An idle connection, or a new one; and whether it is an idle one.
async fn connection(
    client: &mut Client,
    kit: &mut Kit,
    (endpoint, fresh, terms): (&Endpoint, bool, Terms),
    (view, asked): (&View, &Asked),
) -> Result<(Stream, bool), Fault> {
    let protocol = view.snapshot.upstream(asked.decision.upstream).protocol;
    if protocol == Protocol::Http1
        && !fresh
        && let Some(stream) = endpoint.pool.take()
    {
        return Ok((stream, true));
    }
    let timeouts = &view.snapshot.route(asked.decision.route).timeouts;
    let longest = timeouts.per_try.map_or(timeouts.connect, |one| one.min(timeouts.connect));
    let until = client.worker.timers.now().after(longest);
    client.slot.set(until.min(terms.total));
    let timers = Rc::clone(&client.worker.timers);
    // Only the stale one of HTTP/1.1 is replaced by a new one; HTTP/2 knows itself which of its connections are going.
    let reused = protocol == Protocol::Http2 && !fresh;
    let mut connecting = pin!(endpoint.open(protocol, &timers, longest));
    let stream = poll_fn(|cx| {
        if let Poll::Ready(connected) = connecting.as_mut().poll(cx) {
            return Poll::Ready(connected.map_err(|error| {
                let fault = connect_fault(&error);
                if tls_error(&error).is_some() {
                    told(&error, endpoint);
                }
                if fault == Fault::NoDescriptor {
                    // What lies idle is worth less than a request.
                    client.worker.endpoints.each(|endpoint| {
                        endpoint.pool.clear();
                        endpoint.shared.clear();
                    });
                }
                fault
            }));
        }
        client.poll_watch(cx, &mut kit.input)?;
        if client.slot.passed() {
            let fault = if until > terms.total { terms.late() } else { Fault::ConnectTimeout };
            return Poll::Ready(Err(fault));
        }
        Poll::Pending
    })
    .await?;
    Ok((stream, reused))
}

/// The fault says what kind of thing is wrong, and goes to the client; the log gets the rest.
#[cold]
fn told(error: &io::Error, endpoint: &Endpoint) {
    tracing::warn!(endpoint = &*endpoint.label, %error, "no TLS with an upstream");
}

fn connect_fault(error: &io::Error) -> Fault {
    if let Some(error) = tls_error(error) {
        return tls_fault(error);
    }
    match error.kind() {
        io::ErrorKind::InvalidData => Fault::TlsProtocol,
        _ if is_exhaustion(error) => Fault::NoDescriptor,
        io::ErrorKind::QuotaExceeded => Fault::EndpointsFull,
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Fault::ConnectRefused,
        io::ErrorKind::TimedOut => Fault::ConnectTimeout,
        _ => Fault::ConnectFailed,
    }
}

/// As RFC 9209, section 2.3, tells them apart.
pub fn tls_fault(error: &rustls::Error) -> Fault {
    match error {
        rustls::Error::AlertReceived(_) => Fault::TlsAlert,
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Fault::TlsCertificate
        }
        _ => Fault::TlsProtocol,
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
        // What the parameters bring along must not make another host of it: `//host/path` is one for some upstreams.
        let slashes = rewritten.iter().take_while(|byte| **byte == b'/').count();
        rewritten.drain(..slashes.saturating_sub(1));
    }
    let trusted = client.peer.is_some_and(|peer| snapshot.client.trusts(peer));
    let forwarding = Forwarding {
        client: client.peer_text.as_bytes(),
        scheme: if client.secured.is_some() { Scheme::Https } else { Scheme::Http },
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
    let own;
    if out.host.is_empty() {
        // HTTP/1.0 may leave it out, HTTP/1.1 may not, and many upstreams refuse an empty one.
        own = asked.endpoint.as_ref().map(|endpoint| endpoint.address.authority());
        out.host = own.as_deref().unwrap_or_default().as_bytes();
    }
    out.framing = framing;
    out.over_http2 = client.stream.is_http2();
    out.trailers = kit.request.accepts_trailers(&kit.input);
    out.traceparent = asked.trace.is_made().then(|| asked.trace.field());
    out.edits = &route.request_headers.edits;
    out.keep_underscores = view.route(asked.decision.route).keeps_underscores();
    kit.to_upstream.clear();
    write::request(&mut kit.to_upstream, &kit.request, &kit.input, &out);
    // A trusted proxy tells of its own client; what it has shown itself is nobody's business behind this one.
    if let Some(peer) = client.secured.as_ref().and_then(|secured| secured.peer.as_ref())
        && !trusted
    {
        peer.tell(&mut kit.to_upstream);
    }
}
