//! What the engine works from: everything that the file says, checked, resolved and immutable.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use settings::Secret;

use super::{Breaker, Fallback, Fault, Limits, Parking, Retries, Timeouts, Upstream};
use crate::http1::Edits;
use crate::route::{
    KeySource, Replica, RouteId, Stage, Sticky, Table, UpstreamId, Weight, Writers,
    decide::{AllowList, Network},
    pattern::PathPattern,
    table::Match,
    template::Template,
};
use crate::tls::{ListenerTls, UpstreamTls};

/// A configuration in force. Workers hold it through an `ArcSwap` and look once per request.
///
/// Invariant: `routes` is not empty; its last entry is the monolith's and has no pattern; every [`RouteId`] that the table
/// gives and every [`UpstreamId`] in a route has its entry.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Rises with every change in this process, the kill switch included.
    pub generation: u64,
    /// What the file (and the state file over it) says, as a hash: the same text has the same revision in every process.
    pub revision: Revision,
    /// Where requests come in.
    pub listeners: Arc<[Listener]>,
    /// How many worker threads; none means one per core.
    pub workers: Option<u16>,
    /// Who is asked.
    pub upstreams: Arc<[Upstream]>,
    /// The routes in the file's order, and the monolith's as the last.
    pub routes: Arc<[Route]>,
    /// Finds the route of a request.
    pub table: Arc<Table>,
    /// The kill switch, where it is on.
    pub kill: Option<Kill>,
    /// What clients may do.
    pub client: Client,
    /// Testers may choose a side with a header.
    pub tester: Option<Tester>,
    /// The admin API; none where it is switched off.
    pub admin: Option<AdminPlace>,
    /// The files that steering keeps.
    pub files: Files,
    /// Is each request written to the access log?
    pub access_log: bool,
    /// The files of TLS, which are watched like the configuration itself.
    pub watched: Arc<[PathBuf]>,
    /// A hash of what they said.
    pub material: [u8; 32],
    /// What works, but wants somebody's attention.
    pub warnings: Arc<[Fault]>,
    /// Who has written of late, where reads are moved ahead. The same one in every snapshot of a proxy.
    pub writers: Arc<Writers>,
    /// How the clients whose reads are moved are told apart: the keys of each way, in their order.
    pub identities: Box<[Box<[KeySource]>]>,
}

impl Snapshot {
    /// A route.
    pub fn route(&self, id: RouteId) -> &Route {
        let rest = || self.routes.last().expect("a snapshot has the monolith's route");
        self.routes.get(usize::from(id.0)).unwrap_or_else(rest)
    }

    /// The id of the monolith's route, which has all that no other has.
    pub fn rest(&self) -> RouteId {
        RouteId(u16::try_from(self.routes.len().saturating_sub(1)).unwrap_or(u16::MAX))
    }

    /// An upstream.
    pub fn upstream(&self, id: UpstreamId) -> &Upstream {
        self.upstreams
            .get(usize::from(id.0))
            .expect("every upstream that a route names is in the snapshot")
    }

    /// Takes over what has not changed of the TLS in force, and with it the sessions that clients and upstreams may resume.
    pub fn take_over(&mut self, before: &Self) {
        let keep = |mut listener: Listener| {
            let mut known = before.listeners.iter().filter_map(|known| known.tls.as_ref());
            if let Some(known) = known.find(|known| Some(*known) == listener.tls.as_ref()) {
                listener.tls = Some(Arc::clone(known));
            }
            listener
        };
        self.listeners = self.listeners.iter().cloned().map(keep).collect();
        if self.upstreams.iter().all(|upstream| upstream.tls.is_none()) {
            return;
        }
        let known: HashMap<[u8; 32], &Arc<UpstreamTls>> = before
            .upstreams
            .iter()
            .filter_map(|it| it.tls.as_ref())
            .map(|it| (it.digest(), it))
            .collect();
        let keep = |mut upstream: Upstream| {
            let found = upstream.tls.as_ref().and_then(|tls| known.get(&tls.digest()));
            if let Some(found) = found {
                upstream.tls = Some(Arc::clone(found));
            }
            upstream
        };
        self.upstreams = self.upstreams.iter().cloned().map(keep).collect();
    }

    /// The routes that a name means: one route, or all of a group.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Route> {
        let route = self.routes.iter().any(|route| &*route.name == name);
        self.routes.iter().filter(move |candidate| {
            if route { &*candidate.name == name } else { candidate.group.as_deref() == Some(name) }
        })
    }
}

/// A hash of a configuration's text: the version that an edit expects.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Revision(pub [u8; 6]);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where requests come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address.
    pub address: ListenAddress,
    /// TLS; plain where absent.
    pub tls: Option<Arc<ListenerTls>>,
    /// The port that every client is sent to by `https`.
    pub https_redirect: Option<u16>,
}

/// An address to listen at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket, by its path.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One toggle with all that belongs to it.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its place in the file.
    pub id: RouteId,
    /// Its name: unique, and what metrics, logs and `toggle` use.
    pub name: Arc<str>,
    /// The group that it is toggled with.
    pub group: Option<Arc<str>>,
    /// What it matches; for the monolith's own route nothing, as it takes the rest.
    pub matched: Match,
    /// The old side.
    pub from: UpstreamId,
    /// The new side.
    pub to: Option<UpstreamId>,
    /// How far it has been moved.
    pub stage: Stage,
    /// The share of clients in a canary, or of requests that a shadow copies.
    pub weight: Weight,
    /// What keeps a client on its side.
    pub sticky: Sticky,
    /// Who is in the canary in any case.
    pub allow: AllowList,
    /// Are its requests held for now?
    pub parked: bool,
    /// Its new side is a replica of what the old one owns: it is asked for reads alone, and only where it holds what the
    /// client knows.
    pub replica: Option<Arc<Replica>>,
    /// What happens while the new side is down.
    pub fallback: Fallback,
    /// An answer that sends clients elsewhere.
    pub redirect: Option<Redirect>,
    /// What is changed of the target on the way to the new side. The old side gets it as it came.
    pub rewrite: Rewrite,
    /// What is changed of the request's fields.
    pub request_headers: HeaderEdits,
    /// What is changed of the answer's fields.
    pub response_headers: HeaderEdits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Second tries.
    pub retries: Retries,
    /// When a side is no longer asked.
    pub breaker: Breaker,
    /// How much may be held.
    pub parking: Parking,
    /// How much may be under way.
    pub limits: Limits,
    /// The names of the relaxations that its legacy clients need.
    pub leniency: Box<[Box<str>]>,
}

impl Route {
    /// Its path templates.
    pub fn paths(&self) -> &[PathPattern] {
        &self.matched.paths
    }
}

/// An answer that sends clients elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where to: filled with the request's parts by [`Template::fill`].
    pub to: Template,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// What is changed of the target on its way to the new side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// The path, without the query, which stays.
    pub path: Option<Template>,
    /// The `Host` that the upstream sees.
    pub host: Option<Box<str>>,
}

/// What is changed of a message's fields: first what goes, then what is set.
#[derive(Debug, Clone, Default)]
pub struct HeaderEdits {
    /// Names in lower case: every field of this name goes.
    pub remove: Box<[Box<str>]>,
    /// Names (as written) and values: replaces every field of this name.
    pub set: Box<[(Box<str>, Box<str>)]>,
    /// The same as the engine carries it out; of a request also the tester's header goes.
    pub edits: Edits,
}

impl HeaderEdits {
    /// Is there nothing to change?
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty()
    }
}

/// What clients may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// How long a head may take to arrive.
    pub head_time: Duration,
    /// How long a body may make no progress.
    pub body_idle: Duration,
    /// The bytes of a body that must come or be taken in a second, on average after pauses of `body_idle` in all; 0 for
    /// any number.
    pub body_rate_min: u64,
    /// How long a connection may be idle between requests.
    pub keep_alive: Duration,
    /// The largest head in bytes.
    pub head_bytes: usize,
    /// The most header fields.
    pub fields: usize,
    /// The longest target in bytes.
    pub target_bytes: usize,
    /// The most connections per listener and worker.
    pub connections: usize,
    /// Is HTTP/2 spoken with those that begin with it?
    pub http2: bool,
    /// The most requests at once on a connection of HTTP/2.
    pub http2_streams: u32,
    /// How long requests in flight may take to end once the proxy was told to stop.
    pub drain: Duration,
    /// Whose `X-Forwarded-*` and `Forwarded` fields are believed.
    pub trusted: Box<[Network]>,
    /// The name that the proxy gives itself in `Via`, `Forwarded` and `Proxy-Status`.
    pub pseudonym: Box<str>,
}

impl Client {
    /// Are the forwarding fields of this peer believed?
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

/// Testers may choose a side with a header. It is never passed on: every route's request edits remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tester {
    /// The header's name in lower case.
    pub header: Box<str>,
    /// What must be said with it.
    pub secret: Secret<String>,
}

/// Where the admin API listens and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminPlace {
    /// The address, on the loopback unless the file says otherwise.
    pub listen: SocketAddr,
    /// The token, where the file has it.
    pub token: Option<Secret<String>>,
    /// Where the token is kept, where the file has none.
    pub token_file: PathBuf,
}

/// The files that steering keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The log of every change.
    pub audit: PathBuf,
    /// Toggles, where the configuration file cannot be written.
    pub state: PathBuf,
    /// While this file is there, the kill switch is on.
    pub kill: PathBuf,
    /// Where another binary takes over the listening sockets.
    pub handover: PathBuf,
}

/// The kill switch is on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Kill {
    /// Who or what has switched it on.
    pub source: KillSource,
    /// Why, where it was said.
    pub reason: String,
}

/// What has switched the kill switch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KillSource {
    /// The kill file is there.
    File,
    /// A signal.
    Signal,
    /// The admin API.
    Api,
}
