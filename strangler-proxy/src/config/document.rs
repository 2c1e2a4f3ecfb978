//! What the file may say. Every struct's default says which keys there are, so an unknown one can be named with the one
//! that was meant; an absent value takes the default of the level above it (route, `[defaults]`, built in).

mod listen;

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, de};
use settings::{ByteSize, Duration, Secret};

pub use listen::{CertificatePart, ListenPart, ListenTable, ListenTlsPart, UpstreamTlsPart};

use super::{Balance, Protocol};
use crate::route::{Stage, Weight};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where requests come in: `127.0.0.1:8080`, `unix:/run/proxy.sock`, or a table; one or a list.
    #[serde(deserialize_with = "listen::listeners")]
    pub listen: Vec<ListenPart>,
    /// The monolith: the name of an upstream or a URL. Has every request that no route has.
    pub from: Option<String>,
    /// Worker threads; one per core where absent.
    pub workers: Option<u16>,
    /// Is each request written to the access log?
    pub access_log: bool,
    /// Logs.
    pub log: telemetry::Logging,
    /// What clients may do.
    pub client: ClientPart,
    /// Who is in front of this proxy.
    pub forwarded: ForwardedPart,
    /// Testers may choose a side.
    pub tester: TesterPart,
    /// The admin API.
    pub admin: AdminPart,
    /// Files beside the configuration.
    pub files: FilesPart,
    /// What routes and upstreams have that say nothing else.
    pub defaults: DefaultsPart,
    /// Sets of endpoints, by name.
    pub upstreams: BTreeMap<String, UpstreamPart>,
    /// The routes, in their order: the first that fits has the request.
    pub routes: Vec<RoutePart>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec!["127.0.0.1:8080".into()],
            from: None,
            workers: None,
            access_log: true,
            log: telemetry::Logging::default(),
            client: ClientPart::default(),
            forwarded: ForwardedPart::default(),
            tester: TesterPart::default(),
            admin: AdminPart::default(),
            files: FilesPart::default(),
            defaults: DefaultsPart::default(),
            upstreams: BTreeMap::new(),
            routes: Vec::new(),
        }
    }
}

/// `[client]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientPart {
    /// How long a head may take to arrive.
    pub head_time: Duration,
    /// How long a body may make no progress.
    pub body_idle: Duration,
    /// So many bytes of a body a second must come or be taken, but for pauses of `body_idle` in all.
    pub body_rate_min: ByteSize,
    /// How long a connection may be idle between requests.
    pub keep_alive: Duration,
    /// The largest head.
    pub head: ByteSize,
    /// The most header fields.
    pub fields: u16,
    /// The longest target.
    pub target: ByteSize,
    /// The most connections per worker.
    pub connections: u32,
    /// Is HTTP/2 spoken with those that begin with it?
    pub http2: bool,
    /// The most requests at once on a connection of HTTP/2.
    pub streams: u32,
    /// How long requests in flight may take to end at the stop.
    pub drain: Duration,
}

impl Default for ClientPart {
    fn default() -> Self {
        Self {
            // A head is a few packets: who needs longer holds a connection on purpose.
            head_time: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            // What Apache's mod_reqtimeout asks for: a tenth of the slowest modem, so whoever stays below it does so on purpose.
            body_rate_min: ByteSize::new(500),
            // Above the 60 s for which load balancers keep theirs, so that they close first.
            keep_alive: Duration::from_secs(75),
            head: ByteSize::new(32 << 10),
            fields: 100,
            target: ByteSize::new(8 << 10),
            connections: 16_384,
            http2: true,
            // What RFC 9113, section 6.5.2 recommends at least; browsers and gRPC clients open another connection then.
            streams: 100,
            drain: Duration::from_secs(30),
        }
    }
}

/// `[forwarded]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardedPart {
    /// Networks whose `X-Forwarded-*` and `Forwarded` fields are believed; nobody's by default.
    pub trust: Vec<String>,
    /// The name that the proxy gives itself in `Via` and `Proxy-Status`.
    pub pseudonym: Option<String>,
}

/// `[tester]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TesterPart {
    /// The header: `new <secret>` or `old <secret>`.
    pub header: String,
    /// Without it no header is looked at.
    pub secret: Option<Secret<String>>,
}

impl Default for TesterPart {
    fn default() -> Self {
        Self { header: "x-strangler-side".to_owned(), secret: None }
    }
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminPart {
    /// Is there an admin API?
    pub enabled: bool,
    /// Its address.
    pub listen: String,
    /// Its token; made at the first start and kept in `token_file` where absent.
    pub token: Option<Secret<String>>,
    /// Where a token that was made is kept.
    pub token_file: Option<PathBuf>,
}

impl Default for AdminPart {
    fn default() -> Self {
        Self { enabled: true, listen: "127.0.0.1:9901".to_owned(), token: None, token_file: None }
    }
}

/// `[files]`: beside the configuration file where absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesPart {
    /// The log of every change.
    pub audit: Option<PathBuf>,
    /// Toggles, where the configuration file cannot be written.
    pub state: Option<PathBuf>,
    /// While it is there, the kill switch is on.
    pub kill: Option<PathBuf>,
    /// A socket at which another binary takes over the listening ones.
    pub handover: Option<PathBuf>,
}

/// `[defaults]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DefaultsPart {
    /// Where a client's key is looked for.
    #[serde(deserialize_with = "one_or_many")]
    pub sticky: Vec<String>,
    /// What happens while the new side is down.
    pub fallback: Option<FallbackPart>,
    /// Time-outs.
    pub timeouts: TimeoutsPart,
    /// Retries.
    pub retries: RetriesPart,
    /// Breaker.
    pub breaker: BreakerPart,
    /// Parking.
    pub parking: ParkingPart,
    /// Limits.
    pub limits: LimitsPart,
    /// Pools of connections.
    pub pool: PoolPart,
    /// How endpoints are chosen.
    pub balance: Option<Balance>,
    /// Asking endpoints.
    pub health: HealthPart,
    /// Ejecting endpoints.
    pub outlier: OutlierPart,
}

/// `[upstreams.NAME]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamPart {
    /// `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`; a name stands for all its addresses.
    #[serde(deserialize_with = "one_or_many")]
    pub endpoints: Vec<String>,
    /// A file with an endpoint a line, read again when it changes.
    pub endpoints_file: Option<PathBuf>,
    /// How often names are resolved and the file is looked at.
    pub refresh: Option<Duration>,
    /// `http1` or `http2`.
    pub protocol: Option<Protocol>,
    /// The `Host` that it sees; the client's own where absent.
    pub host: Option<String>,
    /// Its pools.
    pub pool: PoolPart,
    /// How an endpoint is chosen.
    pub balance: Option<Balance>,
    /// Asking endpoints.
    pub health: HealthPart,
    /// Ejecting endpoints.
    pub outlier: OutlierPart,
    /// Time-outs of requests to it; a route's own come first.
    pub timeouts: TimeoutsPart,
    /// TLS to endpoints that are `https://`.
    pub tls: Option<UpstreamTlsPart>,
}

/// `[[routes]]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoutePart {
    /// Its name.
    pub name: String,
    /// The group that it is toggled with.
    pub group: Option<String>,
    /// Hosts: `shop.example.com`, `*.example.com`; every host where absent.
    #[serde(deserialize_with = "one_or_many")]
    pub host: Vec<String>,
    /// Path templates: `/v1/stock/{sku}`, `/assets/{*rest}`; every path where absent.
    #[serde(deserialize_with = "one_or_many")]
    pub path: Vec<String>,
    /// Methods; every one where absent.
    #[serde(deserialize_with = "one_or_many")]
    pub method: Vec<String>,
    /// Header fields: `x-tenant = "blue"`, `"blue-*"` or `"*"`.
    pub header: BTreeMap<String, String>,
    /// Query parameters, written as header fields are.
    pub query: BTreeMap<String, String>,
    /// gRPC services or methods: `shop.v1.Stock`, `shop.v1.Stock/Reserve`.
    #[serde(deserialize_with = "one_or_many")]
    pub grpc: Vec<String>,
    /// Names of routes below that take some of the same requests: this one comes first on purpose.
    #[serde(deserialize_with = "one_or_many")]
    pub before: Vec<String>,
    /// The old side; the file's `from` where absent.
    pub from: Option<String>,
    /// The new side.
    pub to: Option<String>,
    /// How far it has been moved.
    pub stage: Stage,
    /// Percent of the clients in a canary, or of the requests that a shadow copies (all where absent).
    pub weight: Option<Weight>,
    /// Where a client's key is looked for: `header:NAME`, `cookie:NAME`, `jwt:CLAIM`, `address`.
    #[serde(deserialize_with = "one_or_many")]
    pub sticky: Vec<String>,
    /// Sets its buckets apart; the group's name, or the route's, where absent.
    pub salt: Option<String>,
    /// Who is in the canary in any case.
    pub allow: AllowPart,
    /// What happens while the new side is down.
    pub fallback: Option<FallbackPart>,
    /// An answer that sends clients elsewhere.
    pub redirect: Option<RedirectPart>,
    /// What is changed of the target for the new side.
    pub rewrite: RewritePart,
    /// What is changed of the request's fields.
    pub request_headers: HeadersPart,
    /// What is changed of the answer's fields.
    pub response_headers: HeadersPart,
    /// Time-outs.
    pub timeouts: TimeoutsPart,
    /// Retries.
    pub retries: RetriesPart,
    /// Breaker.
    pub breaker: BreakerPart,
    /// Parking.
    pub parking: ParkingPart,
    /// Limits.
    pub limits: LimitsPart,
    /// Relaxations for legacy clients, by name.
    pub leniency: Vec<String>,
}

/// `allow`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AllowPart {
    /// Sticky keys.
    pub keys: Vec<String>,
    /// Addresses and networks.
    pub addresses: Vec<String>,
}

/// `fallback`: `"monolith"`, `"none"` or a fixed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FallbackPart {
    /// `"monolith"` or `"none"`.
    Word(String),
    /// `{ status = 503, body = "…" }`
    Answer(AnswerPart),
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerPart {
    /// Its status.
    pub status: u16,
    /// Its body.
    #[serde(default)]
    pub body: String,
    /// Its media type.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// `redirect`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedirectPart {
    /// Where to.
    pub to: String,
    /// 301, 302, 303, 307 or 308 (where absent).
    pub status: Option<u16>,
}

/// `rewrite`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewritePart {
    /// The path that the new side sees: `/api/{sku}`.
    pub path: Option<String>,
    /// The `Host` that the new side sees.
    pub host: Option<String>,
}

/// `request_headers`, `response_headers`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadersPart {
    /// Fields that replace those of their name.
    pub set: BTreeMap<String, String>,
    /// Fields that go.
    pub remove: Vec<String>,
}

/// `timeouts`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutsPart {
    /// To connect.
    pub connect: Option<Duration>,
    /// From the end of the request to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Between two steps of a body.
    pub idle: Option<Duration>,
    /// Between two steps of a gRPC call.
    pub stream: Option<Duration>,
    /// For everything.
    pub total: Option<Duration>,
    /// For one try.
    pub per_try: Option<Duration>,
}

/// `retries`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetriesPart {
    /// Tries after the first one; 0 to 10.
    pub tries: Option<u8>,
    /// Percent of the requests that retries may be.
    pub budget: Option<u8>,
    /// The pause before the first.
    pub backoff: Option<Duration>,
    /// The longest pause.
    pub backoff_longest: Option<Duration>,
    /// Answers that are tried again: 502, 503, 504.
    pub on: Option<Vec<u16>>,
}

/// `breaker`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPart {
    /// Failures in a row.
    pub failures: Option<u32>,
    /// Percent of a window's requests.
    pub rate: Option<u8>,
    /// The window.
    pub window: Option<Duration>,
    /// The least requests of a window.
    pub requests_min: Option<u32>,
    /// How long it stays open.
    pub open: Option<Duration>,
    /// Probes that close it.
    pub probes: Option<u32>,
}

/// `parking`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParkingPart {
    /// At most this many requests.
    pub requests: Option<u32>,
    /// And this many bytes of them.
    pub bytes: Option<ByteSize>,
    /// Each for at most this long.
    pub time: Option<Duration>,
    /// Let go over this time.
    pub resume: Option<Duration>,
}

/// `limits`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsPart {
    /// The largest request body.
    pub body: Option<ByteSize>,
    /// Requests at once.
    pub concurrency: Option<u32>,
    /// Requests that wait for a place.
    pub queue: Option<u32>,
    /// How long they wait.
    pub queue_time: Option<Duration>,
    /// `100/s`, `6000/m`, `10/250ms`.
    pub rate: Option<String>,
    /// How many of a rate at once.
    pub burst: Option<u32>,
    /// Who shares a rate: `route`, or as for `sticky`.
    pub rate_key: Option<String>,
    /// 0 to 9.
    pub priority: Option<u8>,
}

/// `pool`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolPart {
    /// Idle connections per endpoint and worker.
    pub idle: Option<u32>,
    /// How long one is kept.
    pub idle_time: Option<Duration>,
    /// Connections per endpoint and worker.
    pub connections: Option<u32>,
}

/// `health`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthPart {
    /// The path that is asked.
    pub path: Option<String>,
    /// The service that is asked for in gRPC.
    pub grpc: Option<String>,
    /// How often.
    pub interval: Option<Duration>,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// Good answers to be well.
    pub rise: Option<u32>,
    /// Bad ones to be ill.
    pub fall: Option<u32>,
}

/// `outlier`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutlierPart {
    /// Failures in a row.
    pub failures: Option<u32>,
    /// How long it is out.
    pub ejection: Option<Duration>,
    /// At most this share of the endpoints, in percent.
    pub ejected_max: Option<u8>,
}

/// A list, or its only entry without brackets.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text or a list of texts")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut all = Vec::new();
            while let Some(entry) = list.next_element()? {
                all.push(entry);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Visitor)
}
