//! Each thing that a configuration can have wrong is told by line and key.

use super::*;

fn faults(text: &str) -> Vec<String> {
    let source = Source { file: Some("shop.toml".into()), ..Source::default() };
    match load_text(&source, text.to_owned(), None) {
        Ok(_) => Vec::new(),
        Err(error) => error.faults().iter().map(ToString::to_string).collect(),
    }
}

fn check(text: &str, expected: &str) {
    let found = faults(text);
    assert!(
        found.iter().any(|fault| fault.contains(expected)),
        "{text}\n{found:#?}\nnot: {expected}"
    );
}

/// A file whose route has these lines, from line 5 on.
fn route(lines: &str) -> String {
    format!(
        "from = \"http://127.0.0.1:1\"\n[[routes]]\nname = \"a\"\npath = \"/v1/{{id}}\"\n{lines}\n"
    )
}

#[test]
fn six_lines_are_a_proxy() {
    let text = "from = \"http://127.0.0.1:3000\"\n[[routes]]\nname = \"stock\"\npath = \"/v1/stock/{sku}\"\nto = \"http://127.0.0.1:4000\"\nstage = \"live\"\n";
    let loaded = load_text(&Source::default(), text.to_owned(), None).unwrap();
    let snapshot = loaded.snapshot;
    assert_eq!(snapshot.listeners.first().unwrap().address.to_string(), "http://127.0.0.1:8080");
    assert_eq!(snapshot.routes.len(), 2);
    let route = snapshot.routes.first().unwrap();
    assert_eq!(route.timeouts, Timeouts::DEFAULT);
    assert_eq!(
        (route.retries, route.breaker, route.parking),
        (Retries::DEFAULT, Breaker::DEFAULT, Parking::DEFAULT)
    );
    assert_eq!(route.limits, Limits::DEFAULT);
}

#[test]
fn every_fault_is_told_at_once_and_where_it_stands() {
    let text = "from = \"nobody\"\nlisten = [\"127.0.0.1:1\",\n  \"x\"]\n[[routes]]\nname = \"a\"\npath = \"/a\"\nstage = \"live\"\n";
    assert_eq!(faults(text).len(), 3);
    check(text, "shop.toml:1: from: there is no upstream `nobody`");
    check(text, "shop.toml:3: listen[1]: `x` is no address");
    check(text, "shop.toml:7: routes[0].stage: `live` needs a new side");
}

#[test]
fn an_unknown_key_is_told_with_the_one_that_was_meant() {
    check("form = \"x\"\n", "shop.toml:1: form: there is no such key; did you mean `from`?");
    check(
        &route("wieght = 5"),
        "shop.toml:5: routes[0].wieght: there is no such key; did you mean `weight`?",
    );
    check(&route("[routes.limits]\nbdy = \"1B\""), "shop.toml:6: routes[0].limits.bdy");
    check(
        "[upstreams.x]\nendpoint = \"x\"",
        "shop.toml:2: upstreams.x.endpoint: there is no such key; did you mean `endpoints`?",
    );
    check(&route("redirect = { too = \"/\" }"), "shop.toml:5: routes[0].redirect");
}

#[test]
fn values_are_checked() {
    for (lines, expected) in [
        ("stage = \"lve\"", ":5: routes[0].stage: `lve` is no stage"),
        ("weight = 101", ":5: routes[0].weight: `101` is no weight"),
        ("weight = 0.001", ":5: routes[0].weight"),
        ("to = \"http://a\"\nstage = \"canary\"", ":6: routes[0].stage: a canary needs a `weight`"),
        ("to = \"ftp://a\"", ":5: routes[0].to: `ftp://a`"),
        ("sticky = [\"address\", \"ip\"]", ":5: routes[0].sticky[1]: `ip` is no place of a key"),
        ("timeouts.connect = \"0s\"", ":5: routes[0].timeouts.connect: must be above 0"),
        ("timeouts.connect = 5", ":5: routes[0].timeouts.connect: `5` is no time"),
        ("limits.body = \"5\"", ":5: routes[0].limits.body: `5` is no size"),
        ("limits.rate = \"5\"", ":5: routes[0].limits.rate: `5` is no rate"),
        ("limits.priority = 10", ":5: routes[0].limits.priority"),
        ("limits.concurrency = 0", ":5: routes[0].limits.concurrency"),
        ("retries.tries = 11", ":5: routes[0].retries.tries"),
        ("retries.on = [500]", ":5: routes[0].retries.on: 500 is not tried again"),
        ("breaker.rate = 101", ":5: routes[0].breaker.rate"),
        ("fallback = \"old\"", ":5: routes[0].fallback"),
        ("redirect = { to = \"//evil/{id}\" }", ":5: routes[0].redirect.to"),
        ("redirect = { to = \"/{id}\" }", ":5: routes[0].redirect.to"),
        ("redirect = { to = \"/x\", status = 200 }", ":5: routes[0].redirect.status"),
        ("rewrite.path = \"/x/{sku}\"", ":5: routes[0].rewrite.path: nothing fills `{sku}`"),
        ("request_headers.set = { \"a b\" = \"c\" }", ":5: routes[0].request_headers.set"),
        (
            "request_headers.remove = [\"Content-Length\"]",
            ":5: routes[0].request_headers.remove[0]",
        ),
        ("response_headers.set = { x = \"a\\nb\" }", ":5: routes[0].response_headers.set.x"),
        (
            "request_headers.set = { Expect = \"100-continue\" }",
            ":5: routes[0].request_headers.set.Expect: `Expect` belongs to the proxy itself",
        ),
        (
            "[routes.response_headers]\nremove = [\"x\", \"Max-Forwards\"]",
            ":6: routes[0].response_headers.remove[1]: `Max-Forwards` belongs to the proxy itself",
        ),
        (
            "response_headers.set = { connection = \"close\" }",
            ":5: routes[0].response_headers.set.connection: `connection` belongs",
        ),
        (
            "leniency = [\"bare-l\"]",
            ":5: routes[0].leniency[0]: there is no `bare-l`; did you mean `bare-lf`?",
        ),
        ("allow.addresses = [\"10.0.0.0/33\"]", ":5: routes[0].allow.addresses[0]"),
        ("method = \"get\"", ":5: routes[0].method: `get` is no method"),
        ("host = \"a:80\"", ":5: routes[0].host[0]"),
        ("grpc = \"x\"", ":5: routes[0].grpc: says path and method itself"),
        ("before = \"nobody\"", ":5: routes[0].before[0]: there is no route or group `nobody`"),
        ("group = \"a\"", ":5: routes[0].group: `a` is the name of a route"),
        ("[[routes]]\nname = \"a\"\npath = \"/b\"", ":6: routes[1].name: `a` is taken"),
        ("[[routes]]\npath = \"/b\"", ":5: routes[1].name: a route needs a name"),
    ] {
        check(&route(lines), expected);
    }
    for (text, expected) in [
        ("listen = []\n", ":1: listen: write at least one address"),
        ("a = \n", ":1: is not TOML"),
        ("workers = 0\n", ":1: workers"),
        ("client.head = \"1B\"\n", ":1: client.head"),
        ("forwarded.trust = [\"all\"]\n", ":1: forwarded.trust[0]"),
        ("tester.secret = \"short\"\n", ":1: tester.secret"),
        ("admin.listen = \"0.0.0.0:1\"\n", ":1: admin.listen: is not on the loopback"),
        ("listen = \"127.0.0.1:9901\"\n", "admin.listen: is the address of a public listener"),
        ("[upstreams.x]\n", ":1: upstreams.x: has no endpoint"),
        ("", "shop.toml: from: the monolith is missing"),
    ] {
        check(text, expected);
    }
}

fn two(first: &str, second: &str) -> String {
    format!(
        "from = \"http://127.0.0.1:1\"\n[[routes]]\nname = \"a\"\n{first}\n[[routes]]\nname = \"b\"\n{second}\n"
    )
}

#[test]
fn routes_in_each_others_way_are_refused() {
    let never = "`b` is never reached: `a` above it takes all its requests";
    let crosses = "`a` and `b` take some of the same requests";
    for (first, second, expected) in [
        ("path = \"/x/{id}\"", "path = \"/x/new\"", Some(never)),
        ("path = \"/x/new\"", "path = \"/x/{id}\"", None),
        ("path = \"/x\"", "path = \"/x\"", Some(never)),
        ("path = \"/x\"\nmethod = \"GET\"", "path = \"/x\"", None),
        ("path = \"/x\"\nmethod = \"GET\"", "path = \"/x\"\nmethod = \"POST\"", None),
        (
            "path = \"/x\"\nmethod = [\"GET\", \"PUT\"]",
            "path = \"/x\"\nmethod = [\"GET\", \"POST\"]",
            Some(crosses),
        ),
        ("path = \"/x/{*rest}\"", "path = \"/x\"", Some(never)),
        ("path = \"/x/{id}\"", "path = \"/x/\"", None),
        ("path = \"/{a}/y\"", "path = \"/x/{b}\"", Some(crosses)),
        ("path = \"/{a}/y\"\nbefore = \"b\"", "path = \"/x/{b}\"", None),
        ("host = \"a.example\"\npath = \"/{*rest}\"", "path = \"/x\"", Some(crosses)),
        ("host = \"*.example\"\npath = \"/x\"", "host = \"a.example\"\npath = \"/x\"", Some(never)),
        ("host = \"a.example\"\npath = \"/x\"", "host = \"*.example\"\npath = \"/x\"", None),
        ("host = \"a.example\"\npath = \"/x\"", "host = \"b.example\"\npath = \"/x\"", None),
        ("header = { x-tenant = \"blue\" }", "path = \"/x\"", None),
        ("path = \"/x\"", "path = \"/x\"\nheader = { x-tenant = \"blue\" }", Some(never)),
        ("path = \"/x\"\nheader = { x-tenant = \"blue\" }", "path = \"/x\"", None),
        (
            "path = \"/x\"\nheader = { a = \"1\" }",
            "path = \"/x\"\nheader = { b = \"1\" }",
            Some(crosses),
        ),
        (
            "path = \"/x\"\nquery = { v = \"*\" }",
            "path = \"/x\"\nquery = { v = \"2\" }",
            Some(never),
        ),
    ] {
        let text = two(first, second);
        match expected {
            Some(expected) => check(&text, expected),
            None => assert_eq!(faults(&text), Vec::<String>::new(), "{text}"),
        }
    }
}

#[test]
fn what_a_route_says_comes_before_its_upstream_and_that_before_the_defaults() {
    let text = "from = \"http://127.0.0.1:1\"\n[defaults.timeouts]\nconnect = \"1s\"\nidle = \"1s\"\ntotal = \"9s\"\n[upstreams.new]\nendpoints = \"http://127.0.0.1:2\"\ntimeouts = { idle = \"2s\", first_byte = \"2s\" }\n[[routes]]\nname = \"a\"\npath = \"/a\"\nto = \"new\"\ntimeouts = { first_byte = \"3s\", total = \"0s\" }\n";
    let loaded = load_text(&Source::default(), text.to_owned(), None).unwrap();
    let timeouts = loaded.snapshot.routes.first().unwrap().timeouts;
    assert_eq!(
        [timeouts.connect, timeouts.idle, timeouts.first_byte].map(|time| time.as_secs()),
        [1, 2, 3]
    );
    assert_eq!(timeouts.total, None, "0 switches it off");
}

#[test]
fn environment_and_flags_come_over_the_file() {
    let source = Source {
        file: None,
        environment: vec![
            ("STRANGLER_PROXY_WORKERS".into(), "3".into()),
            ("OTHER".into(), "x".into()),
        ],
        flags: vec![("--listen".into(), "listen".into(), "127.0.0.1:1,unix:/run/x".into())],
        ..Source::default()
    };
    let text = "from = \"http://127.0.0.1:1\"\nworkers = 2\nlisten = \"127.0.0.1:9\"\n";
    let snapshot = load_text(&source, text.to_owned(), None).unwrap().snapshot;
    assert_eq!(snapshot.workers, Some(3));
    assert_eq!(snapshot.listeners.len(), 2);
    let wrong =
        Source { environment: vec![("STRANGLER_PROXY_WORKER".into(), "3".into())], ..source };
    let error = load_text(&wrong, text.to_owned(), None).unwrap_err().to_string();
    assert!(error.contains("STRANGLER_PROXY_WORKER") && error.contains("workers"), "{error}");
}

#[test]
fn the_example_is_right() {
    let text = include_str!("../../example.toml");
    assert_eq!(faults(text), Vec::<String>::new());
    let loaded = load_text(&Source::default(), text.to_owned(), None).unwrap();
    assert!(loaded.snapshot.routes.len() > 5);
}

#[test]
fn the_revision_follows_from_what_the_files_say() {
    let of = |text: &str| {
        load_text(&Source::default(), text.to_owned(), None).unwrap().snapshot.revision
    };
    let text = "from = \"http://127.0.0.1:1\"\n";
    assert_eq!(of(text), of(text));
    assert_ne!(of(text), of("from = \"http://127.0.0.1:2\"\n"));
}

#[test]
fn the_defaults_are_held_to_the_rules_of_routes_and_upstreams() {
    for (line, expected) in [
        ("retries.on = [500]", "defaults.retries.on: 500 is not tried again"),
        ("breaker.failures = 0", "defaults.breaker.failures: must be above 0"),
        ("timeouts.connect = \"0s\"", "defaults.timeouts.connect: must be above 0"),
        ("pool.connections = 0", "defaults.pool.connections: must be above 0"),
        ("health.interval = \"10ms\"", "defaults.health.interval: must be at least 50ms"),
        ("health.path = \"/a b\"", "defaults.health.path: must begin with `/` and have no spaces"),
        ("outlier.failures = 0", "defaults.outlier.failures: must be above 0"),
        ("outlier.ejected_max = 101", "defaults.outlier.ejected_max: is a percentage"),
    ] {
        check(&format!("from = \"http://127.0.0.1:1\"\ndefaults.{line}\n"), expected);
    }
}

#[test]
fn many_faults_of_one_kind_are_told_by_the_first_of_them() {
    let routes: String = (0..400)
        .map(|number| format!("[[routes]]\nname = \"r{number}\"\npath = \"/a\"\n"))
        .collect();
    let found = faults(&format!("from = \"http://127.0.0.1:1\"\n{routes}"));
    assert!(found.len() <= 101, "{}", found.len());
    assert!(found.iter().any(|fault| fault.contains("`r1` is never reached: `r0` above it")));
    assert!(found.iter().any(|fault| fault.contains("more")), "{found:#?}");
}

#[test]
fn a_redirect_cannot_be_led_to_another_host() {
    let redirect = |to: &str| {
        format!(
            "from = \"http://127.0.0.1:1\"\n[[routes]]\nname = \"a\"\npath = \"/v1/{{x}}/{{*rest}}\"\nredirect.to = \"{to}\"\n"
        )
    };
    for to in [
        "https://new.example{rest}",
        "https://new.example{x}",
        "https://{rest}",
        "https://new.example:{x}/",
        "https://{x}:443/",
        "https://new.example{x}?a=b",
        "/{rest}",
        "//new.example",
        "/{path}",
    ] {
        check(&redirect(to), "routes[0].redirect.to");
    }
    for to in [
        "https://new.example/{rest}",
        "https://new.example{path}",
        "https://new.example{path}{query}",
        "https://{host}{path}",
        "https://{x}.new.example/{rest}",
        "/new/{rest}",
        "https://new.example",
    ] {
        assert_eq!(faults(&redirect(to)), Vec::<String>::new(), "{to}");
    }
}

#[test]
fn more_paths_than_can_be_held_against_each_other_are_refused() {
    let route = |name: &str| {
        let paths: Vec<_> = (0..6000).map(|number| format!("\"/{name}/{number}\"")).collect();
        format!("[[routes]]\nname = \"{name}\"\npath = [{}]\n", paths.join(","))
    };
    let text = format!("from = \"http://127.0.0.1:1\"\n{}{}", route("a"), route("b"));
    check(&text, "routes: all together may have 10000 paths and hosts");
}
