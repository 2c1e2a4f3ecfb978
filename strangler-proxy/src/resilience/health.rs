//! Asking endpoints how they are: one thread for the process, beside the workers.
//!
//! Where an upstream has a health path, each of its endpoints is asked again and again. Besides, an endpoint that was
//! taken out because of its failures is tried once its time is over, before it gets requests again. With neither the
//! thread sleeps.

use std::{
    collections::{HashMap, HashSet},
    future::poll_fn,
    io,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::oneshot,
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{
    Registry, Tick,
    fleet::{Fleet, Vitals},
};
use crate::{
    config::{Health, Protocol, Upstream},
    engine::{Address, Question, Resolved, Stream, probe},
    http1::{Limits, Parsed, RequestFacts, ResponseHead},
    steer::Shared,
    tls::UpstreamTls,
};

/// How often the thread looks what is due while anything is. A check is late by at most this.
const LOOK: Duration = Duration::from_millis(50);

/// Checks under way at once; what comes on top waits for the next look. Thousands of endpoints must not take the
/// descriptors from the requests.
const CHECKS_MAX: usize = 64;

/// The room for the head of an answer: a health check says little.
const HEAD_ROOM: usize = 8 * 1024;

/// The thread.
#[derive(Debug)]
pub struct Heartbeat {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What the thread works with.
#[derive(Clone)]
pub struct Checked {
    /// The snapshot in force.
    pub shared: Shared,
    /// Where its endpoints are.
    pub resolved: Arc<ArcSwap<Resolved>>,
    /// How they are.
    pub registry: Registry,
    /// When the engine started.
    pub started: Instant,
}

impl Heartbeat {
    /// Starts the thread.
    pub fn start(checked: Checked) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("health".into()).spawn(move || {
            let runtime =
                Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    tokio::select! {
                        () = live(checked) => {}
                        _stopped = stopped => {}
                    }
                }),
                Err(error) => tracing::error!(%error, "endpoints are not checked"),
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends it.
    pub fn stop(self) {
        drop(self.stop);
        // A thread that panicked has said so itself.
        drop(self.thread.join());
    }
}

/// When each endpoint of each upstream is to be asked next.
#[derive(Debug, Default)]
struct Plan {
    due: HashMap<(Arc<str>, Address), Due>,
    /// Held by each check that is under way.
    under_way: Rc<()>,
}

#[derive(Debug, Default)]
struct Due {
    at: Tick,
    /// Held by the check that is under way: no endpoint has two at once.
    under_way: Rc<()>,
}

async fn live(checked: Checked) {
    let mut changes = checked.shared.changes();
    let mut plan = Plan::default();
    loop {
        if look(&checked, &mut plan) {
            sleep(LOOK).await;
            continue;
        }
        tokio::select! {
            () = checked.registry.wait_for_ejection() => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Begins what is due. False where nothing will be due until something happens.
fn look(checked: &Checked, plan: &mut Plan) -> bool {
    let now = Tick::at(Instant::now(), checked.started);
    let (snapshot, resolved) = (checked.shared.get(), checked.resolved.load_full());
    // Between a change of the file and the word of the resolver the old ones are not forgotten.
    let is_covered = resolved.covers(&snapshot);
    let mut is_restless = false;
    let mut known = HashSet::new();
    for upstream in snapshot.upstreams.iter() {
        let fleet = checked.registry.fleet(&upstream.name);
        let endpoints = upstream.endpoints.iter();
        let addresses: HashSet<&Address> =
            endpoints.flat_map(|endpoint| resolved.addresses(endpoint)).collect();
        if is_covered {
            fleet.keep(&addresses);
        }
        let asks = upstream.health.asks();
        is_restless |= asks;
        for address in addresses {
            let vitals = fleet.of(address);
            vitals.rest(now);
            if !asks {
                vitals.unchecked(now);
            }
            is_restless |= vitals.is_restless();
            if asks || vitals.is_due_back(now) {
                let place = (Arc::clone(&upstream.name), address.clone());
                if let Some(under_way) = plan.begin(&place, upstream.health.interval, now) {
                    let (fleet, started) = (Arc::clone(&fleet), checked.started);
                    let check = Check::new(upstream, address, (fleet, vitals), started);
                    spawn_local(async move {
                        check.run().await;
                        drop(under_way);
                    });
                }
                known.insert(place);
            }
        }
    }
    plan.due.retain(|place, _| known.contains(place));
    is_restless
}

impl Plan {
    /// Is it time? Then the next time is an interval later, and the check holds what it gets here until it has ended.
    fn begin(
        &mut self,
        place: &(Arc<str>, Address),
        interval: Duration,
        now: Tick,
    ) -> Option<(Rc<()>, Rc<()>)> {
        let due = self.due.entry(place.clone()).or_default();
        let is_free = Rc::strong_count(&due.under_way) == 1
            && Rc::strong_count(&self.under_way) <= CHECKS_MAX;
        if now < due.at || !is_free {
            return None;
        }
        due.at = now.after(interval);
        Some((Rc::clone(&due.under_way), Rc::clone(&self.under_way)))
    }
}

/// What is asked, and how.
enum Asking {
    /// A request of HTTP/1.1.
    Http1(Vec<u8>),
    /// A question in HTTP/2, to this host.
    Http2(String, Question),
}

/// The question; nothing where only a connection is tried.
fn question(upstream: &Upstream, address: &Address) -> Option<Asking> {
    let health = &upstream.health;
    let host = upstream.host.as_ref().map_or_else(|| address.authority(), ToString::to_string);
    if let Some(service) = &health.grpc {
        return Some(Asking::Http2(host, Question::Service(service.clone())));
    }
    let path = health.path.as_ref()?;
    if upstream.protocol == Protocol::Http2 {
        return Some(Asking::Http2(host, Question::Path(path.clone())));
    }
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: strangler-proxy\r\nConnection: close\r\n\r\n"
    );
    Some(Asking::Http1(text.into_bytes()))
}

/// One check of one endpoint.
struct Check {
    question: Option<Asking>,
    health: Health,
    name: Arc<str>,
    address: Address,
    tls: Option<Arc<UpstreamTls>>,
    protocol: Protocol,
    fleet: Arc<Fleet<Address>>,
    vitals: Arc<Vitals>,
    started: Instant,
}

impl Check {
    fn new(
        upstream: &Upstream,
        address: &Address,
        (fleet, vitals): (Arc<Fleet<Address>>, Arc<Vitals>),
        started: Instant,
    ) -> Self {
        let question = question(upstream, address);
        let is_http2 = matches!(question, Some(Asking::Http2(..)));
        Self {
            protocol: if is_http2 { Protocol::Http2 } else { upstream.protocol },
            question,
            health: upstream.health.clone(),
            name: Arc::clone(&upstream.name),
            address: address.clone(),
            tls: upstream.tls.clone(),
            fleet,
            vitals,
            started,
        }
    }

    /// Does it take a connection, with its handshake, and answer the question with 2xx or 3xx?
    async fn ask(&self) -> bool {
        let stream = match self.address.connect(self.tls.as_deref(), self.protocol).await {
            Ok(stream) => stream,
            Err(error) => {
                let (upstream, endpoint) = (&*self.name, &self.address);
                tracing::debug!(upstream, %endpoint, %error, "an endpoint takes no connection");
                return false;
            }
        };
        let question = match &self.question {
            None => return true,
            Some(Asking::Http2(host, question)) => {
                let probed = probe(stream, (self.address.scheme(), host), question).await;
                return probed.unwrap_or(false);
            }
            Some(Asking::Http1(text)) => text,
        };
        let answer = answer(stream, question).await;
        answer.is_some_and(|status| (200..400).contains(&status))
    }

    async fn run(self) {
        let good = timeout(self.health.timeout, self.ask()).await.unwrap_or(false);
        let count = if good { &self.fleet.checks_good } else { &self.fleet.checks_bad };
        count.fetch_add(1, Ordering::Relaxed);
        let now = Tick::at(Instant::now(), self.started);
        let was_in_use = self.vitals.is_in_use();
        if self.question.is_some() {
            self.vitals.checked(good, &self.health, now);
        }
        if self.vitals.is_due_back(now) {
            self.vitals.tried(good, self.health.interval, now);
        }
        match (was_in_use, self.vitals.is_in_use()) {
            (true, false) => {
                tracing::warn!(upstream = &*self.name, endpoint = %self.address, "an endpoint is ill");
            }
            (false, true) => {
                tracing::info!(upstream = &*self.name, endpoint = %self.address, "an endpoint is back");
            }
            (true, true) | (false, false) => {}
        }
    }
}

/// The status of the answer. Its body is nobody's business.
async fn answer(mut stream: Stream, question: &[u8]) -> Option<u16> {
    let mut at = 0;
    while let Some(rest) = question.get(at..).filter(|rest| !rest.is_empty()) {
        at += poll_fn(|cx| stream.poll_write(cx, rest, &[])).await.ok()?;
    }
    let (mut buffer, mut head) = (Vec::with_capacity(HEAD_ROOM), ResponseHead::default());
    let limits = Limits { head_bytes: HEAD_ROOM, ..Limits::default() };
    loop {
        // Without room this fails: a head that long is no answer to a health check.
        if poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await.ok()? == 0 {
            return None;
        }
        loop {
            match head.parse(&buffer, &limits, RequestFacts::default()).ok()? {
                Parsed::Complete { head_len } if head.is_interim() => {
                    drop(buffer.drain(..head_len))
                }
                Parsed::Complete { .. } => return Some(head.status()),
                Parsed::Partial => break,
            }
        }
    }
}
