//! Upstreams: those that the file names, and those that a route or the file names by URL.

use std::{collections::BTreeMap, sync::Arc};

use super::merge;
use crate::{
    config::{
        Endpoint, Protocol, Upstream,
        document::{Config, TimeoutsPart, UpstreamPart, UpstreamTlsPart},
        fault::{Fault, KeyPath},
        unknown::nearest,
    },
    route::UpstreamId,
    tls::{Files, UpstreamTls},
};

/// The most upstreams and endpoints of one: more is a mistake of a generator.
const UPSTREAMS_MAX: usize = 5000;

/// All upstreams, growing while routes name some by URL.
pub struct Upstreams<'c> {
    config: &'c Config,
    files: &'c mut Files,
    /// TLS of each kind that was asked for, made once: thousands of routes may name `https` URLs.
    secured: Vec<(UpstreamTlsPart, Option<Arc<UpstreamTls>>)>,
    found: Vec<Upstream>,
    ids: BTreeMap<String, UpstreamId>,
    parts: Vec<&'c TimeoutsPart>,
}

/// An upstream that is named by URL has nothing of its own.
static NOTHING: TimeoutsPart = TimeoutsPart {
    connect: None,
    first_byte: None,
    idle: None,
    stream: None,
    total: None,
    per_try: None,
};

impl<'c> Upstreams<'c> {
    pub fn new(config: &'c Config, files: &'c mut Files, faults: &mut Vec<Fault>) -> Self {
        let (found, ids, parts, secured) = (Vec::new(), BTreeMap::new(), Vec::new(), Vec::new());
        let mut all = Self { config, files, secured, found, ids, parts };
        let path = KeyPath::root().key("upstreams");
        merge::check_defaults(&config.defaults, faults);
        for (name, part) in &config.upstreams {
            let here = path.key(name);
            if !merge::is_name(name) {
                faults.push(Fault::at(
                    &here,
                    "a name has letters, digits, `-`, `_` and `.`, 64 at most",
                ));
            }
            let mut endpoints = Vec::new();
            for (index, text) in part.endpoints.iter().enumerate() {
                match Endpoint::parse(text) {
                    Ok(endpoint) => endpoints.push(endpoint),
                    Err(error) => {
                        faults.push(Fault::at(&here.key("endpoints").index(index), error))
                    }
                }
            }
            endpoints.extend(part.endpoints_file.clone().map(Endpoint::File));
            if part.endpoints.is_empty() && part.endpoints_file.is_none() {
                faults.push(Fault::at(
                    &here,
                    "has no endpoint: write `endpoints = [\"http://127.0.0.1:3000\"]`",
                ));
            }
            merge::check_upstream(part, &here, faults);
            let texts = || part.endpoints.iter();
            let (any, every) = (texts().any(is_http2), texts().all(is_http2));
            if any && (!every || part.protocol == Some(Protocol::Http1)) {
                faults.push(Fault::at(
                    &here.key("endpoints"),
                    "an upstream speaks one protocol: write `h2c://` for all of them, or `http://` and `protocol = \"http2\"`",
                ));
            }
            let tls = all.secured(&endpoints, part.tls.as_ref(), &here.key("tls"), faults);
            all.push(name, (endpoints, tls), part, &part.timeouts);
            all.speaks_http2_if(any);
        }
        all
    }

    /// The upstream that `text` means: a name, or a URL.
    pub fn named(
        &mut self,
        text: &str,
        path: &KeyPath,
        faults: &mut Vec<Fault>,
    ) -> Option<UpstreamId> {
        if let Some(id) = self.ids.get(text) {
            return Some(*id);
        }
        if !text.contains(':') {
            let hint = nearest(text, self.config.upstreams.keys())
                .map(|meant| format!("; did you mean `{meant}`?"))
                .unwrap_or_else(|| format!(": write [upstreams.{text}], or a URL here"));
            faults.push(Fault::at(path, format_args!("there is no upstream `{text}`{hint}")));
            return None;
        }
        match Endpoint::parse(text) {
            Ok(endpoint) if self.found.len() < UPSTREAMS_MAX => {
                let endpoints = vec![endpoint];
                let tls = self.secured(&endpoints, None, path, faults);
                let id = self.push(text, (endpoints, tls), &UpstreamPart::default(), &NOTHING);
                self.speaks_http2_if(is_http2(text));
                Some(id)
            }
            Ok(_) => {
                faults
                    .push(Fault::at(path, format_args!("there may be {UPSTREAMS_MAX} upstreams")));
                None
            }
            Err(error) => {
                faults.push(Fault::at(path, error));
                None
            }
        }
    }

    /// The time-outs that an upstream asks for.
    pub fn timeouts(&self, id: UpstreamId) -> &'c TimeoutsPart {
        self.parts.get(usize::from(id.0)).copied().unwrap_or(&NOTHING)
    }

    pub fn finish(self) -> Vec<Upstream> {
        self.found
    }

    /// Of the last one: its URL says so.
    fn speaks_http2_if(&mut self, is_so: bool) {
        if let Some(last) = self.found.last_mut().filter(|_| is_so) {
            last.protocol = Protocol::Http2;
        }
    }

    fn push(
        &mut self,
        name: &str,
        (endpoints, tls): (Vec<Endpoint>, Option<Arc<UpstreamTls>>),
        part: &UpstreamPart,
        timeouts: &'c TimeoutsPart,
    ) -> UpstreamId {
        let id = UpstreamId(u16::try_from(self.found.len()).unwrap_or(u16::MAX));
        self.ids.insert(name.to_owned(), id);
        self.parts.push(timeouts);
        let name = Arc::from(name);
        let made = merge::upstream(name, endpoints, part, &self.config.defaults);
        self.found.push(Upstream { tls, ..made });
        id
    }

    /// TLS for these endpoints, where any of them wants it. What the lines of a file say is not known yet: there `tls` says
    /// that some may be `https`.
    fn secured(
        &mut self,
        endpoints: &[Endpoint],
        part: Option<&UpstreamTlsPart>,
        path: &KeyPath,
        faults: &mut Vec<Fault>,
    ) -> Option<Arc<UpstreamTls>> {
        let is_secure = endpoints.iter().any(|it| matches!(it, Endpoint::Secure { .. }));
        let has_file = endpoints.iter().any(|it| matches!(it, Endpoint::File(_)));
        let plain = UpstreamTlsPart::default();
        let part = match part {
            Some(_) if !is_secure && !has_file => {
                faults.push(Fault::at(path, "says nothing, for no endpoint is `https://`"));
                return None;
            }
            None if !is_secure => return None,
            part => part.unwrap_or(&plain),
        };
        if let Some((_, known)) = self.secured.iter().find(|(known, _)| known == part) {
            return known.clone();
        }
        let made = UpstreamTls::new(part, path, self.files, faults).map(Arc::new);
        self.secured.push((part.clone(), made.clone()));
        made
    }
}

/// By prior knowledge, in the clear.
fn is_http2(text: impl AsRef<str>) -> bool {
    text.as_ref().starts_with("h2c://")
}
