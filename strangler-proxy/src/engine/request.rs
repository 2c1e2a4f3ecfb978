//! One request from its head to the end of its answer: decide, wait at the gate, ask a side, tell what happened.

use std::{
    future::poll_fn,
    net::IpAddr,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use super::{
    answer::{self, About},
    client::Client,
    endpoint::Endpoint,
    exchange::{End, Exchange, Failed},
    fault::Fault,
    forward,
    gate::{Inside, Room},
    kit::Kit,
    shadow::{self, Pair},
    tunnel,
    view::View,
};
use crate::{
    config::Route,
    http1::{Known, Method, RequestHead},
    route::{Act, Decision, Facts, Headers, Side, decide},
    seen::{Entry, SideCells, Trace},
};

/// What becomes of the connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another request may follow.
    Again,
    /// Nothing more is there; it is idle.
    Idle,
    /// The last answer is written.
    Close,
    /// An answer was cut short, and the client must see that.
    Abort,
    /// It is over already.
    Gone,
}

/// What is known of a request while it is under way.
pub struct Asked {
    /// Its trace.
    pub trace: Trace,
    /// When its head was whole.
    pub started: Instant,
    /// What was decided.
    pub decision: Decision,
    /// The client after the trust list.
    pub client: Option<IpAddr>,
    /// How long its head is.
    pub head_len: usize,
    /// The endpoint that was asked last.
    pub endpoint: Option<Rc<Endpoint>>,
    /// Its shadow, where it has one.
    pub pair: Option<Rc<Pair>>,
}

/// How a request came out.
pub struct Outcome {
    status: u16,
    fault: Option<Fault>,
    next: Next,
    /// Where in the input the request ended.
    consumed: usize,
    /// The connection speaks another protocol from here on.
    switched: Option<Box<Exchange>>,
}

impl Outcome {
    fn new(status: u16, fault: Option<Fault>, next: Next, consumed: usize) -> Self {
        Self { status, fault, next, consumed, switched: None }
    }
}

/// Serves the request whose head is the first `head_len` bytes of the input.
pub async fn serve(client: &mut Client, kit: &mut Box<Kit>, head_len: usize) -> Next {
    let started = Instant::now();
    client.worker.timers.seen(started);
    let (asked, view, outcome) = match admit(client, kit, head_len, started).await {
        Ok((mut asked, view, inside)) => {
            let outcome = side(client, kit, &mut asked, &view).await;
            drop(inside);
            (asked, view, outcome)
        }
        Err((asked, view, fault)) => {
            let outcome = own_answer(client, kit, &asked, &view, fault).await;
            (asked, view, outcome)
        }
    };
    tell(client, kit, &asked, &view, &outcome);
    if let Some(pair) = &asked.pair {
        pair.live(outcome.status);
    }
    if let Some(exchange) = outcome.switched {
        let idle = exchange.idle_time(&asked);
        if let Err(fault) = tunnel::run(client, exchange, kit, idle).await {
            tracing::debug!(
                cause = fault.name(),
                trace = asked.trace.id(),
                "an upgraded connection ended"
            );
        }
        return Next::Gone;
    }
    // What stands behind the request is the next one's.
    kit.input.drain(..outcome.consumed.min(kit.input.len()));
    outcome.next
}

type Admitted = (Asked, Rc<View>, Inside);

/// Decides, and waits at the route's gate where that is closed. After a wait everything is decided anew: what was waited
/// for is a change.
async fn admit(
    client: &mut Client,
    kit: &mut Kit,
    head_len: usize,
    started: Instant,
) -> Result<Admitted, (Asked, Rc<View>, Fault)> {
    let mut deadline = None;
    let traceparent = kit.request.value(&kit.input, Known::Traceparent);
    let trace = Trace::of(traceparent, &client.worker.ids);
    loop {
        let view = client.worker.view();
        let source = source(client, kit, &view);
        let decision = decided(kit, &view, source);
        let asked = Asked {
            trace,
            started,
            decision,
            client: source,
            head_len,
            endpoint: None,
            pair: None,
        };
        if let Err(fault) = allowed(kit, &view, decision) {
            return Err((asked, view, fault));
        }
        let route = view.route(decision.route);
        if let Some(inside) = route.gate.enter() {
            return Ok((asked, view, inside));
        }
        let parking = view.snapshot.route(decision.route).parking;
        if deadline.is_none() {
            route.cells.parked.add(1);
            deadline = Some(client.worker.timers.now().after(parking.time));
        }
        let room = Room {
            requests: usize::try_from(parking.requests).unwrap_or(usize::MAX),
            bytes: usize::try_from(parking.bytes).unwrap_or(usize::MAX),
        };
        let Ok(waiting) = route.gate.wait(kit.input.len(), room) else {
            return Err((asked, view, Fault::ParkFull));
        };
        let until = deadline.unwrap_or_default();
        client.slot.set(until);
        let waited = poll_fn(|cx| {
            if let Err(gone) = client.poll_watch(cx, &mut kit.input) {
                return Poll::Ready(Err(gone));
            }
            if waiting.called(cx.waker()) {
                return Poll::Ready(Ok(()));
            }
            if client.has_ended {
                return Poll::Ready(Err(Fault::ClientGone));
            }
            if client.worker.timers.now() >= until {
                return Poll::Ready(Err(Fault::ParkTimeout));
            }
            if client.worker.draining.get() {
                return Poll::Ready(Err(Fault::Draining));
            }
            Poll::Pending
        })
        .await;
        if let Err(fault) = waited {
            return Err((asked, view, fault));
        }
    }
}

struct Named<'a>(&'a RequestHead, &'a [u8]);

impl Headers for Named<'_> {
    fn each<'a>(&'a self, name: &str, see: &mut dyn FnMut(&'a [u8])) {
        for field in self.0.fields().list() {
            if field.name.of(self.1).eq_ignore_ascii_case(name.as_bytes()) {
                see(field.value.of(self.1));
            }
        }
    }
}

/// What the decision may look at.
pub fn with_facts<T>(
    kit: &Kit,
    client: Option<IpAddr>,
    use_them: impl FnOnce(&Facts<'_>) -> T,
) -> T {
    let (head, input) = (&kit.request, kit.input.as_slice());
    let headers = Named(head, input);
    use_them(&Facts {
        method: head.method_text(input),
        host: head.authority(input),
        path: head.path(input),
        query: head.query(input).unwrap_or_default(),
        client,
        headers: &headers,
    })
}

fn decided(kit: &Kit, view: &View, client: Option<IpAddr>) -> Decision {
    with_facts(kit, client, |facts| decide(facts, &view.snapshot, view))
}

/// What the head alone could not show: loops, and what this route does not forgive.
fn allowed(kit: &Kit, view: &View, decision: Decision) -> Result<(), Fault> {
    let refused = |refusal: crate::http1::Refusal| Fault::Refused(refusal.cause);
    let pseudonym = view.snapshot.client.pseudonym.as_bytes();
    kit.request.check_loop(&kit.input, pseudonym).map_err(refused)?;
    view.route(decision.route).leniency.check(kit.request.forgiven()).map_err(refused)
}

/// The address of the client: that of the peer, or what a trusted proxy says of its own peer, back to the first that is
/// not trusted.
fn source(client: &Client, kit: &Kit, view: &View) -> Option<IpAddr> {
    let peer = client.peer?;
    let trust = &view.snapshot.client;
    if trust.trusted.is_empty() || !trust.trusts(peer) {
        return Some(peer);
    }
    let mut source = peer;
    let fields = kit.request.fields().values(&kit.input, b"x-forwarded-for");
    let lines: Vec<&[u8]> = fields.collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    for hop in hops {
        let text = std::str::from_utf8(hop.trim_ascii()).unwrap_or_default();
        let Ok(address) = text.parse::<IpAddr>() else { break };
        source = address.to_canonical();
        if !trust.trusts(source) {
            break;
        }
    }
    Some(source)
}

/// Asks the side that was decided on, or answers in its place.
async fn side(client: &mut Client, kit: &mut Kit, asked: &mut Asked, view: &Rc<View>) -> Outcome {
    if asked.decision.act == Act::Redirect {
        return redirect(client, kit, asked, view).await;
    }
    if kit.request.max_forwards() == Some(0) {
        return last_hop(client, kit, asked, view).await;
    }
    if let Some(upstream) = asked.decision.shadow {
        asked.pair = shadow::send(client, kit, asked, view, upstream);
    }
    match forward::ask(client, kit, asked, view).await {
        Ok(End::Answered { status, keep_alive, input_end }) => {
            let next = if keep_alive { Next::Again } else { Next::Close };
            Outcome::new(status, None, next, input_end)
        }
        Ok(End::Switched(exchange)) => {
            Outcome { switched: Some(exchange), ..Outcome::new(101, None, Next::Gone, 0) }
        }
        Err(Failed { fault, begun: Some(status), .. }) => {
            Outcome::new(status, Some(fault), Next::Abort, 0)
        }
        Err(Failed { fault, begun: None, .. }) => own_answer(client, kit, asked, view, fault).await,
    }
}

/// The proxy's own answer to a request that is not forwarded, or was in vain.
async fn own_answer(
    client: &mut Client,
    kit: &mut Kit,
    asked: &Asked,
    view: &View,
    fault: Fault,
) -> Outcome {
    let status = fault.status();
    if fault == Fault::ClientGone {
        return Outcome::new(status, Some(fault), Next::Gone, 0);
    }
    let is_refused = matches!(fault, Fault::Refused(_));
    // With its body unread nobody knows where the next request begins.
    let keeps = !is_refused
        && kit.request.keep_alive()
        && !kit.request.has_body()
        && !client.worker.draining.get();
    let about = about(kit, asked, view, !keeps);
    kit.to_client.clear();
    answer::problem(&mut kit.to_client, fault, about);
    let next = send(client, kit, keeps).await;
    Outcome::new(status, Some(fault), next, asked.head_len)
}

fn about<'a>(kit: &Kit, asked: &'a Asked, view: &'a View, closes: bool) -> About<'a> {
    About {
        pseudonym: &view.snapshot.client.pseudonym,
        trace: asked.trace.id(),
        is_head: kit.request.method() == Method::Head,
        closes,
    }
}

async fn redirect(client: &mut Client, kit: &mut Kit, asked: &Asked, view: &View) -> Outcome {
    let route = view.snapshot.route(asked.decision.route);
    let Some(redirect) = &route.redirect else {
        return own_answer(client, kit, asked, view, Fault::NoEndpoint).await;
    };
    let keeps = kit.request.keep_alive() && !kit.request.has_body();
    let mut to = Vec::new();
    with_facts(kit, asked.client, |facts| redirect.to.fill(facts, route.paths(), &mut to));
    kit.to_client.clear();
    let about = about(kit, asked, view, !keeps);
    answer::redirect(&mut kit.to_client, redirect.status, &to, about);
    let next = send(client, kit, keeps).await;
    Outcome::new(redirect.status, None, next, asked.head_len)
}

/// `OPTIONS` that may not be forwarded any more is answered here (RFC 9110, section 7.6.2).
async fn last_hop(client: &mut Client, kit: &mut Kit, asked: &Asked, view: &View) -> Outcome {
    let keeps = kit.request.keep_alive() && !kit.request.has_body();
    kit.to_client.clear();
    let about = about(kit, asked, view, !keeps);
    answer::options(&mut kit.to_client, about);
    let next = send(client, kit, keeps).await;
    Outcome::new(204, None, next, asked.head_len)
}

async fn send(client: &mut Client, kit: &mut Kit, keeps: bool) -> Next {
    if client.write(&kit.to_client).await.is_err() {
        return Next::Gone;
    }
    kit.to_client.clear();
    if keeps { Next::Again } else { Next::Close }
}

/// Counts and logs.
fn tell(client: &Client, kit: &Kit, asked: &Asked, view: &View, outcome: &Outcome) {
    let took = asked.started.elapsed();
    let decision = &asked.decision;
    let cells = &view.route(decision.route).cells;
    let route = view.snapshot.route(decision.route);
    let side: &SideCells = match decision.side {
        Side::Old => &cells.from,
        Side::New => &cells.to,
    };
    match outcome.fault {
        None => side.answered(outcome.status, took),
        Some(fault) if fault.is_upstreams() => {
            side.answered(outcome.status, took);
            side.failed.add(1);
            if outcome.next == Next::Abort {
                side.broken.add(1);
            }
            warn(asked, route, outcome.status, fault);
        }
        Some(fault) => {
            cells.refused.add(1);
            tracing::debug!(
                cause = fault.name(),
                route = &*route.name,
                trace = asked.trace.id(),
                "not forwarded"
            );
        }
    }
    if view.snapshot.access_log {
        log(client, kit, asked, route, (outcome, took));
    }
}

#[cold]
fn warn(asked: &Asked, route: &Route, status: u16, fault: Fault) {
    let endpoint = asked.endpoint.as_ref().map_or("", |endpoint| &endpoint.label);
    tracing::warn!(
        cause = fault.name(),
        route = &*route.name,
        side = asked.decision.side.as_str(),
        endpoint,
        status,
        trace = asked.trace.id(),
        "a request failed"
    );
}

fn log(
    client: &Client,
    kit: &Kit,
    asked: &Asked,
    route: &Route,
    (outcome, took): (&Outcome, Duration),
) {
    client.worker.log.add(&Entry {
        trace: asked.trace.id(),
        client: asked.client,
        method: kit.request.method_text(&kit.input),
        host: kit.request.authority(&kit.input),
        target: kit.request.path(&kit.input),
        status: outcome.status,
        route: &route.name,
        side: asked.decision.side.as_str(),
        why: asked.decision.why.as_str(),
        endpoint: asked.endpoint.as_ref().map_or("", |endpoint| &endpoint.label),
        took,
        cause: outcome.fault.map_or("", Fault::name),
    });
}
