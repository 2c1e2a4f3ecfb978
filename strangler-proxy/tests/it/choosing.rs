//! Which endpoint is asked: by the balance, by the health checks, and after failures.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use strangler_proxy::steer::Engine;

use crate::{
    proxied::Proxied,
    raw::{Peer, Upstream, get, ok, until},
};

/// An endpoint with a health page, that can be ill and that counts what it was asked, the health page apart.
struct Node {
    upstream: Upstream,
    well: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    checked: Arc<AtomicUsize>,
}

impl Node {
    fn new(slowness: Duration) -> Self {
        let well = Arc::new(AtomicBool::new(true));
        let (asked, checked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (is_well, count, checks) =
            (Arc::clone(&well), Arc::clone(&asked), Arc::clone(&checked));
        let upstream = Upstream::answering(move |request| {
            let is_check = request.target() == "/health";
            if is_check { &checks } else { &count }.fetch_add(1, Ordering::SeqCst);
            if !is_check {
                thread::sleep(slowness);
            }
            match is_well.load(Ordering::SeqCst) {
                true => ok("well"),
                false => b"HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n".to_vec(),
            }
        });
        Self { upstream, well, asked, checked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn nodes(count: usize) -> Vec<Node> {
    (0..count).map(|_| Node::new(Duration::ZERO)).collect()
}

/// A monolith of these endpoints; the breaker stays out of the way.
fn in_front_of(nodes: &[Node], settings: &str) -> Proxied {
    let urls: Vec<String> =
        nodes.iter().map(|node| format!("\"http://{}\"", node.upstream.address)).collect();
    Proxied::new(&format!(
        "from = \"shop\"\nworkers = 1\ndefaults.breaker = {{ failures = 1000000, rate = 0 }}\n\
         [upstreams.shop]\nendpoints = [{}]\n{settings}\n",
        urls.join(", ")
    ))
}

#[test]
fn round_robin_goes_round() {
    let nodes = nodes(3);
    let proxy = in_front_of(&nodes, "balance = \"round-robin\"");
    let mut client = proxy.connect();
    for _ in 0..9 {
        client.ask(get("/"));
    }
    assert!(nodes.iter().all(|node| node.asked() == 3));
}

#[test]
fn least_requests_avoids_who_is_busy() {
    let go = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&go);
    // Whoever gets the first request holds it.
    let is_first = Arc::new(AtomicBool::new(true));
    let serve = move |name: &'static str| {
        let (held, is_first) = (Arc::clone(&held), Arc::clone(&is_first));
        Upstream::answering(move |_| {
            if is_first.swap(false, Ordering::SeqCst) {
                until("the test lets it go", || held.load(Ordering::SeqCst));
            }
            ok(name)
        })
    };
    let (one, two) = (serve("one"), serve("two"));
    let proxy = Proxied::new(&format!(
        "from = \"shop\"\nworkers = 1\n[upstreams.shop]\nendpoints = [\"http://{}\", \"http://{}\"]\nbalance = \"least-requests\"\n",
        one.address, two.address
    ));
    let mut waiting = proxy.connect();
    waiting.send(get("/"));
    until("it is held", || one.open.load(Ordering::SeqCst) + two.open.load(Ordering::SeqCst) == 1);
    let answers: Vec<String> = (0..20).map(|_| proxy.ask(get("/")).text()).collect();
    go.store(true, Ordering::SeqCst);
    let holder = waiting.answer().text();
    assert!(answers.iter().all(|answer| *answer != holder), "{holder}: {answers:?}");
}

#[test]
fn peak_ewma_gives_the_slow_one_little() {
    let mut nodes = nodes(1);
    nodes.push(Node::new(Duration::from_millis(60)));
    let proxy = in_front_of(&nodes, "");
    let mut client = proxy.connect();
    for _ in 0..100 {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
    assert!(nodes[1].asked() <= 10, "{} of 100", nodes[1].asked());
    assert!(nodes[1].asked() >= 1, "nobody knows that it is slow before it was asked");
}

#[test]
fn an_ill_endpoint_gets_nothing_until_it_is_well() {
    let nodes = nodes(2);
    let health = "balance = \"round-robin\"\nhealth = { path = \"/health\", interval = \"50ms\", rise = 2, fall = 2 }";
    let proxy = in_front_of(&nodes, health);
    until("both are asked how they are", || {
        nodes.iter().all(|node| node.checked.load(Ordering::SeqCst) > 1)
    });
    nodes[0].well.store(false, Ordering::SeqCst);
    let out = format!(
        r#"strangler_endpoint_in_use{{upstream="shop",endpoint="{}"}} 0"#,
        nodes[0].upstream.address
    );
    until("it is out of use", || proxy.metrics().contains(&out));
    let before = nodes[0].asked();
    for _ in 0..10 {
        assert_eq!(proxy.ask(get("/")).status(), 200);
    }
    assert_eq!(nodes[0].asked(), before);
    let figures = Engine::figures(&proxy.handle);
    let shown = &figures.upstreams[0].endpoints;
    assert_eq!(shown.iter().filter(|(_, in_use)| *in_use).count(), 1, "{shown:?}");
    nodes[0].well.store(true, Ordering::SeqCst);
    until("it is asked again", || {
        proxy.ask(get("/"));
        nodes[0].asked() > before
    });
    assert!(
        proxy.metrics().contains(r#"strangler_health_checks_total{upstream="shop",outcome="bad"}"#)
    );
}

#[test]
fn where_all_are_ill_all_are_asked() {
    let nodes = nodes(1);
    let health = "health = { path = \"/health\", interval = \"50ms\", fall = 1 }";
    let proxy = in_front_of(&nodes, health);
    nodes[0].well.store(false, Ordering::SeqCst);
    until("it is out of use", || {
        proxy.metrics().contains("\"} 0\n") && nodes[0].checked.load(Ordering::SeqCst) > 1
    });
    proxy.ask(get("/"));
    assert_eq!(nodes[0].asked(), 1, "the checks may be wrong");
}

#[test]
fn an_ill_new_side_falls_back_before_it_is_asked() {
    let (old, new) = (Node::new(Duration::ZERO), Node::new(Duration::ZERO));
    new.well.store(false, Ordering::SeqCst);
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[upstreams.new]\nendpoints = [\"http://{}\"]\nhealth = {{ path = \"/health\", interval = \"50ms\", fall = 1 }}\n\
         [[routes]]\nname = \"stock\"\npath = \"/stock\"\nto = \"new\"\nstage = \"live\"\n",
        old.upstream.address, new.upstream.address
    ));
    until("it is out of use", || !proxy.handle.is_usable("stock", "new"));
    let answer = proxy.ask("POST /stock HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((answer.status(), answer.field("x-strangler-fallback")), (200, Some("monolith")));
    assert_eq!(new.asked(), 0);
}

#[test]
fn who_fails_in_a_row_is_taken_out_and_comes_back() {
    let nodes = nodes(2);
    let settings = "balance = \"round-robin\"\noutlier = { failures = 3, ejection = \"400ms\" }\nhealth.interval = \"100ms\"";
    let proxy = in_front_of(&nodes, settings);
    nodes[0].well.store(false, Ordering::SeqCst);
    let mut client = proxy.connect();
    let statuses: Vec<u16> = (0..16).map(|_| client.ask(get("/")).status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 3, "{statuses:?}");
    assert!(proxy.metrics().contains(r#"strangler_ejections_total{upstream="shop"} 1"#));
    nodes[0].well.store(true, Ordering::SeqCst);
    let before = nodes[0].asked();
    until("it is asked again", || {
        proxy.ask(get("/"));
        nodes[0].asked() > before
    });
}

#[test]
fn the_last_endpoint_is_never_taken_out() {
    let nodes = nodes(2);
    let settings = "balance = \"round-robin\"\noutlier = { failures = 1, ejection = \"1m\", ejected_max = 100 }";
    let proxy = in_front_of(&nodes, settings);
    for node in &nodes {
        node.well.store(false, Ordering::SeqCst);
    }
    let mut client = proxy.connect();
    for _ in 0..20 {
        client.ask(get("/"));
    }
    assert_eq!(nodes[0].asked() + nodes[1].asked(), 20, "somebody is always asked");
    assert!(proxy.metrics().contains(r#"strangler_ejections_total{upstream="shop"} 1"#));
}

/// A dead endpoint that was taken out must take a connection before it gets a request again.
#[test]
fn who_is_dead_stays_out() {
    let nodes = nodes(1);
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxied::new(&format!(
        "from = \"shop\"\nworkers = 1\n[upstreams.shop]\nendpoints = [\"http://{}\", \"http://{dead}\"]\nbalance = \"round-robin\"\n\
         outlier = {{ failures = 1, ejection = \"50ms\" }}\nhealth.interval = \"50ms\"\n",
        nodes[0].upstream.address
    ));
    let bad = r#"strangler_health_checks_total{upstream="shop",outcome="bad"} 3"#;
    until("it was tried in vain three times", || {
        assert_eq!(proxy.ask(get("/")).status(), 200, "a second try helps");
        proxy.metrics().contains(bad)
    });
    assert!(
        proxy.metrics().contains(r#"strangler_retried_total{route="(rest)",side="old"} 1"#),
        "{}",
        proxy.metrics()
    );
}

#[test]
fn connections_to_an_endpoint_are_bounded() {
    let go = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&go);
    let upstream = Upstream::answering(move |_| {
        until("the test lets it go", || held.load(Ordering::SeqCst));
        ok("done")
    });
    let proxy = Proxied::with(upstream.address, "workers = 1\ndefaults.pool.connections = 2");
    let mut clients: Vec<Peer> = (0..2).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(get("/"));
    }
    until("two are open", || upstream.open.load(Ordering::SeqCst) == 2);
    let refused = proxy.ask(get("/"));
    assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")));
    assert!(refused.text().contains("endpoints-full"), "{refused:?}");
    go.store(true, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(proxy.ask(get("/")).status(), 200);
}

#[test]
fn idle_connections_are_kept_only_as_many_as_wanted() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "workers = 1\ndefaults.pool.idle = 0");
    for number in 1..=3 {
        assert_eq!(proxy.ask(get("/")).status(), 200);
        assert_eq!(upstream.connections.load(Ordering::SeqCst), number);
    }
}
