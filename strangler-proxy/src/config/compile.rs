//! From what the file says to what the engine works from. All faults are collected, so that one look at the file is enough.

mod listeners;
mod merge;
mod routes;
mod upstreams;

use std::{collections::BTreeMap, net::IpAddr, path::Path, sync::Arc};

use super::{
    AdminPlace, Client, Files, Kill, Revision, Route, Snapshot, Tester,
    document::{Config, FilesPart, RoutePart},
    fault::{Fault, KeyPath},
};
use crate::{
    http1::Edits,
    route::{Table, decide::Network, overlap},
    tls,
};

/// What is held over the file's word while the process runs: it outlives a reload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    /// The kill switch.
    pub kill: Option<Kill>,
    /// Routes that are parked, by name.
    pub parked: BTreeMap<String, ()>,
}

/// The most routes: their number is 16 bits wide, and checking each pair of more would take seconds.
const ROUTES_MAX: usize = 5000;

/// The most paths and hosts of all routes together, for the same reason: each of a route is held against each of another.
const PATTERNS_MAX: usize = 10_000;

/// The shortest tester's secret: it stands in for a login.
const TESTER_SECRET_MIN: usize = 16;

/// Where the proxy's files go where the configuration does not say: beside it.
#[derive(Debug, Clone, Copy)]
pub struct Home<'p> {
    /// The configuration file.
    pub file: Option<&'p Path>,
}

/// Checks everything and makes the snapshot.
pub fn compile(
    config: &Config,
    home: Home<'_>,
    revision: Revision,
) -> Result<Snapshot, Vec<Fault>> {
    let mut faults = Vec::new();
    let root = KeyPath::root();
    if config.routes.len() > ROUTES_MAX {
        faults
            .push(Fault::at(&root.key("routes"), format_args!("there may be {ROUTES_MAX} routes")));
        return Err(faults);
    }
    let of_route = |route: &RoutePart| route.path.len() + route.grpc.len() + route.host.len();
    if config.routes.iter().map(of_route).sum::<usize>() > PATTERNS_MAX {
        let what = format_args!("all together may have {PATTERNS_MAX} paths and hosts").to_string();
        return Err(vec![Fault::at(&root.key("routes"), what)]);
    }
    let mut material = tls::Files::new(home.file, tls::now());
    let listeners = listeners::listeners(config, &mut material, &mut faults);
    let mut upstreams = upstreams::Upstreams::new(config, &mut material, &mut faults);
    let routes = routes::routes(config, &mut upstreams, &mut faults);
    let matches = routes.iter().map(|route| &route.matched);
    overlap::check(&routes, &config.routes, &mut faults);
    let table = Table::new(matches.take(config.routes.len()));
    let files = files(&config.files, home);
    let upstreams = upstreams.finish();
    let snapshot = Snapshot {
        generation: 0,
        revision,
        listeners: listeners.into(),
        workers: workers(config, &mut faults),
        upstreams: upstreams.into(),
        table: table.into(),
        kill: None,
        client: client(config, &mut faults),
        tester: tester(config, &mut faults),
        admin: admin(config, home, &mut faults),
        files,
        access_log: config.access_log,
        watched: material.watched().into(),
        material: material.digest(),
        warnings: material.warnings.into(),
        writers: Arc::default(),
        identities: Box::default(),
        routes: routes.into(),
    };
    if faults.is_empty() { Ok(snapshot) } else { Err(faults) }
}

impl Snapshot {
    /// The same with what is held over the file's word.
    #[must_use]
    pub fn held(mut self, holds: &Holds) -> Self {
        self.kill.clone_from(&holds.kill);
        let is_parked = |route: &Route| holds.parked.contains_key(&*route.name);
        // Mostly nothing is, and then a thousand routes are not there twice.
        if self.routes.iter().any(|route| route.parked != is_parked(route)) {
            let held = |route: &Route| Route { parked: is_parked(route), ..route.clone() };
            self.routes = self.routes.iter().map(held).collect();
        }
        self
    }
}

fn workers(config: &Config, faults: &mut Vec<Fault>) -> Option<u16> {
    if config.workers.is_some_and(|workers| workers == 0 || workers > 1024) {
        faults.push(Fault::at(
            &KeyPath::root().key("workers"),
            "write 1 to 1024, or leave it out for one per core",
        ));
    }
    config.workers
}

fn client(config: &Config, faults: &mut Vec<Fault>) -> Client {
    let part = &config.client;
    let path = KeyPath::root().key("client");
    let mut at_least = |key: &str, value: u64, least: u64, most: u64| {
        if value < least || value > most {
            faults.push(Fault::at(&path.key(key), format_args!("must be {least} to {most}")));
        }
    };
    at_least("head", part.head.get(), 1024, 1 << 20);
    at_least("target", part.target.get(), 256, 64 << 10);
    at_least("fields", part.fields.into(), 10, 1000);
    at_least("connections", part.connections.into(), 1, 1_000_000);
    at_least("streams", part.streams.into(), 1, 1000);
    if part.target > part.head {
        faults
            .push(Fault::at(&path.key("target"), "cannot be above `head`, of which it is a part"));
    }
    for (key, time) in [("head_time", part.head_time), ("body_idle", part.body_idle)] {
        if time.get().is_zero() {
            faults.push(Fault::at(&path.key(key), "must be above 0"));
        }
    }
    let forwarded = KeyPath::root().key("forwarded");
    let trusted = networks(&config.forwarded.trust, &forwarded.key("trust"), faults);
    let pseudonym = config.forwarded.pseudonym.as_deref().unwrap_or("strangler-proxy");
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if pseudonym.is_empty() || !pseudonym.bytes().all(token) {
        faults
            .push(Fault::at(&forwarded.key("pseudonym"), "has letters, digits, `-`, `.` and `_`"));
    }
    Client {
        head_time: part.head_time.get(),
        body_idle: part.body_idle.get(),
        body_rate_min: part.body_rate_min.get(),
        keep_alive: part.keep_alive.get(),
        head_bytes: part.head.as_usize(),
        fields: part.fields.into(),
        target_bytes: part.target.as_usize(),
        connections: usize::try_from(part.connections).unwrap_or(usize::MAX),
        http2: part.http2,
        http2_streams: part.streams,
        drain: part.drain.get(),
        trusted: trusted.into(),
        pseudonym: pseudonym.into(),
    }
}

fn networks(texts: &[String], path: &KeyPath, faults: &mut Vec<Fault>) -> Vec<Network> {
    let mut found = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Network::parse(text) {
            Ok(network) => found.push(network),
            Err(error) => faults.push(Fault::at(&path.index(index), error)),
        }
    }
    found
}

fn tester(config: &Config, faults: &mut Vec<Fault>) -> Option<Tester> {
    let path = KeyPath::root().key("tester");
    let secret = config.tester.secret.clone()?;
    if secret.expose().len() < TESTER_SECRET_MIN {
        faults.push(Fault::at(
            &path.key("secret"),
            format_args!("must have at least {TESTER_SECRET_MIN} characters"),
        ));
    }
    if let Err(error) = Edits::default().remove(&config.tester.header) {
        faults.push(Fault::at(&path.key("header"), error));
    }
    Some(Tester { header: config.tester.header.to_ascii_lowercase().into(), secret })
}

fn admin(config: &Config, home: Home<'_>, faults: &mut Vec<Fault>) -> Option<AdminPlace> {
    let part = &config.admin;
    let path = KeyPath::root().key("admin");
    if !part.enabled {
        return None;
    }
    if let Some(token) = &part.token {
        let plain = token.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || !(16..=200).contains(&token.expose().len()) {
            faults.push(Fault::at(&path.key("token"), "must be 16 to 200 visible characters"));
        }
    }
    let Ok(listen) = part.listen.parse::<std::net::SocketAddr>() else {
        let what =
            format_args!("`{}` is no address: write `127.0.0.1:9901`", part.listen).to_string();
        faults.push(Fault::at(&path.key("listen"), what));
        return None;
    };
    if config.listen.iter().any(|entry| entry.address().parse() == Ok(listen)) && listen.port() != 0
    {
        faults.push(Fault::at(
            &path.key("listen"),
            "is the address of a public listener; the admin API needs its own",
        ));
    }
    let loopback = match listen.ip() {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback(),
    };
    if !loopback && part.token.is_none() {
        faults.push(Fault::at(
            &path.key("listen"),
            "is not on the loopback: set `token` too, so that opening it to the network is a decision",
        ));
    }
    let token_file = part.token_file.clone().unwrap_or_else(|| beside(home, "admin-token"));
    Some(AdminPlace { listen, token: part.token.clone(), token_file })
}

fn files(part: &FilesPart, home: Home<'_>) -> Files {
    let or = |given: &Option<std::path::PathBuf>, end| {
        given.clone().unwrap_or_else(|| beside(home, end))
    };
    Files {
        audit: or(&part.audit, "audit.jsonl"),
        state: or(&part.state, "state.toml"),
        kill: or(&part.kill, "kill"),
        handover: or(&part.handover, "handover.sock"),
    }
}

/// `shop.toml` has `shop.audit.jsonl` beside it.
fn beside(home: Home<'_>, end: &str) -> std::path::PathBuf {
    let file = home.file.unwrap_or(Path::new("strangler-proxy.toml"));
    file.with_extension(end)
}
