//! Who is let in: the decision, and everything that can turn a request away or make it wait before a side is asked.

use std::{
    future::poll_fn,
    net::IpAddr,
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use super::{
    client::Client,
    fault::Fault,
    gate::{Inside, Room},
    kit::Kit,
    request::{Asked, with_facts},
    timers::Tick,
    view::View,
};
use crate::{
    config::{Parking, RateKey},
    http1::Known,
    resilience::{
        bulkhead::{Entry, Place},
        moment::seconds,
        rate::{Limiter, TooEarly},
    },
    route::{Decision, KeySource, decide},
};

/// A request that was let in. It is out when this is dropped.
pub struct Admission {
    _inside: Inside,
    _place: Option<Place>,
}

type Admitted = (Asked, Rc<View>, Admission);
type Refused = (Asked, Rc<View>, Fault);

/// Decides, and waits at the route's gate where that is closed. After a wait everything is decided anew: what was waited
/// for is a change.
pub async fn admit(
    client: &mut Client,
    kit: &mut Kit,
    head_len: usize,
    started: Instant,
) -> Result<Admitted, Refused> {
    let mut deadline = None;
    let traceparent = kit.request.value(&kit.input, Known::Traceparent);
    let trace = crate::seen::Trace::of(traceparent, &client.worker.ids);
    loop {
        let view = client.worker.view();
        let source = source(client, kit, &view);
        let decision = decided(kit, &view, source);
        let mut asked = Asked {
            trace,
            started,
            decision,
            client: source,
            bound: None,
            head_len,
            may_be_done: false,
            endpoint: None,
            tries: Vec::new(),
            waited: Duration::ZERO,
            is_grpc: client.stream.is_call(),
            pair: None,
        };
        // Once: a request that was parked has been counted.
        let checked = allowed(client, kit, &view, decision).and_then(|()| {
            if deadline.is_none() { timely(client, kit, &view, &asked) } else { Ok(()) }
        });
        if let Err(fault) = checked {
            return Err((asked, view, fault));
        }
        let route = view.route(decision.route);
        if let Some(inside) = route.gate.enter() {
            let gate = Rc::clone(&route.gate);
            let placed = place(client, kit, &view, decision).await;
            let waits = deadline.is_some() || route.bulkhead.is_some();
            asked.waited = if waits { started.elapsed() } else { Duration::ZERO };
            let place = match placed {
                Ok(place) => place,
                Err(fault) => return Err((asked, view, fault)),
            };
            let admission = Admission { _inside: inside, _place: place };
            // Nothing has changed, but for those who have waited.
            let now = client.worker.view();
            if view.route(decision.route).bulkhead.is_none() || Rc::ptr_eq(&now, &view) {
                return Ok((asked, view, admission));
            }
            let decision = decided(kit, &now, source);
            if Rc::ptr_eq(&now.route(decision.route).gate, &gate) {
                return Ok((Asked { decision, ..asked }, now, admission));
            }
            continue;
        }
        let parking = view.snapshot.route(decision.route).parking;
        if deadline.is_none() {
            route.cells.parked.add(1);
        }
        let until = *deadline.get_or_insert(client.worker.timers.now().after(parking.time));
        let Ok(waiting) = route.gate.wait(kit.input.len(), room(&parking)) else {
            return Err((asked, view, Fault::ParkFull));
        };
        let worker = Rc::clone(&client.worker);
        let called = |waker: &Waker| match waiting.called(waker) {
            true => Some(Ok(())),
            false => worker.draining.get().then_some(Err(Fault::Draining)),
        };
        let waited = wait(client, kit, (until, Fault::ParkTimeout), called).await;
        if let Err(fault) = waited.and_then(|called| called) {
            return Err((asked, view, fault));
        }
    }
}

/// How much may wait at a gate.
fn room(parking: &Parking) -> Room {
    Room {
        requests: usize::try_from(parking.requests).unwrap_or(usize::MAX),
        bytes: usize::try_from(parking.bytes).unwrap_or(usize::MAX),
    }
}

/// Waits until it is so, while the client is there and the time is not over.
async fn wait<T>(
    client: &mut Client,
    kit: &mut Kit,
    (until, late): (Tick, Fault),
    mut is_so: impl FnMut(&Waker) -> Option<T>,
) -> Result<T, Fault> {
    client.slot.set(until);
    let timers = Rc::clone(&client.worker.timers);
    let mut is_over = |waker: &Waker, has_ended: bool| {
        if let Some(found) = is_so(waker) {
            return Some(Ok(found));
        }
        let fault = match has_ended {
            true => Fault::ClientGone,
            false if timers.now() >= until => late,
            false => return None,
        };
        Some(Err(fault))
    };
    let found = poll_fn(|cx| {
        client.poll_watch(cx, &mut kit.input)?;
        match is_over(cx.waker(), client.has_ended) {
            Some(found) => Poll::Ready(found.map(Some)),
            None if kit.input.len() == kit.input.capacity() => Poll::Ready(Ok(None)),
            None => Poll::Pending,
        }
    })
    .await?;
    if let Some(found) = found {
        return Ok(found);
    }
    // Nothing more is read, so reading does not tell any more that the client has left.
    let mut ended = pin!(client.stream.ended());
    poll_fn(|cx| {
        let has_ended = ended.as_mut().poll(cx).is_ready() || client.stream.has_gone(cx);
        is_over(cx.waker(), has_ended).map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

fn decided(kit: &Kit, view: &View, client: Option<IpAddr>) -> Decision {
    with_facts(kit, client, |facts| decide(facts, &view.snapshot, view))
}

/// What the head alone could not show: loops, and what this route does not forgive.
fn allowed(client: &Client, kit: &Kit, view: &View, decision: Decision) -> Result<(), Fault> {
    if client.https_redirect.is_some() {
        return Err(Fault::NotTls);
    }
    // Whoever is trusted has opened one connection for all its clients.
    if let Some(secured) = &client.secured
        && !secured.is_for(kit.request.authority(&kit.input))
        && !client.peer.is_some_and(|peer| view.snapshot.client.trusts(peer))
    {
        return Err(Fault::Misdirected);
    }
    let refused = |refusal: crate::http1::Refusal| Fault::Refused(refusal.cause);
    let pseudonym = view.snapshot.client.pseudonym.as_bytes();
    kit.request.check_loop(&kit.input, pseudonym).map_err(refused)?;
    view.route(decision.route).leniency.check(kit.request.forgiven()).map_err(refused)
}

/// Is there time for it, and has its client not asked too often?
fn timely(client: &Client, kit: &Kit, view: &View, asked: &Asked) -> Result<(), Fault> {
    let limits = &view.snapshot.route(asked.decision.route).limits;
    if client.worker.pressure.sheds(limits.priority) {
        return Err(Fault::Shed);
    }
    match &view.route(asked.decision.route).limiter {
        None => Ok(()),
        Some(limiter) => counted(client, kit, limiter, asked),
    }
}

fn counted(client: &Client, kit: &Kit, limiter: &Limiter, asked: &Asked) -> Result<(), Fault> {
    let now = client.worker.timers.since_start(asked.started);
    let counted = match &limiter.rate().key {
        RateKey::Route => limiter.count(&[], now),
        RateKey::By(source) => with_facts(kit, asked.client, |facts| {
            // Who leaves the key out must not be free: such requests count by address, or all as one.
            let key = source.find(facts).or_else(|| KeySource::Address.find(facts));
            limiter.count(key.as_deref().unwrap_or_default(), now)
        }),
    };
    counted.map_err(|TooEarly(wait)| Fault::RateLimited(seconds(wait)))
}

/// A place among those under way, where these are counted.
async fn place(
    client: &mut Client,
    kit: &mut Kit,
    view: &View,
    decision: Decision,
) -> Result<Option<Place>, Fault> {
    let route = view.route(decision.route);
    let Some(bulkhead) = &route.bulkhead else { return Ok(None) };
    let limits = &view.snapshot.route(decision.route).limits;
    match bulkhead.enter(limits.queue) {
        Entry::Place(place) => Ok(Some(place)),
        Entry::Full => Err(Fault::QueueFull),
        Entry::Wait(waiting) => {
            route.cells.queued.add(1);
            let until = client.worker.timers.now().after(limits.queue_time);
            let called = |waker: &Waker| waiting.poll(waker);
            wait(client, kit, (until, Fault::QueueTimeout), called).await.map(Some)
        }
    }
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
