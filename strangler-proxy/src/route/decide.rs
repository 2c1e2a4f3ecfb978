//! The decision: which route, which side of it and why. A pure function of the request, the configuration and what is
//! known of the upstreams; the engine follows it and `explain` prints it.
//!
//! Where anything is in doubt the answer is the old side: no key to be sticky by, no weight, a new side that is down, the
//! kill switch. Only a `retired` route has no old side to go back to.

use std::{fmt, net::IpAddr, time::Instant};

use subtle::ConstantTimeEq;

use super::{Bucket, Facts, RouteId, Stage, UpstreamId, Weight};
use crate::config::{Fallback, Route, Snapshot, Tester};

/// What the decision asks of the live state.
pub trait State {
    /// Can the new side of this route take a request now: has this upstream an endpoint that is in use, and is the route's
    /// breaker to it not open?
    fn is_usable(&self, route: RouteId, upstream: UpstreamId) -> bool;

    /// The time, where it matters: of reads that move ahead of what they read.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Nothing is known to be down: for `explain` without a running proxy.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllUsable;

impl State for AllUsable {
    fn is_usable(&self, _: RouteId, _: UpstreamId) -> bool {
        true
    }
}

/// A side of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The monolith: `from`.
    Old,
    /// The extracted service: `to`.
    New,
}

impl Side {
    /// The word in metrics, logs and the tester's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// Why a request goes where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No route of the file fits: the monolith has everything that nobody else has.
    NoRoute,
    /// The route has no new side.
    NoNewSide,
    /// The kill switch is on.
    Killed,
    /// The kill switch is on, but the route is retired.
    KilledButRetired,
    /// The stage is `off`.
    Off,
    /// The stage is `shadow`: the old side answers.
    Shadow,
    /// The stage is `live`.
    Live,
    /// The stage is `retired`.
    Retired,
    /// The client's bucket is below the weight.
    InCanary,
    /// The client's bucket is not below the weight.
    NotInCanary,
    /// The request has nothing to be sticky by, so it stays on the old side.
    NoKey,
    /// The client is on the allow-list.
    Allowed,
    /// A tester's header says so.
    Tester,
    /// The new side is down.
    FallenBack,
    /// The route is a redirect.
    Redirect,
    /// Only reads are led to a replica.
    NotARead,
    /// The replica is too far behind, or nobody says how far.
    Behind,
    /// The replica may not hold yet what the client has written.
    HasWritten,
}

impl Why {
    /// The word in logs, metrics and `Proxy-Status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::NoNewSide => "no_new_side",
            Self::Killed => "killed",
            Self::KilledButRetired => "killed_but_retired",
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Retired => "retired",
            Self::InCanary => "in_canary",
            Self::NotInCanary => "not_in_canary",
            Self::NoKey => "no_key",
            Self::Allowed => "allowed",
            Self::Tester => "tester",
            Self::FallenBack => "fallen_back",
            Self::Redirect => "redirect",
            Self::NotARead => "not_a_read",
            Self::Behind => "behind",
            Self::HasWritten => "has_written",
        }
    }

    /// A sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NoRoute => "no route of the file fits, and the monolith has what nobody else has",
            Self::NoNewSide => "the route has no `to`",
            Self::Killed => "the kill switch is on: everything goes to the monolith",
            Self::KilledButRetired => {
                "the kill switch is on, but the route is retired: it has no old side to go to"
            }
            Self::Off => "the stage is `off`",
            Self::Shadow => "the stage is `shadow`: the old side answers",
            Self::Live => "the stage is `live`",
            Self::Retired => "the stage is `retired`: there is no old side",
            Self::InCanary => "the client's bucket is below the weight",
            Self::NotInCanary => "the client's bucket is not below the weight",
            Self::NoKey => "the request has nothing to be sticky by, so it stays on the old side",
            Self::Allowed => "the client is on the route's allow-list",
            Self::Tester => "the tester's header says so",
            Self::FallenBack => "the new side is down, and the route falls back to the old one",
            Self::Redirect => "the route is a redirect",
            Self::NotARead => "the new side is a replica, which is asked for reads alone",
            Self::Behind => "the replica is too far behind, or it is not known how far",
            Self::HasWritten => "the replica may not hold yet what the client has written",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is to be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Send it to [`Decision::upstream`].
    Forward,
    /// Hold it within the route's parking limits, then decide again.
    Park,
    /// Answer with the route's redirect.
    Redirect,
}

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The route: an index into [`Snapshot::routes`], whose last entry is the monolith's.
    pub route: RouteId,
    /// What to do.
    pub act: Act,
    /// Which side.
    pub side: Side,
    /// Where that is.
    pub upstream: UpstreamId,
    /// Why.
    pub why: Why,
    /// The client's bucket, where one was computed.
    pub bucket: Option<Bucket>,
    /// Who gets a copy.
    pub shadow: Option<UpstreamId>,
}

/// Decides.
pub fn decide(facts: &Facts<'_>, snapshot: &Snapshot, state: &dyn State) -> Decision {
    let found = snapshot.table.find(facts).unwrap_or(snapshot.rest());
    let route = snapshot.route(found);
    let mut decision = Decision {
        route: found,
        act: Act::Forward,
        side: Side::Old,
        upstream: route.from,
        why: Why::NoNewSide,
        bucket: None,
        shadow: None,
    };
    if route.redirect.is_some() {
        return Decision { act: Act::Redirect, why: Why::Redirect, ..decision };
    }
    let Some(to) = route.to else {
        decision.why = if found == snapshot.rest() { Why::NoRoute } else { Why::NoNewSide };
        return parked(decision, route, snapshot);
    };
    let (side, why, bucket) = side(facts, route, snapshot);
    let (side, why) = held(side, why, (facts, route, state));
    (decision.side, decision.why, decision.bucket) = (side, why, bucket);
    match side {
        Side::New if falls_back(route) && !state.is_usable(found, to) => {
            (decision.side, decision.why) = (Side::Old, Why::FallenBack);
        }
        Side::New => decision.upstream = to,
        Side::Old if why == Why::Shadow && copies(facts, route, bucket) => {
            decision.shadow = Some(to);
        }
        Side::Old => {}
    }
    parked(decision, route, snapshot)
}

/// The kill switch opens the way to the monolith also for what is parked; a retired route has no such way.
fn parked(decision: Decision, route: &Route, snapshot: &Snapshot) -> Decision {
    let killed = snapshot.kill.is_some() && route.stage != Stage::Retired;
    let act = if route.parked && !killed { Act::Park } else { decision.act };
    Decision { act, ..decision }
}

fn side(facts: &Facts<'_>, route: &Route, snapshot: &Snapshot) -> (Side, Why, Option<Bucket>) {
    match (route.stage, &snapshot.kill) {
        (Stage::Retired, Some(_)) => (Side::New, Why::KilledButRetired, None),
        (Stage::Retired, None) => (Side::New, Why::Retired, None),
        (_, Some(_)) => (Side::Old, Why::Killed, None),
        (Stage::Off, None) => (Side::Old, Why::Off, None),
        (Stage::Shadow | Stage::Canary | Stage::Live, None) => {
            if let Some(side) = snapshot.tester.as_ref().and_then(|tester| tester.wish(facts)) {
                return (side, Why::Tester, None);
            }
            match route.stage {
                Stage::Live => (Side::New, Why::Live, None),
                Stage::Canary => canary(facts, route),
                Stage::Shadow | Stage::Off | Stage::Retired => {
                    (Side::Old, Why::Shadow, bucket(facts, route))
                }
            }
        }
    }
}

/// A replica is asked only for what it holds.
fn held(
    side: Side,
    why: Why,
    (facts, route, state): (&Facts<'_>, &Route, &dyn State),
) -> (Side, Why) {
    match (side, &route.replica) {
        (Side::New, Some(replica)) => match replica.admits(facts, &route.sticky, state.now()) {
            Ok(()) => (side, why),
            Err(why) => (Side::Old, why),
        },
        (Side::New | Side::Old, _) => (side, why),
    }
}

fn canary(facts: &Facts<'_>, route: &Route) -> (Side, Why, Option<Bucket>) {
    if route.allow.admits(facts, route) {
        return (Side::New, Why::Allowed, None);
    }
    match bucket(facts, route) {
        Some(bucket) if bucket.is_within(route.weight) => (Side::New, Why::InCanary, Some(bucket)),
        Some(bucket) => (Side::Old, Why::NotInCanary, Some(bucket)),
        None if route.weight == Weight::FULL => (Side::New, Why::InCanary, None),
        None => (Side::Old, Why::NoKey, None),
    }
}

fn bucket(facts: &Facts<'_>, route: &Route) -> Option<Bucket> {
    let (_, key) = route.sticky.key(facts)?;
    Some(Bucket::of(route.sticky.salt, &key))
}

/// Has the route an old side to fall back to?
pub fn falls_back(route: &Route) -> bool {
    match route.fallback {
        Fallback::Monolith => route.stage != Stage::Retired,
        Fallback::None | Fallback::Answer(_) => false,
    }
}

/// Only what changes nothing is copied (RFC 9110, section 9.2.1), and as large a share as the weight says.
fn copies(facts: &Facts<'_>, route: &Route, bucket: Option<Bucket>) -> bool {
    let safe = matches!(facts.method, b"GET" | b"HEAD" | b"OPTIONS");
    safe && match bucket {
        Some(bucket) => bucket.is_within(route.weight),
        None => route.weight == Weight::FULL,
    }
}

/// Clients that are in a canary whatever its weight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    /// By their sticky key.
    pub keys: Box<[Box<str>]>,
    /// By their address.
    pub addresses: Box<[Network]>,
}

impl AllowList {
    fn admits(&self, facts: &Facts<'_>, route: &Route) -> bool {
        if let Some(client) = facts.client
            && self.addresses.iter().any(|network| network.contains(client))
        {
            return true;
        }
        if self.keys.is_empty() {
            return false;
        }
        let key = route.sticky.key(facts);
        key.is_some_and(|(_, key)| self.keys.iter().any(|known| known.as_bytes() == &*key))
    }
}

/// A network: an address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address or network, such as 10.1.2.3, 10.0.0.0/8 or fd00::/8")]
pub struct NetworkError(String);

impl Network {
    /// Reads `10.1.2.3`, `10.0.0.0/8` or `fd00::/8`.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let bad = || NetworkError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_bad| bad())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_bad| bad())?;
        if bits <= width { Ok(Self { address, bits }) } else { Err(bad()) }
    }

    /// Is the address in it? An IPv4 address in its IPv6 form counts as itself.
    pub fn contains(&self, client: IpAddr) -> bool {
        let shared = |own: &[u8], other: &[u8]| {
            let mut bits = u32::from(self.bits);
            own.iter().zip(other).all(|(own, other)| {
                let looked = bits.min(8);
                bits -= looked;
                (own ^ other).checked_shr(8 - looked).unwrap_or(0) == 0
            })
        };
        match (self.address, client.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => shared(&own.octets(), &other.octets()),
            (IpAddr::V6(own), IpAddr::V6(other)) => shared(&own.octets(), &other.octets()),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl Tester {
    /// The side that the request's tester header asks for: `new <secret>` or `old <secret>`. A wrong secret is as no
    /// header, so that guessing shows nothing.
    pub fn wish(&self, facts: &Facts<'_>) -> Option<Side> {
        let value = facts.headers.single(&self.header)?;
        let (side, secret) = value.split_at_checked(4)?;
        let side = match side {
            b"new " => Side::New,
            b"old " => Side::Old,
            _ => return None,
        };
        bool::from(secret.ct_eq(self.secret.expose().as_bytes())).then_some(side)
    }
}

#[cfg(test)]
mod tests;
