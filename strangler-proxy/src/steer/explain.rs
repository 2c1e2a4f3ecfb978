//! What would happen to a request, and why: the decision itself, in words.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    config::{HeaderEdits, Route, Snapshot},
    http1::{Leniency, normalise},
    route::{Act, Facts, Headers, Side, Stage, State, Weight, decide, pattern::bare_host},
};

/// A request that somebody asks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// `http://shop.example/v1/stock/7?x=1`, or only `/v1/stock/7`.
    pub url: String,
    /// Header fields.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
}

/// Why a request cannot be explained: it would never be routed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The URL is none.
    #[error("`{0}` is no URL: write `http://host/path` or `/path`")]
    Url(String),
    /// The path is refused before it is routed.
    #[error("the path is refused before it is routed: {0}")]
    Refused(String),
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The revision of the configuration that says so.
    pub revision: String,
    /// The path as it is matched and sent on.
    pub path: String,
    /// The route, `(rest)` where none fits.
    pub route: String,
    /// Its group.
    pub group: Option<String>,
    /// Its stage.
    pub stage: Stage,
    /// Its weight.
    pub weight: Weight,
    /// `forward`, `park` or `redirect`.
    pub act: String,
    /// `old` or `new`.
    pub side: String,
    /// Why, in a word.
    pub why: String,
    /// Why, in a sentence.
    pub because: String,
    /// The upstream and its endpoints.
    pub upstream: String,
    /// Where its endpoints come from.
    pub endpoints: Vec<String>,
    /// What the client is sticky by, `cookie:sid`.
    pub key: Option<String>,
    /// Its bucket, 0 to 9999; on the new side where it is below the weight times 100.
    pub bucket: Option<u16>,
    /// Who gets a copy.
    pub shadow: Option<String>,
    /// The target as the upstream sees it.
    pub target: String,
    /// The `Host` as the upstream sees it.
    pub host: String,
    /// Where a redirect leads, with its status.
    pub redirect: Option<String>,
    /// What is changed of the request's fields: `- name` and `+ name: value`.
    pub request_headers: Vec<String>,
    /// What is changed of the answer's fields.
    pub response_headers: Vec<String>,
}

/// Explains. The state says which upstreams are usable: the running proxy's, or that all are.
pub fn explain(
    asked: &Asked,
    snapshot: &Snapshot,
    state: &dyn State,
) -> Result<Explanation, AskError> {
    let (authority, path, query) = parts(asked)?;
    let host = match (authority.is_empty(), asked.headers.single("host")) {
        (true, Some(host)) => String::from_utf8_lossy(host).into_owned(),
        (true, None) => "localhost".to_owned(),
        (false, _) => authority.to_owned(),
    };
    let mut normal = Vec::new();
    if path == "*" {
        normal.extend_from_slice(b"*");
    } else {
        // All that some route forgives is forgiven while the route is looked for, as the engine does it.
        let permitted = snapshot.routes.iter().flat_map(|route| &route.leniency);
        let permitted = permitted.filter_map(|name| Leniency::by_name(name));
        let permitted = permitted.fold(Leniency::NONE, Leniency::with);
        normalise(path.as_bytes(), permitted, &mut normal)
            .map_err(|cause| AskError::Refused(cause.as_str().to_owned()))?;
    }
    let facts = Facts {
        method: asked.method.as_bytes(),
        host: host.as_bytes(),
        path: &normal,
        query: query.as_bytes(),
        client: asked.client,
        headers: &asked.headers,
    };
    Ok(told(&facts, snapshot, state))
}

fn parts(asked: &Asked) -> Result<(&str, &str, &str), AskError> {
    let bad = || AskError::Url(asked.url.clone());
    let url = asked.url.split('#').next().unwrap_or_default();
    let (target, query) = url.split_once('?').unwrap_or((url, ""));
    let rest = ["http://", "https://"].iter().find_map(|scheme| target.strip_prefix(scheme));
    match rest {
        None if target.starts_with('/') || target == "*" => Ok(("", target, query)),
        None => Err(bad()),
        Some(rest) => {
            let at = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(at).ok_or_else(bad)?;
            let path = if path.is_empty() { "/" } else { path };
            if authority.is_empty() { Err(bad()) } else { Ok((authority, path, query)) }
        }
    }
}

fn told(facts: &Facts<'_>, snapshot: &Snapshot, state: &dyn State) -> Explanation {
    let decision = decide(facts, snapshot, state);
    let route = snapshot.route(decision.route);
    let upstream = snapshot.upstream(decision.upstream);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let to_new = decision.side == Side::New;
    let mut target = Vec::new();
    match route.rewrite.path.as_ref().filter(|_| to_new) {
        Some(template) => template.fill(facts, route.paths(), &mut target),
        None => target.extend_from_slice(facts.path),
    }
    if !facts.query.is_empty() {
        target.push(b'?');
        target.extend_from_slice(facts.query);
    }
    let rewritten = route.rewrite.host.as_deref().filter(|_| to_new);
    let host =
        rewritten.or(upstream.host.as_deref()).map_or_else(|| text(facts.host), str::to_owned);
    let redirect = route.redirect.as_ref().map(|redirect| {
        let mut to = Vec::new();
        redirect.to.fill(facts, route.paths(), &mut to);
        format!("{} {}", redirect.status, text(&to))
    });
    let moves =
        matches!(route.stage, Stage::Canary | Stage::Shadow) && decision.act != Act::Redirect;
    Explanation {
        revision: snapshot.revision.to_string(),
        path: text(facts.path),
        route: route.name.to_string(),
        group: route.group.as_deref().map(str::to_owned),
        stage: route.stage,
        weight: route.weight,
        act: act(decision.act).to_owned(),
        side: decision.side.as_str().to_owned(),
        why: decision.why.as_str().to_owned(),
        because: because(facts, route, snapshot, decision.why.sentence()),
        upstream: upstream.name.to_string(),
        endpoints: upstream.endpoints.iter().map(ToString::to_string).collect(),
        key: route.sticky.key(facts).filter(|_| moves).map(|(source, _)| source.to_string()),
        bucket: decision.bucket.map(crate::route::Bucket::number),
        shadow: decision.shadow.map(|id| snapshot.upstream(id).name.to_string()),
        target: text(&target),
        host,
        redirect,
        request_headers: edits(&route.request_headers),
        response_headers: edits(&route.response_headers),
    }
}

fn because(facts: &Facts<'_>, route: &Route, snapshot: &Snapshot, sentence: &str) -> String {
    let kill =
        snapshot.kill.as_ref().map(|kill| kill.reason.as_str()).filter(|why| !why.is_empty());
    let parked = if route.parked { "; the route is parked" } else { "" };
    let host = String::from_utf8_lossy(bare_host(facts.host));
    match kill {
        Some(reason) => format!("{sentence} ({reason}){parked}"),
        None if route.matched.hosts.is_empty() => format!("{sentence} (host {host}){parked}"),
        None => format!("{sentence}{parked}"),
    }
}

const fn act(act: Act) -> &'static str {
    match act {
        Act::Forward => "forward",
        Act::Park => "park",
        Act::Redirect => "redirect",
    }
}

fn edits(edits: &HeaderEdits) -> Vec<String> {
    let removed = edits.remove.iter().map(|name| format!("- {name}"));
    removed.chain(edits.set.iter().map(|(name, value)| format!("+ {name}: {value}"))).collect()
}
