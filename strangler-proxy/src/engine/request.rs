//! One request from its head to the end of its answer: decide, wait at the gate, ask a side, tell what happened.

use std::{
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    admit::admit,
    answer::{self, About},
    client::Client,
    endpoint::Endpoint,
    exchange::{End, Exchange, Failed, Resend},
    fault::Fault,
    forward,
    kit::Kit,
    shadow::{self, Pair},
    timers::Tick,
    tunnel,
    view::{UpstreamView, View},
};
use crate::{
    config::{Answer, Fallback, Route, Snapshot},
    http1::{Method, RequestHead},
    route::{Act, Decision, Facts, Headers, Side, Why, decide::falls_back, pattern::bare_host},
    seen::{Entry, Happened, Trace},
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
    /// It speaks HTTP/2 from its first byte on.
    Http2,
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
    /// When it must be over, and whether its client has said so; known once a side is asked. It holds for all tries and for
    /// the side that stands in.
    pub bound: Option<(Tick, bool)>,
    /// How long its head is.
    pub head_len: usize,
    /// Has a side got some of it and may have done it? Then whether the last try was sent does not matter any more.
    pub may_be_done: bool,
    /// The endpoint that was asked last.
    pub endpoint: Option<Rc<Endpoint>>,
    /// The tries that failed: the endpoint and why.
    pub tries: Vec<(Rc<str>, &'static str)>,
    /// How long it waited at its gate and for a place.
    pub waited: Duration,
    /// Is it a gRPC call? Those have their own way to be told of errors, and their own times.
    pub is_grpc: bool,
    /// Its shadow, where it has one.
    pub pair: Option<Rc<Pair>>,
}

impl Asked {
    /// Is it a replica that is asked, in the old side's place?
    pub fn reads_ahead(&self, snapshot: &Snapshot) -> bool {
        self.decision.side == Side::New && snapshot.route(self.decision.route).replica.is_some()
    }
}

/// Its client may have changed something by it: where reads are moved, replicas that may not hold it yet are not for this
/// client.
pub fn may_have_written(kit: &Kit, asked: &Asked, snapshot: &Snapshot) {
    if !kit.request.method().is_safe() && snapshot.writers.is_watched() {
        wrote(kit, asked, snapshot);
    }
}

#[cold]
fn wrote(kit: &Kit, asked: &Asked, snapshot: &Snapshot) {
    with_facts(kit, asked.client, |facts| {
        snapshot.writers.wrote(facts, &snapshot.identities, Instant::now());
    });
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
    // Taken apart first: what a `match` waits within lies there twice while it waits.
    let (mut asked, view, admitted) = match admit(client, kit, head_len, started).await {
        Ok((asked, view, admission)) => (asked, view, Ok(admission)),
        Err((asked, view, fault)) => (asked, view, Err(fault)),
    };
    let outcome = match admitted {
        Ok(admission) => {
            let outcome = side(client, kit, &mut asked, &view).await;
            drop(admission);
            outcome
        }
        Err(fault) => match client.https_redirect.filter(|_| fault == Fault::NotTls) {
            Some(port) => to_https(client, kit, &asked, &view, port).await,
            None => own_answer(client, kit, &asked, &view, fault).await,
        },
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
    let ended = asked_or_fallen_back(client, kit, asked, view).await;
    if ended.is_err() {
        // It may have been done all the same.
        may_have_written(kit, asked, &view.snapshot);
    }
    match ended {
        Ok(End::Answered { status, keep_alive, input_end, .. }) => {
            let next = if keep_alive { Next::Again } else { Next::Close };
            Outcome::new(status, None, next, input_end)
        }
        Ok(End::Switched(exchange)) => {
            Outcome { switched: Some(exchange), ..Outcome::new(101, None, Next::Gone, 0) }
        }
        Err(Failed { fault, begun: Some(status), .. }) => {
            Outcome::new(status, Some(fault), Next::Abort, 0)
        }
        Err(Failed { fault, begun: None, .. }) => {
            let route = view.snapshot.route(asked.decision.route);
            match &route.fallback {
                Fallback::Answer(answer)
                    if asked.decision.side == Side::New && fault.is_side_down() =>
                {
                    fixed_answer(client, kit, asked, view, (answer, fault)).await
                }
                _ => own_answer(client, kit, asked, view, fault).await,
            }
        }
    }
}

/// Asks the side that was decided on, and the old one where the new one is down and the request may be sent there: it
/// certainly has not been sent, or it changes nothing.
async fn asked_or_fallen_back(
    client: &mut Client,
    kit: &mut Kit,
    asked: &mut Asked,
    view: &Rc<View>,
) -> Result<End, Failed> {
    let route = view.snapshot.route(asked.decision.route);
    let is_new = asked.decision.side == Side::New;
    if is_new && matches!(route.fallback, Fallback::Answer(_)) && is_down(view, asked) {
        return Err(Failed::unsent(Fault::NoEndpoint));
    }
    let failed = match forward::ask(client, kit, asked, view).await {
        Err(failed) if is_new && failed.fault.is_side_down() => failed,
        ended => return ended,
    };
    let is_safe = match failed.resend {
        Resend::Unsent => !asked.may_be_done || kit.request.method().is_safe(),
        Resend::Sent => kit.request.method().is_safe(),
        Resend::Never => false,
    };
    let killed = forward::is_killed(client, asked, view);
    let has_time = asked.bound.is_none_or(|(until, _)| client.worker.timers.now() < until);
    if !is_safe || failed.begun.is_some() || !has_time || !(falls_back(route) || killed) {
        return Err(failed);
    }
    view.route(asked.decision.route).cells.to.failed.add(1);
    tracing::debug!(
        cause = failed.fault.name(),
        route = &*route.name,
        trace = asked.trace.id(),
        "the old side is asked instead"
    );
    (asked.decision.side, asked.decision.upstream) = (Side::Old, route.from);
    asked.decision.why = if killed { Why::Killed } else { Why::FallenBack };
    forward::ask(client, kit, asked, view).await
}

/// Has no endpoint of the side that was decided on been in use?
fn is_down(view: &View, asked: &Asked) -> bool {
    !view.upstream(asked.decision.upstream).is_some_and(UpstreamView::is_usable)
}

/// The answer that the route has for the time while its new side is down.
async fn fixed_answer(
    client: &mut Client,
    kit: &mut Kit,
    asked: &Asked,
    view: &View,
    (answer, fault): (&Answer, Fault),
) -> Outcome {
    view.route(asked.decision.route).cells.fallbacks.add(1);
    let keeps = may_keep(client, kit);
    kit.to_client.clear();
    let about = about(kit, asked, view, !keeps);
    answer::fixed(&mut kit.to_client, answer, about);
    let next = send(client, kit, keeps).await;
    Outcome::new(answer.status, Some(fault), next, asked.head_len)
}

/// May the connection go on after an answer of the proxy's own? With its body unread nobody knows where the next request
/// begins.
fn may_keep(client: &Client, kit: &Kit) -> bool {
    kit.request.keep_alive() && !kit.request.has_body() && !client.worker.draining.get()
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
    if matches!(fault, Fault::ClientGone | Fault::SlowReader) {
        return Outcome::new(status, Some(fault), Next::Gone, 0);
    }
    // Where there is too much to do a connection less is a relief.
    let ends = matches!(fault, Fault::Refused(_) | Fault::Shed);
    let keeps = !ends && may_keep(client, kit);
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
        is_grpc: asked.is_grpc,
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

/// Sends a client that came in the clear to the same place over TLS. 308, so that what it does stays what it does; a client
/// that does not say where it wants to go cannot be sent there.
async fn to_https(
    client: &mut Client,
    kit: &mut Kit,
    asked: &Asked,
    view: &View,
    port: u16,
) -> Outcome {
    let host = bare_host(kit.request.authority(&kit.input));
    if host.is_empty() {
        return own_answer(client, kit, asked, view, Fault::NotTls).await;
    }
    let mut to = b"https://".to_vec();
    to.extend_from_slice(host);
    if port != HTTPS_PORT {
        to.extend_from_slice(format!(":{port}").as_bytes());
    }
    to.extend_from_slice(kit.request.path(&kit.input));
    if let Some(query) = kit.request.query(&kit.input) {
        to.push(b'?');
        to.extend_from_slice(query);
    }
    let keeps = may_keep(client, kit);
    kit.to_client.clear();
    let about = about(kit, asked, view, !keeps);
    answer::redirect(&mut kit.to_client, 308, &to, about);
    let next = send(client, kit, keeps).await;
    Outcome::new(308, None, next, asked.head_len)
}

/// Not written in a URL.
const HTTPS_PORT: u16 = 443;

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
    let side = view.route(decision.route).side(decision.side);
    if decision.why == Why::FallenBack {
        cells.fallbacks.add(1);
    }
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
            match fault {
                Fault::RateLimited(_) => cells.limited.add(1),
                Fault::QueueFull | Fault::QueueTimeout => cells.crowded.add(1),
                Fault::Shed => cells.shed.add(1),
                _ => {}
            }
            tracing::debug!(
                cause = fault.name(),
                route = &*route.name,
                trace = asked.trace.id(),
                "not forwarded"
            );
        }
    }
    remember(client, kit, asked, view, (outcome, took));
    if view.snapshot.access_log {
        log(client, kit, asked, route, (outcome, took));
    }
}

/// For whoever comes with the trace id.
fn remember(
    client: &Client,
    kit: &Kit,
    asked: &Asked,
    view: &View,
    (outcome, took): (&Outcome, Duration),
) {
    client.worker.recent.add(&Happened {
        trace: asked.trace.id(),
        started: asked.started,
        took,
        waited: asked.waited,
        client: asked.client,
        method: kit.request.method_text(&kit.input),
        host: kit.request.authority(&kit.input),
        path: kit.request.path(&kit.input),
        decided: Some((view.then(asked.decision.route), &asked.decision)),
        endpoint: asked.endpoint.as_ref().map(|endpoint| &endpoint.label),
        tries: &asked.tries,
        status: outcome.status,
        cause: outcome.fault.map(|fault| (fault.name(), fault.sentence())),
    });
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
