//! The table finds what looking at every route in order would find, and does so in a bounded time.

use proptest::prelude::*;

use super::*;
use crate::route::condition::Wanted;

fn matching(hosts: &[&str], paths: &[&str], condition: Condition) -> Match {
    Match {
        hosts: hosts.iter().map(|text| HostPattern::parse(text).unwrap()).collect(),
        paths: paths.iter().map(|text| PathPattern::parse(text).unwrap()).collect(),
        condition,
    }
}

fn facts<'a>(
    method: &'a str,
    host: &'a str,
    path: &'a str,
    headers: &'a Vec<(String, String)>,
) -> Facts<'a> {
    Facts {
        method: method.as_bytes(),
        host: host.as_bytes(),
        path: path.as_bytes(),
        query: b"",
        client: None,
        headers,
    }
}

/// The rule itself: the first in the file's order that fits.
fn slow(routes: &[Match], facts: &Facts<'_>) -> Option<RouteId> {
    let host = bare_host(facts.host);
    let fits = |route: &Match| {
        route.hosts.iter().any(|pattern| pattern.matches(host))
            && route.paths.iter().any(|pattern| pattern.matches(facts.path))
            && route.condition.holds(facts)
    };
    let at = routes.iter().position(fits)?;
    Some(RouteId(u16::try_from(at).unwrap()))
}

fn host_pattern() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["*", "a.example", "b.example", "*.example", "*.a.example"])
}

fn path_pattern() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "c", "{x}"]);
    (prop::collection::vec(segment, 0..4), prop::sample::select(vec!["", "/", "/{*rest}"]))
        .prop_map(|(segments, end)| {
            let mut path = String::new();
            for (at, segment) in segments.iter().enumerate() {
                path.push('/');
                path.push_str(&segment.replace('x', &format!("x{at}")));
            }
            path.push_str(end);
            if path.is_empty() { "/".to_owned() } else { path }
        })
}

fn route() -> impl Strategy<Value = Match> {
    let hosts = prop::collection::vec(host_pattern(), 1..3);
    let paths = prop::collection::vec(path_pattern(), 1..3);
    let methods = prop::sample::select(vec![vec![], vec!["GET"], vec!["POST", "PUT"]]);
    let header = prop::option::of(prop::sample::select(vec!["*", "blue", "bl*"]));
    (hosts, paths, methods, header).prop_map(|(hosts, paths, methods, header)| {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let condition = Condition {
            methods: methods.into_iter().map(Into::into).collect(),
            headers: header
                .map(|value| ("x-tenant".into(), Wanted::parse(value)))
                .into_iter()
                .collect(),
            query: Box::new([]),
        };
        matching(&hosts, &paths, condition)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_first_in_the_file_wins_whatever_the_trees_shape(
        routes in prop::collection::vec(route(), 0..12),
        method in prop::sample::select(vec!["GET", "POST", "DELETE"]),
        host in prop::sample::select(vec!["a.example", "A.Example:80", "b.example.", "x.a.example", "other", "example", ""]),
        path in "(/[abcd]{0,1}){1,5}",
        tenant in prop::option::of(prop::sample::select(vec!["blue", "black", "red"])),
    ) {
        let headers: Vec<_> = tenant.map(|value| ("X-Tenant".to_owned(), value.to_owned())).into_iter().collect();
        let facts = facts(method, host, &path, &headers);
        prop_assert_eq!(Table::new(&routes).find(&facts), slow(&routes, &facts));
    }
}

#[test]
fn hosts_beyond_any_name_are_no_ones() {
    let table = Table::new(&[matching(&["*.example"], &["/{*rest}"], Condition::default())]);
    let host = format!("{}.example", "a".repeat(300));
    assert_eq!(table.find(&facts("GET", &host, "/", &Vec::new())), None);
}

/// A thousand routes as an API has them, with a route that takes the rest: each is found, past all the others. What a
/// look-up costs is measured by the benches.
#[test]
fn each_of_a_thousand_routes_is_found() {
    let mut routes: Vec<Match> = (0..1000)
        .map(|n| {
            let path = format!("/v{}/area{}/thing{}/{{id}}/parts/{{part}}", n % 3, n % 20, n);
            matching(&["*"], &[&path], Condition::default())
        })
        .collect();
    routes.push(matching(&["shop.example"], &["/{*rest}"], Condition::default()));
    let table = Table::new(&routes);
    let headers = Vec::new();
    for n in 0..1000_u16 {
        let path = format!("/v{}/area{}/thing{n}/123456/parts/7", n % 3, n % 20);
        let found = table.find(&facts("GET", "shop.example", &path, &headers));
        assert_eq!(found, Some(RouteId(n)));
    }
    let rest = table.find(&facts("GET", "shop.example", "/elsewhere", &headers));
    assert_eq!(rest, Some(RouteId(1000)));
}
