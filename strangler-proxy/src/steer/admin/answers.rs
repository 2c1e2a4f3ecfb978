//! What the admin API takes and gives; the command line reads it back.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    config::{Kill, Route, Snapshot},
    route::{Stage, Weight},
    steer::{ConfigState, Engine, Figures, Steering},
};

/// `GET /status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The proxy's version.
    pub version: String,
    /// The revision in force.
    pub revision: String,
    /// Rises with every change in this process.
    pub generation: u64,
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// How the files stand to what is in force.
    pub config: ConfigState,
    /// The kill switch, where it is on.
    pub kill: Option<KillStatus>,
    /// Where requests come in.
    pub listeners: Vec<String>,
    /// The routes.
    pub routes: Vec<RouteStatus>,
    /// The numbers.
    pub figures: Figures,
}

/// The kill switch is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KillStatus {
    /// `file`, `signal` or `api`.
    pub source: String,
    /// Why.
    pub reason: String,
}

/// A route in tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// What it matches, in a line.
    pub matches: String,
    /// Its stage.
    pub stage: Stage,
    /// Its weight.
    pub weight: Weight,
    /// The old side.
    pub from: String,
    /// The new side.
    pub to: Option<String>,
    /// Is it parked?
    pub parked: bool,
    /// Is its toggle from the state file, not from the configuration?
    pub over_the_file: bool,
}

/// `PUT /toggles/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToggleWish {
    /// The stage; `canary` where only a weight is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The weight; as it stands where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who, where the caller asks for somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

/// `PUT /kill`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KillWish {
    /// Why.
    pub reason: String,
    /// Who, where the caller asks for somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

/// The kill switch after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Switched {
    /// The switch, where it is on.
    pub kill: Option<KillStatus>,
    /// What should be known.
    pub notes: Vec<String>,
}

/// `PUT /parked/{name}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParkWish {
    /// Why.
    pub reason: String,
    /// Waits this long for the requests inside to end, `2s`; not at all where absent.
    pub drain: Option<settings::Duration>,
}

/// What is parked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// The routes.
    pub routes: Vec<String>,
    /// Have all requests ended that were inside? Absent where nobody waited for it.
    pub drained: Option<bool>,
}

/// `DELETE /parked/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undone {
    /// The routes.
    pub routes: Vec<String>,
}

impl From<&Kill> for KillStatus {
    fn from(kill: &Kill) -> Self {
        let source = serde_json::to_value(kill.source).unwrap_or_default();
        let source = source.as_str().unwrap_or_default().to_owned();
        Self { source, reason: kill.reason.clone() }
    }
}

impl Status {
    /// How a proxy stands.
    pub fn of(steering: &Steering, engine: &dyn Engine) -> Self {
        let snapshot = steering.shared().get();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: snapshot.revision.to_string(),
            generation: snapshot.generation,
            file: steering.file().map(ToOwned::to_owned),
            config: steering.config_state(),
            kill: snapshot.kill.as_ref().map(KillStatus::from),
            listeners: snapshot.listeners.iter().map(|l| l.address.to_string()).collect(),
            routes: RouteStatus::all(&snapshot, &steering.over_the_file()),
            figures: engine.figures(),
        }
    }
}

impl RouteStatus {
    /// All routes of a snapshot, the monolith's as the last.
    pub fn all(snapshot: &Snapshot, over_the_file: &[String]) -> Vec<Self> {
        let name = |id| snapshot.upstream(id).name.to_string();
        let status = |route: &Route| Self {
            name: route.name.to_string(),
            group: route.group.as_deref().map(str::to_owned),
            matches: matches(route),
            stage: route.stage,
            weight: route.weight,
            from: name(route.from),
            to: route.to.map(name),
            parked: route.parked,
            over_the_file: over_the_file.iter().any(|over| **over == *route.name),
        };
        snapshot.routes.iter().map(status).collect()
    }
}

/// `GET,POST *.example.com/v1/stock/{sku} x-tenant=blue`
fn matches(route: &Route) -> String {
    let matched = &route.matched;
    let condition = &matched.condition;
    if matched.paths.is_empty() {
        return "everything else".to_owned();
    }
    let mut parts = Vec::new();
    if !condition.methods.is_empty() {
        parts.push(condition.methods.join(","));
    }
    let any = [crate::route::pattern::HostPattern::Any];
    let hosts: Vec<String> = match *matched.hosts == any {
        true => Vec::new(),
        false => matched.hosts.iter().map(ToString::to_string).collect(),
    };
    let paths: Vec<&str> = matched.paths.iter().map(|path| path.as_str()).collect();
    parts.push(format!("{}{}", hosts.join(","), paths.join(" ")));
    parts.extend(condition.headers.iter().map(|(name, wanted)| format!("{name}={wanted}")));
    parts.extend(condition.query.iter().map(|(name, wanted)| format!("?{name}={wanted}")));
    parts.join(" ")
}
