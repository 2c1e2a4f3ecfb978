//! What became of requests a moment ago, for whoever comes with a trace id.
//!
//! Each worker remembers on its own, in room that is used again, so that a request costs no lock and, once the room is warm,
//! no allocation. A trace id is mostly brought by somebody whose request failed, so what failed has a ring of its own that
//! nothing else can wash out; what went well only in the end has another; of the good ones the last are there, and a sample
//! of those before. Never kept: bodies, queries and the values of header fields.

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::clock;
use crate::{
    config::{HeaderEdits, Route, Snapshot},
    route::{Decision, Stage, Weight, Why},
};

/// The last requests that went well. Few, for they pass through the processor's cache.
pub const LAST: usize = 256;

/// The last that failed: some minutes of a bad day.
pub const FAILED: usize = 512;

/// The last that went well in the end: after another try, at the other side, or late. Apart from the failures, for when an
/// upstream is slow all of them are.
pub const TROUBLED: usize = 256;

/// The sample of those that went well before: four minutes at [`SAMPLE_EVERY`], and everything of a quiet hour.
pub const SAMPLED: usize = 1024;

/// How often a request that is about to be forgotten comes into the sample.
pub const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// A request that took this long was late.
pub const SLOW: Duration = Duration::from_secs(1);

/// The longest path that is kept whole.
const PATH_MAX: usize = 256;

/// The longest method and host that are kept whole.
const NAME_MAX: usize = 64;

/// How many requests of one trace are told.
const TOLD_MAX: usize = 32;

/// What a worker remembers.
#[derive(Debug, Default)]
pub struct Recent {
    last: Ring,
    failed: Ring,
    troubled: Ring,
    sampled: Ring,
    sampled_at: Cell<Option<Instant>>,
}

/// A request that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Happened<'a> {
    /// Its trace id.
    pub trace: &'a str,
    /// When its head was whole.
    pub started: Instant,
    /// From then to the end of the answer.
    pub took: Duration,
    /// How much of it went by at the route's gate and for a place.
    pub waited: Duration,
    /// The client's address, where it has one.
    pub client: Option<IpAddr>,
    /// The method as sent.
    pub method: &'a [u8],
    /// `Host` as sent.
    pub host: &'a [u8],
    /// The path in its normal form.
    pub path: &'a [u8],
    /// Its route as it stood, and what was decided; nothing where it was refused before.
    pub decided: Option<(&'a Rc<RouteThen>, &'a Decision)>,
    /// The endpoint that was asked last.
    pub endpoint: Option<&'a Rc<str>>,
    /// The tries that failed: the endpoint and why.
    pub tries: &'a [(Rc<str>, &'static str)],
    /// The status that the client got.
    pub status: u16,
    /// What went wrong, in a word and in a sentence.
    pub cause: Option<(&'static str, &'static str)>,
}

/// A route as a configuration had it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteThen {
    /// The revision of the configuration.
    pub revision: String,
    /// Its name.
    pub route: String,
    /// Its group.
    pub group: Option<String>,
    /// Its stage.
    pub stage: Stage,
    /// Its weight.
    pub weight: Weight,
    /// The old side.
    pub from: String,
    /// The new side.
    pub to: Option<String>,
    /// The names of the request's fields that are removed (`- name`) and set (`+ name`).
    pub request_headers: Vec<String>,
    /// Those of the answer's.
    pub response_headers: Vec<String>,
}

/// A request of the past, told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// When it began, in RFC 3339 and UTC.
    pub at: String,
    /// The client's address after the trust list.
    pub client: Option<IpAddr>,
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path in its normal form, without the query.
    pub path: String,
    /// The route as it stood then; nothing where the request was refused before.
    pub route: Option<RouteThen>,
    /// `old` or `new`.
    pub side: Option<String>,
    /// Why, in a word.
    pub why: Option<String>,
    /// Why, in a sentence.
    pub because: Option<String>,
    /// The client's bucket, where one was computed.
    pub bucket: Option<u16>,
    /// Did somebody get a copy?
    pub copied: bool,
    /// The endpoint that was asked last.
    pub endpoint: Option<String>,
    /// The tries that failed.
    pub tries: Vec<Tried>,
    /// The status that the client got.
    pub status: u16,
    /// What went wrong, in a word.
    pub cause: Option<String>,
    /// What went wrong, in a sentence.
    pub detail: Option<String>,
    /// From the head of the request to the end of the answer, in milliseconds.
    pub took_ms: f64,
    /// How much of it was waited at the gate and for a place.
    pub waited_ms: f64,
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Who was asked.
    pub endpoint: String,
    /// Why it failed.
    pub cause: String,
}

/// Room for a request.
#[derive(Debug)]
struct Past {
    trace: [u8; 32],
    started: Instant,
    took: Duration,
    waited: Duration,
    client: Option<IpAddr>,
    decided: Option<(Rc<RouteThen>, Decision)>,
    endpoint: Option<Rc<str>>,
    tries: Vec<(Rc<str>, &'static str)>,
    status: u16,
    cause: Option<(&'static str, &'static str)>,
    /// Method, host and path one behind the other, so that one buffer is used again.
    text: Vec<u8>,
    ends: (usize, usize),
}

#[derive(Debug, Default)]
struct Ring {
    kept: RefCell<Vec<Past>>,
    next: Cell<usize>,
}

impl Recent {
    /// Remembers a request.
    pub fn add(&self, request: &Happened<'_>) {
        if request.cause.is_some() || request.status >= 500 {
            self.failed.put(FAILED, |past| past.fill(request));
            return;
        }
        let is_well = request.tries.is_empty()
            && request.took < SLOW
            && request.decided.is_none_or(|(_, decision)| decision.why != Why::FallenBack);
        if !is_well {
            self.troubled.put(TROUBLED, |past| past.fill(request));
            return;
        }
        self.last.put(LAST, |past| {
            // Before its room is used again.
            if self.is_time_to_sample(request.started) && past.status > 0 {
                self.sampled.put(SAMPLED, |kept| std::mem::swap(kept, past));
            }
            past.fill(request);
        });
    }

    fn is_time_to_sample(&self, now: Instant) -> bool {
        let is_time = self.sampled_at.get().is_none_or(|at| now.duration_since(at) >= SAMPLE_EVERY);
        if is_time {
            self.sampled_at.set(Some(now));
        }
        is_time
    }

    /// The requests of a trace, the newest first.
    pub fn of(&self, trace: &str) -> Vec<Remembered> {
        let mut found = Vec::new();
        for ring in [&self.last, &self.failed, &self.troubled, &self.sampled] {
            let kept = ring.kept.borrow();
            let those = kept.iter().filter(|past| past.trace == trace.as_bytes());
            found.extend(those.map(|past| (past.started, past.told())));
        }
        found.sort_by_key(|(started, _)| std::cmp::Reverse(*started));
        found.truncate(TOLD_MAX);
        found.into_iter().map(|(_, told)| told).collect()
    }
}

impl Ring {
    /// Uses the oldest place of so many, or a new one while there are fewer.
    fn put(&self, most: usize, fill: impl FnOnce(&mut Past)) {
        let mut kept = self.kept.borrow_mut();
        let at = self.next.get();
        if kept.len() < most {
            kept.push(Past::empty());
        }
        if let Some(past) = kept.get_mut(at) {
            fill(past);
        }
        self.next.set(if at + 1 >= most { 0 } else { at + 1 });
    }
}

impl Past {
    fn empty() -> Self {
        Self {
            trace: [0; 32],
            started: Instant::now(),
            took: Duration::ZERO,
            waited: Duration::ZERO,
            client: None,
            decided: None,
            endpoint: None,
            tries: Vec::new(),
            status: 0,
            cause: None,
            text: Vec::new(),
            ends: (0, 0),
        }
    }

    fn fill(&mut self, request: &Happened<'_>) {
        let Happened { started, took, waited, client, status, cause, .. } = *request;
        (self.started, self.took, self.waited) = (started, took, waited);
        (self.client, self.status, self.cause) = (client, status, cause);
        self.trace = request.trace.as_bytes().try_into().unwrap_or([0; 32]);
        self.decided = request.decided.map(|(then, decision)| (Rc::clone(then), *decision));
        self.endpoint = request.endpoint.map(Rc::clone);
        self.tries.clear();
        self.tries.extend_from_slice(request.tries);
        self.text.clear();
        put(&mut self.text, request.method, NAME_MAX);
        self.ends.0 = self.text.len();
        put(&mut self.text, request.host, NAME_MAX);
        self.ends.1 = self.text.len();
        put(&mut self.text, request.path, PATH_MAX);
    }

    fn told(&self) -> Remembered {
        let text = |from: usize, to: usize| {
            String::from_utf8_lossy(self.text.get(from..to).unwrap_or_default()).into_owned()
        };
        let decision = self.decided.as_ref().map(|(_, decision)| decision);
        let (method_end, host_end) = self.ends;
        Remembered {
            at: clock::rfc3339_before(self.started.elapsed()),
            client: self.client,
            method: text(0, method_end),
            host: text(method_end, host_end),
            path: text(host_end, self.text.len()),
            route: self.decided.as_ref().map(|(then, _)| RouteThen::clone(then)),
            side: decision.map(|decision| decision.side.as_str().to_owned()),
            why: decision.map(|decision| decision.why.as_str().to_owned()),
            because: decision.map(|decision| decision.why.sentence().to_owned()),
            bucket: decision.and_then(|decision| decision.bucket).map(crate::route::Bucket::number),
            copied: decision.is_some_and(|decision| decision.shadow.is_some()),
            endpoint: self.endpoint.as_deref().map(str::to_owned),
            tries: self.tries.iter().map(Tried::of).collect(),
            status: self.status,
            cause: self.cause.map(|(word, _)| word.to_owned()),
            detail: self.cause.map(|(_, sentence)| sentence.to_owned()),
            took_ms: self.took.as_secs_f64() * 1000.0,
            waited_ms: self.waited.as_secs_f64() * 1000.0,
        }
    }
}

/// As much of it as is kept; what is cut short says so.
fn put(out: &mut Vec<u8>, text: &[u8], most: usize) {
    match text.get(..most) {
        Some(begin) if text.len() > most => {
            out.extend_from_slice(begin);
            out.extend_from_slice("…".as_bytes());
        }
        _ => out.extend_from_slice(text),
    }
}

impl Tried {
    fn of((endpoint, cause): &(Rc<str>, &'static str)) -> Self {
        Self { endpoint: endpoint.to_string(), cause: (*cause).to_owned() }
    }
}

impl RouteThen {
    /// A route of this configuration.
    pub fn of(route: &Route, snapshot: &Snapshot) -> Self {
        Self {
            revision: snapshot.revision.to_string(),
            route: route.name.to_string(),
            group: route.group.as_deref().map(str::to_owned),
            stage: route.stage,
            weight: route.weight,
            from: snapshot.upstream(route.from).name.to_string(),
            to: route.to.map(|to| snapshot.upstream(to).name.to_string()),
            request_headers: names(&route.request_headers),
            response_headers: names(&route.response_headers),
        }
    }
}

fn names(edits: &HeaderEdits) -> Vec<String> {
    let removed = edits.remove.iter().map(|name| format!("- {name}"));
    removed.chain(edits.set.iter().map(|(name, _)| format!("+ {name}"))).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        rc::Rc,
        time::{Duration, Instant},
    };

    use super::{FAILED, Happened, LAST, Recent, SAMPLE_EVERY, SAMPLED, SLOW, TROUBLED};

    fn request(trace: &str) -> Happened<'_> {
        Happened {
            trace,
            started: Instant::now(),
            took: Duration::from_millis(3),
            waited: Duration::ZERO,
            client: Some([10, 1, 2, 3].into()),
            method: b"GET",
            host: b"shop.example",
            path: b"/v1/stock/7",
            decided: None,
            endpoint: None,
            tries: &[],
            status: 200,
            cause: None,
        }
    }

    fn trace(number: usize) -> String {
        format!("{number:032x}")
    }

    #[test]
    fn the_last_are_there_and_a_sample_of_those_before() {
        let recent = Recent::default();
        let begin = Instant::now();
        let many = LAST * 3;
        for number in 0..many {
            let trace = trace(number);
            // A hundred times as fast as the sample.
            let started = begin + SAMPLE_EVERY / 100 * u32::try_from(number).unwrap();
            recent.add(&Happened { started, ..request(&trace) });
        }
        for number in many - LAST..many {
            assert_eq!(recent.of(&trace(number)).len(), 1, "{number}");
        }
        let sampled = (0..many - LAST).filter(|number| !recent.of(&trace(*number)).is_empty());
        assert_eq!(sampled.count(), (many - LAST) / 100);
    }

    #[test]
    fn good_requests_wash_no_failure_out() {
        let recent = Recent::default();
        let tries = [(Rc::from("127.0.0.1:1"), "connection-refused")];
        let bad = [trace(1), trace(2), trace(3), trace(4)];
        recent.add(&Happened { status: 500, ..request(&bad[0]) });
        recent.add(&Happened { cause: Some(("rate-limited", "too fast")), ..request(&bad[1]) });
        recent.add(&Happened { tries: &tries, ..request(&bad[2]) });
        recent.add(&Happened { took: SLOW, ..request(&bad[3]) });
        for number in 0..LAST * 4 {
            recent.add(&request(&trace(1000 + number)));
        }
        // Everything is slow: that washes out only what was slow before.
        for number in 0..TROUBLED - 2 {
            recent.add(&Happened { took: SLOW, ..request(&trace(10_000 + number)) });
        }
        for trace in &bad {
            assert_eq!(recent.of(trace).len(), 1, "{trace}");
        }
        let told = recent.of(&bad[2]).remove(0);
        assert_eq!((told.tries[0].endpoint.as_str(), told.method.as_str()), ("127.0.0.1:1", "GET"));
        assert_eq!((told.host.as_str(), told.path.as_str()), ("shop.example", "/v1/stock/7"));
    }

    #[test]
    fn it_is_bounded_in_number_and_bytes() {
        let recent = Recent::default();
        let long = vec![b'a'; 10_000];
        let begin = Instant::now();
        for number in 0..5000 {
            let trace = trace(number);
            let started = begin + SAMPLE_EVERY * u32::try_from(number).unwrap();
            recent.add(&Happened { started, path: &long, host: &long, ..request(&trace) });
            recent.add(&Happened { status: 502, path: &long, ..request(&trace) });
        }
        for (ring, most) in
            [(&recent.last, LAST), (&recent.failed, FAILED), (&recent.sampled, SAMPLED)]
        {
            let kept = ring.kept.borrow();
            assert_eq!(kept.len(), most);
            assert!(kept.iter().all(|past| past.text.capacity() <= 1024));
        }
        let told = recent.of(&trace(4999)).remove(0);
        assert!(told.path.ends_with("a…"), "{}", told.path);
    }

    #[test]
    fn a_trace_has_all_its_requests_the_newest_first() {
        let recent = Recent::default();
        let trace = trace(7);
        let begin = Instant::now();
        for number in 0..3 {
            let started = begin + Duration::from_millis(number);
            recent.add(&Happened {
                started,
                status: 200 + u16::try_from(number).unwrap(),
                ..request(&trace)
            });
        }
        let statuses: Vec<_> = recent.of(&trace).iter().map(|told| told.status).collect();
        assert_eq!(statuses, [202, 201, 200]);
        assert!(recent.of("none").is_empty());
    }
}
