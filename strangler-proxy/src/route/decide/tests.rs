//! The decision, by tables of cases over a configuration as people write it.

use proptest::prelude::*;

use super::*;
use crate::config::{Holds, Kill, KillSource, Source, load_text};

const FILE: &str = r#"
from = "http://127.0.0.1:1"
tester.secret = "a-secret-of-testers"

[upstreams.new]
endpoints = ["http://127.0.0.1:2"]

[[routes]]
name = "off"
path = "/off"
to = "new"

[[routes]]
name = "shadow"
path = "/shadow"
to = "new"
stage = "shadow"

[[routes]]
name = "canary"
path = "/canary"
to = "new"
stage = "canary"
weight = 50
sticky = "header:x-user"
allow = { keys = ["vip"], addresses = ["10.0.0.0/8"] }

[[routes]]
name = "live"
path = "/live"
to = "new"
stage = "live"

[[routes]]
name = "strict"
path = "/strict"
to = "new"
stage = "live"
fallback = "none"

[[routes]]
name = "retired"
path = "/retired"
to = "new"
stage = "retired"

[[routes]]
name = "plain"
path = "/plain"

[[routes]]
name = "moved"
path = "/moved/{*rest}"
redirect = { to = "/new/{rest}" }

[[routes]]
name = "call"
grpc = "shop.v1.Stock/Reserve"
to = "new"
stage = "live"
"#;

fn snapshot(text: &str) -> Snapshot {
    load_text(&Source::default(), text.to_owned(), None)
        .map_err(|e| e.to_string())
        .unwrap()
        .snapshot
}

struct Down;
impl State for Down {
    fn is_usable(&self, _: RouteId, _: UpstreamId) -> bool {
        false
    }
}

struct Case<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    client: &'a str,
}

const GET: Case<'_> = Case { method: "GET", path: "/", headers: &[], client: "192.0.2.1" };

fn decided(case: &Case<'_>, snapshot: &Snapshot, state: &dyn State) -> Decision {
    let headers: Vec<(String, String)> =
        case.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let facts = Facts {
        method: case.method.as_bytes(),
        host: b"shop.example",
        path: case.path.as_bytes(),
        query: b"",
        client: case.client.parse().ok(),
        headers: &headers,
    };
    decide(&facts, snapshot, state)
}

fn check(case: &Case<'_>, side: Side, why: Why) {
    let snapshot = snapshot(FILE);
    let found = decided(case, &snapshot, &AllUsable);
    assert_eq!((found.side, found.why), (side, why), "{} {}", case.method, case.path);
    let route = snapshot.route(found.route);
    let expected = if side == Side::New { route.to.unwrap() } else { route.from };
    assert_eq!(found.upstream, expected);
}

#[test]
fn each_stage_has_its_side() {
    check(&Case { path: "/off", ..GET }, Side::Old, Why::Off);
    check(&Case { path: "/shadow", ..GET }, Side::Old, Why::Shadow);
    check(&Case { path: "/live", ..GET }, Side::New, Why::Live);
    check(&Case { path: "/retired", ..GET }, Side::New, Why::Retired);
    check(&Case { path: "/plain", ..GET }, Side::Old, Why::NoNewSide);
    check(&Case { path: "/elsewhere", ..GET }, Side::Old, Why::NoRoute);
    check(&Case { path: "/moved/a", ..GET }, Side::Old, Why::Redirect);
}

#[test]
fn a_canary_takes_its_share_its_guests_and_nobody_without_a_key() {
    let canary = Case { path: "/canary", ..GET };
    check(&canary, Side::Old, Why::NoKey);
    check(&Case { headers: &[("X-User", "vip")], ..canary }, Side::New, Why::Allowed);
    check(&Case { client: "10.9.8.7", ..canary }, Side::New, Why::Allowed);
    check(&Case { client: "::ffff:10.9.8.7", ..canary }, Side::New, Why::Allowed);
    let snapshot = snapshot(FILE);
    let (mut old, mut new) = (0, 0);
    for user in 0..1000 {
        let user = user.to_string();
        let headers = [("x-user", user.as_str())];
        let found = decided(&Case { headers: &headers, ..canary }, &snapshot, &AllUsable);
        assert_eq!(
            found,
            decided(
                &Case { headers: &headers, client: "1.2.3.4", ..canary },
                &snapshot,
                &AllUsable
            )
        );
        let within = found.bucket.unwrap().number() < 5000;
        assert_eq!(found.side == Side::New, within);
        if within { new += 1 } else { old += 1 }
    }
    assert!(old > 400 && new > 400, "{old} old, {new} new");
}

#[test]
fn testers_choose_with_the_secret_only_and_never_what_is_off() {
    let new = [("x-strangler-side", "new a-secret-of-testers")];
    let old = [("x-strangler-side", "old a-secret-of-testers")];
    let wrong = [("x-strangler-side", "new a-secret-of-tester")];
    let twice = [new[0], new[0]];
    check(&Case { path: "/shadow", headers: &new, ..GET }, Side::New, Why::Tester);
    check(&Case { path: "/live", headers: &old, ..GET }, Side::Old, Why::Tester);
    check(&Case { path: "/live", headers: &wrong, ..GET }, Side::New, Why::Live);
    check(&Case { path: "/shadow", headers: &wrong, ..GET }, Side::Old, Why::Shadow);
    check(&Case { path: "/shadow", headers: &twice, ..GET }, Side::Old, Why::Shadow);
    check(&Case { path: "/off", headers: &new, ..GET }, Side::Old, Why::Off);
    check(&Case { path: "/retired", headers: &old, ..GET }, Side::New, Why::Retired);
    let without = snapshot(&FILE.replace("tester.secret = \"a-secret-of-testers\"", ""));
    let found = decided(&Case { path: "/shadow", headers: &new, ..GET }, &without, &AllUsable);
    assert_eq!(found.side, Side::Old, "off unless a secret is set");
}

#[test]
fn only_safe_requests_are_copied() {
    let snapshot = snapshot(FILE);
    for (method, copied) in
        [("GET", true), ("HEAD", true), ("POST", false), ("PUT", false), ("get", false)]
    {
        let found = decided(&Case { method, path: "/shadow", ..GET }, &snapshot, &AllUsable);
        assert_eq!(found.shadow.is_some(), copied, "{method}");
    }
}

#[test]
fn the_kill_switch_sends_all_to_the_monolith_but_what_is_retired() {
    let kill = Kill { source: KillSource::Api, reason: String::new() };
    let parked = FILE.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let parked = parked.map(|name| (name.to_owned(), ())).collect();
    let killed = snapshot(FILE).held(&Holds { kill: Some(kill), parked });
    let secret = [("x-strangler-side", "new a-secret-of-testers"), ("x-user", "vip")];
    for path in ["/shadow", "/canary", "/live", "/strict"] {
        let found = decided(&Case { path, headers: &secret, ..GET }, &killed, &AllUsable);
        assert_eq!((found.side, found.why, found.shadow), (Side::Old, Why::Killed, None), "{path}");
        assert_eq!(found.act, Act::Forward, "{path}: parked or not");
    }
    let found = decided(&Case { path: "/retired", ..GET }, &killed, &AllUsable);
    assert_eq!((found.side, found.why, found.act), (Side::New, Why::KilledButRetired, Act::Park));
}

#[test]
fn what_is_parked_waits_and_what_is_down_falls_back() {
    let holds = Holds { kill: None, parked: [("live".to_owned(), ())].into() };
    let snapshot = snapshot(FILE).held(&holds);
    assert_eq!(decided(&Case { path: "/live", ..GET }, &snapshot, &AllUsable).act, Act::Park);
    assert_eq!(decided(&Case { path: "/strict", ..GET }, &snapshot, &AllUsable).act, Act::Forward);
    for (path, side, why) in [
        ("/live", Side::Old, Why::FallenBack),
        ("/strict", Side::New, Why::Live),
        ("/retired", Side::New, Why::Retired),
        ("/off", Side::Old, Why::Off),
    ] {
        let found = decided(&Case { path, ..GET }, &snapshot, &Down);
        assert_eq!((found.side, found.why), (side, why), "{path}");
    }
}

#[test]
fn a_grpc_call_is_known_by_path_method_and_content_type() {
    let grpc = [("content-type", "application/grpc+proto")];
    let call = Case { method: "POST", path: "/shop.v1.Stock/Reserve", headers: &grpc, ..GET };
    check(&call, Side::New, Why::Live);
    check(&Case { headers: &[("content-type", "text/plain")], ..call }, Side::Old, Why::NoRoute);
    check(&Case { path: "/shop.v1.Stock/Release", ..call }, Side::Old, Why::NoRoute);
    check(&Case { method: "GET", ..call }, Side::Old, Why::NoRoute);
}

proptest! {
    /// Through the whole decision: whoever is on the new side at some weight is there at every larger one.
    #[test]
    fn a_growing_weight_moves_clients_one_way(user in "[a-z0-9]{1,16}", less in 0_u16..=10_000, more in 0_u16..=10_000) {
        let (less, more) = (less.min(more), less.max(more));
        let at = |hundredths: u16| {
            let weight = format!("weight = {}.{:02}", hundredths / 100, hundredths % 100);
            let snapshot = snapshot(&FILE.replace("weight = 50", &weight));
            let headers = [("x-user", user.as_str())];
            decided(&Case { path: "/canary", headers: &headers, ..GET }, &snapshot, &AllUsable).side
        };
        prop_assert!(!(at(less) == Side::New && at(more) == Side::Old));
    }

    #[test]
    fn networks_agree_with_their_bits(address in any::<u32>(), other in any::<u32>(), bits in 0_u8..=32) {
        let text = format!("{}/{bits}", std::net::Ipv4Addr::from(address));
        let network = Network::parse(&text).unwrap();
        let same = bits == 0 || (address ^ other) >> (32 - u32::from(bits)) == 0;
        prop_assert_eq!(network.contains(std::net::Ipv4Addr::from(other).into()), same);
    }
}
