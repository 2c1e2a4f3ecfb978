//! Routes: each one checked by itself; whether they stand in each other's way is [`overlap`](crate::route::overlap)'s.

use std::{collections::BTreeSet, sync::Arc};

use super::{merge, networks, upstreams::Upstreams};
use crate::{
    config::{
        HeaderEdits, Redirect, Rewrite, Route,
        document::{Config, HeadersPart, RoutePart},
        fault::{Fault, KeyPath},
        unknown::nearest,
    },
    http1::{Edits, Leniency},
    route::{
        Condition, KeySource, RouteId, Stage, Sticky, UpstreamId, Weight,
        bucket::salt,
        condition::Wanted,
        decide::AllowList,
        pattern::{HostPattern, PathPattern},
        table::Match,
        template::Template,
    },
};

/// The name of the monolith's own route in metrics and logs.
pub const REST: &str = "(rest)";

/// All routes, and the monolith's as the last.
pub fn routes(
    config: &Config,
    upstreams: &mut Upstreams<'_>,
    faults: &mut Vec<Fault>,
) -> Vec<Route> {
    let root = KeyPath::root();
    let path = root.key("routes");
    let monolith = match &config.from {
        Some(from) => upstreams.named(from, &root.key("from"), faults),
        None => {
            let what = "the monolith is missing: write `from = \"http://127.0.0.1:3000\"` at the top; it has every request that no route has";
            faults.push(Fault::at(&root.key("from"), what));
            None
        }
    };
    // Where it is missing the snapshot is never made, so any id will do to go on and find the other faults.
    let monolith = monolith.unwrap_or(UpstreamId(0));
    let mut names = BTreeSet::new();
    let mut made = Vec::with_capacity(config.routes.len() + 1);
    for (index, part) in config.routes.iter().enumerate() {
        let here = path.index(index);
        check_names(part, &here, &mut names, faults);
        let id = RouteId(u16::try_from(index).unwrap_or(u16::MAX));
        let mut making = Making { config, part, path: &here, upstreams, faults };
        made.push(making.route(id, monolith));
    }
    check_groups(config, &names, &path, faults);
    let rest = RoutePart { name: REST.to_owned(), ..RoutePart::default() };
    let id = RouteId(u16::try_from(config.routes.len()).unwrap_or(u16::MAX));
    let mut making = Making { config, part: &rest, path: &root.key("defaults"), upstreams, faults };
    let mut last = making.route(id, monolith);
    last.matched =
        Match { hosts: Box::new([]), paths: Box::new([]), condition: Condition::default() };
    made.push(last);
    made
}

fn check_names(
    part: &RoutePart,
    path: &KeyPath,
    names: &mut BTreeSet<String>,
    faults: &mut Vec<Fault>,
) {
    if part.name.is_empty() {
        faults.push(Fault::at(
            &path.key("name"),
            "a route needs a name: it is what metrics, logs and `toggle` use",
        ));
    } else if !merge::is_name(&part.name) {
        faults.push(Fault::at(
            &path.key("name"),
            "a name has letters, digits, `-`, `_` and `.`, 64 at most",
        ));
    } else if !names.insert(part.name.clone()) {
        faults.push(Fault::at(
            &path.key("name"),
            format_args!("`{}` is taken by a route above", part.name),
        ));
    }
    if part.group.as_deref().is_some_and(|group| !merge::is_name(group)) {
        faults.push(Fault::at(
            &path.key("group"),
            "a name has letters, digits, `-`, `_` and `.`, 64 at most",
        ));
    }
}

/// `toggle NAME` must mean one thing.
fn check_groups(
    config: &Config,
    names: &BTreeSet<String>,
    path: &KeyPath,
    faults: &mut Vec<Fault>,
) {
    for (index, part) in config.routes.iter().enumerate() {
        if let Some(group) = part.group.as_deref().filter(|group| names.contains(*group)) {
            let what = format_args!("`{group}` is the name of a route; a group needs its own, since both are toggled by name").to_string();
            faults.push(Fault::at(&path.index(index).key("group"), what));
        }
    }
}

/// A route under way.
struct Making<'a, 'c> {
    config: &'a Config,
    part: &'a RoutePart,
    path: &'a KeyPath,
    upstreams: &'a mut Upstreams<'c>,
    faults: &'a mut Vec<Fault>,
}

impl Making<'_, '_> {
    fn route(&mut self, id: RouteId, monolith: UpstreamId) -> Route {
        let (config, part, path) = (self.config, self.part, self.path);
        let defaults = &config.defaults;
        let tester = config.tester.secret.is_some().then_some(config.tester.header.as_str());
        let matched = self.matched();
        let from = self.upstream(part.from.as_deref(), "from").unwrap_or(monolith);
        let to = self.upstream(part.to.as_deref(), "to");
        let asks = self.upstreams.timeouts(to.unwrap_or(from));
        merge::check_timeouts(&part.timeouts, &path.key("timeouts"), self.faults);
        merge::check_retries(&part.retries, &path.key("retries"), self.faults);
        merge::check_breaker(&part.breaker, &path.key("breaker"), self.faults);
        let limits =
            merge::limits(&part.limits, &defaults.limits, &path.key("limits"), self.faults);
        let fallback = merge::fallback(part.fallback.as_ref(), &path.key("fallback"), self.faults)
            .or_else(|| {
                merge::fallback(
                    defaults.fallback.as_ref(),
                    &KeyPath::parse("defaults.fallback"),
                    self.faults,
                )
            });
        let addresses = path.key("allow").key("addresses");
        Route {
            id,
            name: Arc::from(part.name.as_str()),
            group: part.group.as_deref().map(Arc::from),
            from,
            to,
            stage: self.stage(),
            weight: part.weight.unwrap_or(match part.stage {
                Stage::Shadow => Weight::FULL,
                Stage::Off | Stage::Canary | Stage::Live | Stage::Retired => Weight::NONE,
            }),
            sticky: self.sticky(),
            allow: AllowList {
                keys: part.allow.keys.iter().map(|key| key.as_str().into()).collect(),
                addresses: networks(&part.allow.addresses, &addresses, self.faults).into(),
            },
            parked: false,
            replica: None,
            fallback: fallback.unwrap_or_default(),
            redirect: self.redirect(&matched),
            rewrite: self.rewrite(&matched),
            request_headers: self.edits(
                &part.request_headers,
                &path.key("request_headers"),
                tester,
            ),
            response_headers: self.edits(
                &part.response_headers,
                &path.key("response_headers"),
                None,
            ),
            timeouts: merge::timeouts([&part.timeouts, asks, &defaults.timeouts]),
            retries: merge::retries(&part.retries, &defaults.retries),
            breaker: merge::breaker(&part.breaker, &defaults.breaker),
            parking: merge::parking(&part.parking, &defaults.parking),
            limits,
            leniency: self.leniency(),
            matched,
        }
    }

    fn fault(&mut self, key: &str, what: impl std::fmt::Display) {
        self.faults.push(Fault::at(&self.path.key(key), what));
    }

    fn upstream(&mut self, text: Option<&str>, key: &str) -> Option<UpstreamId> {
        self.upstreams.named(text?, &self.path.key(key), self.faults)
    }

    fn stage(&mut self) -> Stage {
        let part = self.part;
        match part.stage {
            Stage::Off => {}
            Stage::Shadow | Stage::Canary | Stage::Live | Stage::Retired if part.to.is_none() => {
                self.fault("stage", format_args!("`{}` needs a new side: write `to`", part.stage));
            }
            Stage::Canary if part.weight.is_none() => {
                self.fault(
                    "stage",
                    "a canary needs a `weight`, the percentage of clients on the new side",
                );
            }
            Stage::Shadow | Stage::Canary | Stage::Live | Stage::Retired => {}
        }
        part.stage
    }

    fn matched(&mut self) -> Match {
        let part = self.part;
        let mut hosts = Vec::new();
        for (index, text) in part.host.iter().enumerate() {
            match HostPattern::parse(text) {
                Ok(host) => hosts.push(host),
                Err(error) => {
                    self.faults.push(Fault::at(&self.path.key("host").index(index), error))
                }
            }
        }
        if part.host.is_empty() {
            hosts.push(HostPattern::Any);
        }
        let mut paths = Vec::new();
        for (index, text) in part.path.iter().enumerate() {
            match PathPattern::parse(text) {
                Ok(path) => paths.push(path),
                Err(error) => {
                    self.faults.push(Fault::at(&self.path.key("path").index(index), error))
                }
            }
        }
        let mut condition = self.condition();
        self.grpc(&mut paths, &mut condition);
        if paths.is_empty() && part.path.is_empty() && part.grpc.is_empty() {
            paths.extend(PathPattern::parse("/{*rest}"));
        }
        Match { hosts: hosts.into(), paths: paths.into(), condition }
    }

    fn condition(&mut self) -> Condition {
        let part = self.part;
        for method in &part.method {
            let upper = method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
            if !upper || !merge::is_field_name(method) {
                self.fault(
                    "method",
                    format_args!("`{method}` is no method: they are written in capitals, `GET`"),
                );
            }
        }
        for name in part.header.keys() {
            if !merge::is_field_name(name) {
                self.fault("header", format_args!("`{name}` is no name of a header field"));
            }
        }
        let wanted = |value: &String| Wanted::parse(value);
        Condition {
            methods: part.method.iter().map(|method| method.as_str().into()).collect(),
            headers: part
                .header
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase().into(), wanted(value)))
                .collect(),
            query: part
                .query
                .iter()
                .map(|(name, value)| (name.as_str().into(), wanted(value)))
                .collect(),
        }
    }

    /// A gRPC call is a POST to `/package.Service/Method` whose content type begins with `application/grpc`.
    fn grpc(&mut self, paths: &mut Vec<PathPattern>, condition: &mut Condition) {
        let part = self.part;
        if part.grpc.is_empty() {
            return;
        }
        if !part.path.is_empty() || !part.method.is_empty() {
            self.fault("grpc", "says path and method itself: leave `path` and `method` out");
        }
        let word = |text: &str, extra: u8| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == extra)
        };
        for (index, text) in part.grpc.iter().enumerate() {
            let (service, method) = text.split_once('/').unwrap_or((text, "*"));
            let template = match method {
                "*" => format!("/{service}/{{method}}"),
                method => format!("/{service}/{method}"),
            };
            let good = word(service, b'.') && (method == "*" || word(method, b'_'));
            match PathPattern::parse(&template) {
                Ok(pattern) if good => paths.push(pattern),
                Ok(_) | Err(_) => self.faults.push(Fault::at(
                    &self.path.key("grpc").index(index),
                    format_args!(
                        "`{text}` is no service: write `shop.v1.Stock` or `shop.v1.Stock/Reserve`"
                    ),
                )),
            }
        }
        condition.methods = Box::new(["POST".into()]);
        let mut headers = condition.headers.to_vec();
        headers.push(("content-type".into(), Wanted::Prefix("application/grpc".into())));
        condition.headers = headers.into();
    }

    fn sticky(&mut self) -> Sticky {
        let part = self.part;
        let own = !part.sticky.is_empty();
        let texts = if own { &part.sticky } else { &self.config.defaults.sticky };
        let mut sources = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match KeySource::parse(text) {
                Ok(source) => sources.push(source),
                Err(error) if own => {
                    self.faults.push(Fault::at(&self.path.key("sticky").index(index), error));
                }
                // Said once, not once per route.
                Err(error) if &*self.part.name == REST => {
                    self.faults.push(Fault::at(&self.path.key("sticky").index(index), error));
                }
                Err(_) => {}
            }
        }
        if texts.is_empty() {
            sources.push(KeySource::Address);
        }
        let name = part.salt.as_deref().or(part.group.as_deref()).unwrap_or(&part.name);
        Sticky { sources: sources.into(), salt: salt(name) }
    }

    fn redirect(&mut self, matched: &Match) -> Option<Redirect> {
        let redirect = self.part.redirect.as_ref()?;
        let path = self.path.key("redirect");
        let status = redirect.status.unwrap_or(308);
        if ![301, 302, 303, 307, 308].contains(&status) {
            self.faults.push(Fault::at(&path.key("status"), "must be 301, 302, 303, 307 or 308"));
        }
        if self.part.to.is_some() {
            self.fault("to", "a redirect has no new side: leave `to` or `redirect` out");
        }
        let absolute =
            ["/", "http://", "https://"].iter().any(|start| redirect.to.starts_with(start));
        // `//host` is a URL of another host, and `/{rest}` may become one.
        if !absolute || redirect.to.starts_with("//") || redirect.to.starts_with("/{") {
            let what = "must begin with `/` and a fixed character, or with `https://` or `http://`";
            self.faults.push(Fault::at(&path.key("to"), what));
        }
        match Template::parse(&redirect.to, &matched.paths) {
            Ok(to) if to.may_change_host() => {
                let what = "lets the client choose the host: write a `/` before the parameter";
                self.faults.push(Fault::at(&path.key("to"), what));
                None
            }
            Ok(to) => Some(Redirect { to, status }),
            Err(error) => {
                self.faults.push(Fault::at(&path.key("to"), error));
                None
            }
        }
    }

    fn rewrite(&mut self, matched: &Match) -> Rewrite {
        let rewrite = &self.part.rewrite;
        let path = self.path.key("rewrite");
        let host = rewrite.host.as_deref();
        if host.is_some_and(|host| {
            host.is_empty() || !merge::is_field_value(host) || host.contains(['/', ' ', '@'])
        }) {
            self.faults.push(Fault::at(&path.key("host"), "is no host"));
        }
        let template = rewrite.path.as_deref().and_then(|text| {
            if !text.starts_with('/') || text.contains(['?', '#']) {
                self.faults.push(Fault::at(
                    &path.key("path"),
                    "must begin with `/` and have no `?` or `#`",
                ));
            }
            Template::parse(text, &matched.paths)
                .map_err(|error| self.faults.push(Fault::at(&path.key("path"), error)))
                .ok()
        });
        Rewrite { path: template, host: host.map(Into::into) }
    }

    fn edits(&mut self, part: &HeadersPart, path: &KeyPath, dropped: Option<&str>) -> HeaderEdits {
        let mut edits = Edits::default();
        for (index, name) in part.remove.iter().enumerate() {
            if let Err(error) = edits.remove(name) {
                self.faults.push(Fault::at(&path.key("remove").index(index), error));
            }
        }
        for (name, value) in &part.set {
            if let Err(error) = edits.set(name, value) {
                self.faults.push(Fault::at(&path.key("set").key(name), error));
            }
        }
        // A name that cannot be removed was told as a fault of the tester's part.
        drop(dropped.map(|name| edits.remove(name)));
        HeaderEdits {
            remove: part.remove.iter().map(|name| name.to_ascii_lowercase().into()).collect(),
            set: part
                .set
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
            edits,
        }
    }

    fn leniency(&mut self) -> Box<[Box<str>]> {
        let part = self.part;
        for (index, name) in part.leniency.iter().enumerate() {
            if Leniency::by_name(name).is_none() {
                let known: Vec<_> = Leniency::names().collect();
                let what = match nearest(name, known.iter().copied()) {
                    Some(meant) => format!("there is no `{name}`; did you mean `{meant}`?"),
                    None => format!("there is no `{name}`; there are {}", known.join(", ")),
                };
                self.faults.push(Fault::at(&self.path.key("leniency").index(index), what));
            }
        }
        part.leniency.iter().map(|name| name.as_str().into()).collect()
    }
}
