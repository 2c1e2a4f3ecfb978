//! Who is turned away: too fast, too many at once, or less important while there is too much to do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use strangler_proxy::{config::KillSource, steer::Switch};

use crate::{
    proxied::Proxied,
    raw::{Message, Peer, Upstream, get, ok, until},
};

fn by(user: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nX-User: {user}\r\n\r\n")
}

fn is_refused(answer: &Message, status: u16, cause: &str) {
    assert_eq!(answer.status(), status, "{answer:?}");
    assert!(answer.text().contains(cause), "{cause}: {answer:?}");
    let wait: u32 = answer.field("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
}

#[test]
fn a_key_has_its_rate_and_its_burst() {
    let upstream = Upstream::echo();
    let limits = "defaults.limits = { rate = \"6/m\", burst = 3, rate_key = \"header:x-user\" }";
    let proxy = Proxied::with(upstream.address, limits);
    for _ in 0..3 {
        assert_eq!(proxy.ask(by("alice")).status(), 200, "over both workers");
    }
    let refused = proxy.ask(by("alice"));
    is_refused(&refused, 429, "rate-limited");
    let wait: u32 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((5..=10).contains(&wait), "one each ten seconds: {wait}");
    assert_eq!(proxy.ask(by("bob")).status(), 200, "somebody else");
    let metrics = proxy.metrics();
    assert!(metrics.contains(r#"strangler_limited_total{route="(rest)"} 1"#), "{metrics}");
}

#[test]
fn who_leaves_the_key_out_is_counted_by_address() {
    let upstream = Upstream::echo();
    let limits = "defaults.limits = { rate = \"2/m\", rate_key = \"header:x-user\" }";
    let proxy = Proxied::with(upstream.address, limits);
    assert_eq!([proxy.ask(get("/")).status(), proxy.ask(get("/")).status()], [200, 200]);
    is_refused(&proxy.ask(get("/")), 429, "rate-limited");
    assert_eq!(proxy.ask(by("alice")).status(), 200);
}

#[test]
fn a_rate_of_the_route_is_shared_by_all_and_comes_back() {
    let upstream = Upstream::echo();
    let limits = "defaults.limits = { rate = \"1/400ms\", rate_key = \"route\" }";
    let proxy = Proxied::with(upstream.address, limits);
    assert_eq!(proxy.ask(by("alice")).status(), 200);
    is_refused(&proxy.ask(by("bob")), 429, "rate-limited");
    until("the next is due", || proxy.ask(by("bob")).status() == 200);
}

/// A route that holds its requests until it is told to let them go.
struct Held {
    proxy: Proxied,
    inside: Arc<AtomicUsize>,
    go: Arc<AtomicBool>,
    _upstream: Upstream,
}

fn held(limits: &str) -> Held {
    let (inside, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, free) = (Arc::clone(&inside), Arc::clone(&go));
    let upstream = Upstream::answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        until("the test lets it go", || free.load(Ordering::SeqCst));
        ok("done")
    });
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"slow\"\npath = \"/slow\"\nlimits = {{ {limits} }}\n",
        upstream.address
    ));
    Held { proxy, inside, go, _upstream: upstream }
}

impl Held {
    fn send(&self, count: usize) -> Vec<Peer> {
        let begin = |_| {
            let mut client = self.proxy.connect();
            client.send(get("/slow"));
            client
        };
        (0..count).map(begin).collect()
    }

    fn metric(&self, line: &str) -> bool {
        self.proxy.metrics().contains(line)
    }
}

#[test]
fn so_many_at_once_so_many_wait_and_the_rest_is_refused() {
    let held = held("concurrency = 2, queue = 3, queue_time = \"20s\"");
    let mut inside = held.send(2);
    until("two are inside", || held.inside.load(Ordering::SeqCst) == 2);
    let mut waiting = held.send(3);
    until("three wait", || held.metric(r#"strangler_queued{route="slow"} 3"#));
    is_refused(&held.proxy.ask(get("/slow")), 503, "queue-full");
    assert_eq!(held.inside.load(Ordering::SeqCst), 2);
    // Whoever leaves makes room for another to wait.
    drop(waiting.pop());
    until("two wait", || held.metric(r#"strangler_queued{route="slow"} 2"#));
    held.go.store(true, Ordering::SeqCst);
    for client in inside.iter_mut().chain(&mut waiting) {
        assert_eq!(client.answer().status(), 200);
    }
    until("all are out", || held.metric(r#"strangler_inside{route="slow"} 0"#));
    assert!(held.metric(r#"strangler_waited_total{route="slow"} 3"#));
    assert!(held.metric(r#"strangler_crowded_total{route="slow"} 1"#));
}

#[test]
fn nobody_waits_for_longer_than_the_queue_time() {
    let held = held("concurrency = 1, queue_time = \"300ms\"");
    let mut inside = held.send(1);
    until("one is inside", || held.inside.load(Ordering::SeqCst) == 1);
    let started = Instant::now();
    is_refused(&held.proxy.ask(get("/slow")), 503, "queued-too-long");
    assert!(started.elapsed() >= Duration::from_millis(300));
    held.go.store(true, Ordering::SeqCst);
    assert_eq!(inside[0].answer().status(), 200);
}

#[test]
fn without_a_queue_nobody_waits() {
    let held = held("concurrency = 1, queue = 0");
    let _inside = held.send(1);
    until("one is inside", || held.inside.load(Ordering::SeqCst) == 1);
    is_refused(&held.proxy.ask(get("/slow")), 503, "queue-full");
    held.go.store(true, Ordering::SeqCst);
}

#[test]
fn low_priorities_go_first_when_connections_run_out() {
    let upstream = Upstream::echo();
    let route = |name: &str, priority: u8| {
        format!("[[routes]]\nname = \"{name}\"\npath = \"/{name}\"\nlimits.priority = {priority}\n")
    };
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\nworkers = 1\nclient.connections = 20\n{}{}",
        upstream.address,
        route("reports", 1),
        route("orders", 9)
    ));
    assert_eq!(proxy.ask(get("/reports")).status(), 200);
    let crowd: Vec<Peer> = (0..17).map(|_| proxy.connect()).collect();
    until("reports are refused", || proxy.ask(get("/reports")).status() == 503);
    let refused = proxy.ask(get("/reports"));
    is_refused(&refused, 503, "shed");
    assert_eq!(refused.field("connection"), Some("close"), "a connection less");
    assert_eq!(proxy.ask(get("/orders")).status(), 200);
    assert_eq!(proxy.ask(get("/")).status(), 200, "the usual priority");
    drop(crowd);
    until("there is room again", || proxy.ask(get("/reports")).status() == 200);
    assert!(proxy.metrics().contains(r#"strangler_shed_total{route="reports"}"#));
}

#[test]
fn the_kill_switch_reaches_who_waits_for_a_place() {
    let (release, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (go, count) = (Arc::clone(&release), Arc::clone(&asked));
    let new = Upstream::answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        until("the test lets it go", || go.load(Ordering::SeqCst));
        ok("new")
    });
    let old = Upstream::answering(|_| ok("old"));
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stock\"\npath = \"/stock\"\nto = \"http://{}\"\n\
         stage = \"live\"\nlimits = {{ concurrency = 1, queue_time = \"1h\" }}\n",
        old.address, new.address
    ));
    let (mut first, mut second) = (proxy.connect(), proxy.connect());
    first.send(get("/stock"));
    until("it is under way", || asked.load(Ordering::SeqCst) == 1);
    second.send(get("/stock"));
    until("it waits", || proxy.metrics().contains(r#"strangler_queued{route="stock"} 1"#));
    proxy.steering.switch(Switch::On, KillSource::Api, "test", "test");
    release.store(true, Ordering::SeqCst);
    assert_eq!(first.answer().text(), "new");
    assert_eq!(second.answer().text(), "old");
}
