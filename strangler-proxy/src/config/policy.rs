//! What a route or upstream promises and endures: time-outs, retries, breakers, parking, limits. The defaults stand here,
//! each with its reason; the file overrides them for all routes (`[defaults]`) or for one.

use std::time::Duration;

use crate::route::KeySource;

/// How long each part of a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect to an endpoint. On one network a connection stands in a millisecond or not at all; two seconds leave
    /// room for one lost SYN.
    pub connect: Duration,
    /// From the end of the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two reads or writes that make progress while a body is under way.
    pub idle: Duration,
    /// From letting a request in to the end of its answer, with all tries and the side that stands in; none by default, for
    /// downloads may be long.
    pub total: Option<Duration>,
    /// Between two steps of a gRPC call, of either side and in either direction. Calls may be streams in which nobody speaks for
    /// long, so the other times do not hold for them; the deadline that a call has of its client does.
    pub stream: Duration,
    /// For one try where there may be several; none means that `first_byte` bounds it.
    pub per_try: Option<Duration>,
}

impl Timeouts {
    /// Where the file says nothing.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_secs(2),
        // What browsers' users and most proxies wait.
        first_byte: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        stream: Duration::from_secs(300),
        total: None,
        per_try: None,
    };
}

/// Second tries, only where they are safe: the method is idempotent, or certainly nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Tries after the first one.
    pub tries: u8,
    /// Retries as a share of the requests, in percent: without it retries multiply an overload.
    pub budget_percent: u8,
    /// The pause before the first retry; doubles with each, with jitter.
    pub backoff: Duration,
    /// The longest pause, and the longest `Retry-After` that is waited for.
    pub backoff_longest: Duration,
    /// Also on these answers, besides failures of the connection. Never 500: it may have been done.
    pub on_502: bool,
    /// See `on_502`.
    pub on_503: bool,
    /// See `on_502`.
    pub on_504: bool,
}

impl Retries {
    /// Where the file says nothing.
    pub const DEFAULT: Self = Self {
        tries: 1,
        budget_percent: 20,
        backoff: Duration::from_millis(25),
        backoff_longest: Duration::from_secs(1),
        on_502: false,
        on_503: false,
        on_504: false,
    };
}

/// When a side of a route is no longer asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Opens after this many failures in a row.
    pub failures: u32,
    /// Or when this share of the requests of a window fails, in percent.
    pub rate_percent: u8,
    /// The window.
    pub window: Duration,
    /// The least requests in a window for its share to count.
    pub requests_min: u32,
    /// How long it stays open before it lets a probe through.
    pub open: Duration,
    /// How many probes must succeed to close it.
    pub probes: u32,
}

impl Breaker {
    /// Where the file says nothing.
    pub const DEFAULT: Self = Self {
        failures: 10,
        rate_percent: 50,
        window: Duration::from_secs(10),
        requests_min: 50,
        open: Duration::from_secs(5),
        probes: 3,
    };
}

/// How many requests may be held, instead of failed, while a route is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parking {
    /// At most this many at once.
    pub requests: u32,
    /// With at most this many bytes of what they have sent.
    pub bytes: u64,
    /// Each for at most this long.
    pub time: Duration,
    /// After the park they are let go over this time, so that they do not arrive as one blow.
    pub resume: Duration,
}

impl Parking {
    /// Where the file says nothing: a switch pauses writes for tens of milliseconds, so this is ample.
    pub const DEFAULT: Self = Self {
        requests: 1000,
        bytes: 64 << 20,
        time: Duration::from_secs(10),
        resume: Duration::from_millis(100),
    };
}

/// How much of a route may be under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body; none by default, for the proxy never holds one whole.
    pub body: Option<u64>,
    /// At most this many requests at once.
    pub concurrency: Option<u32>,
    /// At most this many wait for a place.
    pub queue: u32,
    /// Each for at most this long.
    pub queue_time: Duration,
    /// So many requests in a time, by key.
    pub rate: Option<Rate>,
    /// Under overload routes with a lower priority are refused first; 0 to 9.
    pub priority: u8,
}

impl Limits {
    /// Where the file says nothing.
    pub const DEFAULT: Self = Self {
        body: None,
        concurrency: None,
        queue: 100,
        queue_time: Duration::from_secs(1),
        rate: None,
        priority: 5,
    };
}

/// So many requests in a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub requests: u32,
    /// In which time.
    pub per: Duration,
    /// How many of them at once; `requests` where the file says nothing.
    pub burst: u32,
    /// Who shares the count.
    pub key: RateKey,
}

/// Who shares a rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateKey {
    /// All requests of the route.
    Route,
    /// Those with the same key.
    By(KeySource),
}

/// What happens while the new side is down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fallback {
    /// The old side answers, and a header says so. "When unsure, the monolith."
    #[default]
    Monolith,
    /// The failure is shown.
    None,
    /// A fixed answer.
    Answer(Answer),
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its media type.
    pub content_type: Box<str>,
    /// Its body.
    pub body: Box<str>,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Of two drawn at random the one with the lower latency times load (peak EWMA).
    #[default]
    PeakEwma,
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastRequests,
}

/// Asking endpoints whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The path of the question; none means that only connections are tried, and only of endpoints that were ejected.
    pub path: Option<Box<str>>,
    /// The service that is asked for by the health checking protocol of gRPC, instead of a path; the empty name means the
    /// server as a whole.
    pub grpc: Option<Box<str>>,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many good answers make an endpoint well.
    pub rise: u32,
    /// So many bad ones make it ill.
    pub fall: u32,
}

impl Health {
    /// Is anything asked but whether connections are taken?
    pub fn asks(&self) -> bool {
        self.path.is_some() || self.grpc.is_some()
    }

    /// Where the file says nothing.
    pub const DEFAULT: Self = Self {
        path: None,
        grpc: None,
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 3,
    };
}

/// Taking an endpoint out of use because of how it answers; never the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlier {
    /// After this many failures in a row.
    pub failures: u32,
    /// For this long, times how often it was ejected.
    pub ejection: Duration,
    /// At most this share of the endpoints at once, in percent.
    pub ejected_percent_max: u8,
}

impl Outlier {
    /// Where the file says nothing.
    pub const DEFAULT: Self =
        Self { failures: 5, ejection: Duration::from_secs(10), ejected_percent_max: 50 };
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, without asking first.
    Http2,
}
