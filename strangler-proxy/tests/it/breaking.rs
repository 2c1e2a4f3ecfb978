//! Sides that fail: left alone by the breaker, and replaced by what the route says.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use strangler_proxy::{config::KillSource, steer::Switch};

use crate::{
    proxied::Proxied,
    raw::{Message, Peer, Upstream, get, ok, until},
};

const POST: &str = "POST /stock HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// Answers with its name while it is well, else as told; counts what it was asked.
struct Moody {
    upstream: Upstream,
    well: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Moody {
    fn new(name: &'static str, when_ill: &'static [u8]) -> Self {
        let (well, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (is_well, counted) = (Arc::clone(&well), Arc::clone(&asked));
        let upstream = Upstream::new(move |peer, _| {
            while peer.request().is_some() {
                counted.fetch_add(1, Ordering::SeqCst);
                let well = is_well.load(Ordering::SeqCst);
                let answer = if well { ok(name) } else { when_ill.to_vec() };
                if answer.is_empty() || peer.try_send(answer).is_err() {
                    return;
                }
            }
        });
        Self { upstream, well, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn set(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }
}

const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";

/// With one worker: another one may not have heard yet how a request ended when its answer is already there.
fn shop(old: &Moody, new: std::net::SocketAddr, lines: &str) -> Proxied {
    Proxied::new(&format!(
        "workers = 1\nfrom = \"http://{}\"\n[[routes]]\nname = \"stock\"\npath = \"/stock\"\nto = \"http://{new}\"\n{}{lines}\n",
        old.upstream.address,
        if lines.contains("stage") { "" } else { "stage = \"live\"\n" },
    ))
}

fn is_problem(answer: &Message, status: u16, cause: &str) {
    assert_eq!(answer.status(), status, "{answer:?}");
    assert!(answer.text().contains(cause), "{cause}: {answer:?}");
}

fn nobody() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_side_that_fails_is_left_alone_and_probed() {
    let side = Moody::new("well", BUSY);
    let lines = "workers = 1\ndefaults.breaker = { failures = 4, open = \"400ms\", probes = 2 }";
    let proxy = Proxied::with(side.upstream.address, lines);
    side.set(false);
    for _ in 0..4 {
        assert_eq!(proxy.ask(get("/")).text(), "busy");
    }
    let refused = proxy.ask(get("/"));
    is_problem(&refused, 503, "breaker-open");
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert_eq!(side.asked(), 4, "it is left alone");
    let metrics = proxy.metrics();
    for line in [
        r#"strangler_breaker_open{route="(rest)",side="old"} 1"#,
        r#"strangler_breaker_opened_total{route="(rest)",side="old"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    until("a probe fails and it is open again", || {
        proxy.ask(get("/"));
        proxy.metrics().contains(r#"strangler_breaker_opened_total{route="(rest)",side="old"} 2"#)
    });
    assert_eq!(side.asked(), 5, "one probe");
    side.set(true);
    until("the probes succeed", || proxy.ask(get("/")).status() == 200);
    for _ in 0..10 {
        assert_eq!(proxy.ask(get("/")).text(), "well");
    }
    assert!(proxy.metrics().contains(r#"strangler_breaker_open{route="(rest)",side="old"} 0"#));
}

#[test]
fn a_share_of_failures_opens_it_too() {
    let count = AtomicUsize::new(0);
    let upstream = Upstream::answering(move |_| {
        if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            ok("well")
        } else {
            BUSY.to_vec()
        }
    });
    let breaker =
        "defaults.breaker = { failures = 1000, rate = 50, requests_min = 20, open = \"1m\" }";
    let proxy = Proxied::with(upstream.address, &format!("workers = 1\n{breaker}"));
    let mut client = proxy.connect();
    let statuses: Vec<u16> = (0..22).map(|_| client.ask(get("/")).status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    let refused = client.ask(get("/"));
    is_problem(&refused, 503, "breaker-open");
    let wait: u32 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
}

#[test]
fn an_internal_error_of_a_living_side_opens_nothing() {
    let upstream =
        Upstream::answering(|_| b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec());
    let proxy = Proxied::with(upstream.address, "defaults.breaker.failures = 2");
    for _ in 0..10 {
        assert_eq!(proxy.ask(get("/")).field("proxy-status"), None, "the upstream's own");
    }
}

#[test]
fn the_old_side_answers_for_a_dead_new_one_and_says_so() {
    let old = Moody::new("old", BUSY);
    let proxy = shop(&old, nobody(), "");
    for request in [get("/stock"), POST.to_owned()] {
        let answer = proxy.ask(request);
        assert_eq!((answer.status(), answer.text().as_str()), (200, "old"));
        assert_eq!(answer.field("x-strangler-fallback"), Some("monolith"));
    }
    assert_eq!(proxy.ask(get("/other")).field("x-strangler-fallback"), None);
    assert!(proxy.metrics().contains(r#"strangler_fallbacks_total{route="stock"} 2"#));
}

#[test]
fn what_the_new_side_may_have_done_is_not_done_again() {
    let (old, new) = (Moody::new("old", BUSY), Moody::new("new", b""));
    new.set(false);
    let proxy = shop(&old, new.upstream.address, "");
    is_problem(&proxy.ask(POST), 502, "connection-terminated");
    let put = POST.replace("POST", "PUT");
    is_problem(&proxy.ask(put), 502, "connection-terminated");
    assert_eq!(old.asked(), 0, "the old side knows nothing of it");
    assert_eq!(proxy.ask(get("/stock")).text(), "old", "a GET changes nothing");
}

#[test]
fn an_open_breaker_sends_everything_to_the_old_side_until_the_probes_succeed() {
    let (old, new) = (Moody::new("old", BUSY), Moody::new("new", BUSY));
    let proxy =
        shop(&old, new.upstream.address, "breaker = { failures = 3, open = \"3s\", probes = 1 }");
    new.set(false);
    for _ in 0..3 {
        assert_eq!(proxy.ask(POST).text(), "busy", "its own answer");
    }
    let answer = proxy.ask(POST);
    assert_eq!(
        (answer.text().as_str(), answer.field("x-strangler-fallback")),
        ("old", Some("monolith"))
    );
    assert_eq!(new.asked(), 3);
    new.set(true);
    until("it is used again", || proxy.ask(POST).text() == "new");
    let answer = proxy.ask(POST);
    assert_eq!((answer.text().as_str(), answer.field("x-strangler-fallback")), ("new", None));
}

#[test]
fn a_fixed_answer_stands_in_where_the_route_has_one() {
    let old = Moody::new("old", BUSY);
    let fixed = "fallback = { status = 200, body = \"[]\", content_type = \"application/json\" }";
    let proxy = shop(&old, nobody(), fixed);
    let mut client = proxy.connect();
    for _ in 0..2 {
        let answer = client.ask(get("/stock"));
        assert_eq!((answer.status(), answer.text().as_str()), (200, "[]"));
        assert_eq!(answer.field("content-type"), Some("application/json"));
        assert_eq!(answer.field("x-strangler-fallback"), Some("answer"));
    }
    let post = proxy.ask(POST);
    assert_eq!(
        (post.status(), post.field("connection")),
        (200, Some("close")),
        "its body was not read"
    );
    assert_eq!(old.asked(), 0);
    assert!(proxy.metrics().contains(r#"strangler_fallbacks_total{route="stock"} 3"#));
}

#[test]
fn without_a_fallback_the_failure_is_shown() {
    let old = Moody::new("old", BUSY);
    is_problem(
        &shop(&old, nobody(), "fallback = \"none\"").ask(get("/stock")),
        502,
        "connection-refused",
    );
    let retired = shop(&old, nobody(), "stage = \"retired\"");
    is_problem(&retired.ask(get("/stock")), 502, "connection-refused");
    assert_eq!(old.asked(), 0, "a retired route has no old side");
}

/// A new side that reads the last request of its first connection, and is not there any more when it closes that.
fn dies_with(requests: usize) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut peer = Peer::of(listener.accept().unwrap().0);
        for _ in 1..requests {
            peer.request().unwrap();
            peer.send(ok("new"));
        }
        peer.request().unwrap();
        drop(listener);
    });
    address
}

const DELETE: &str = "DELETE /stock HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn what_the_new_side_may_have_done_is_not_done_again_because_a_later_try_was_not_sent() {
    // The second try is refused, and so has certainly not been sent; the first one was.
    let old = Moody::new("old", b"");
    let proxy = shop(&old, dies_with(1), "");
    is_problem(&proxy.ask(DELETE), 502, "connection-refused");
    // The same where the first one was sent on a connection that had been idle.
    let proxy = shop(&old, dies_with(2), "");
    let mut client = proxy.connect();
    assert_eq!(client.ask(get("/stock")).text(), "new");
    is_problem(&client.ask(DELETE), 502, "connection-refused");
    assert_eq!(old.asked(), 0);
    // What changes nothing may be asked twice.
    let proxy = shop(&old, dies_with(1), "");
    assert_eq!(proxy.ask(get("/stock")).text(), "old");
}

#[test]
fn the_whole_time_is_not_given_again_to_the_side_that_stands_in() {
    let old = Moody::new("old", b"");
    let silent = Upstream::new(|peer, _| drop((peer.request(), peer.the_rest())));
    let proxy = shop(&old, silent.address, "timeouts.total = \"200ms\"");
    is_problem(&proxy.ask(get("/stock")), 504, "total-timeout");
    assert_eq!(old.asked(), 0, "there is no time left for it");
    let fixed = "timeouts.total = \"200ms\"\nfallback = { status = 200, body = \"later\" }";
    assert_eq!(shop(&old, silent.address, fixed).ask(get("/stock")).text(), "later");
    let early = "timeouts = { total = \"60s\", first_byte = \"200ms\" }";
    assert_eq!(shop(&old, silent.address, early).ask(get("/stock")).text(), "old");
}

#[test]
fn a_client_that_takes_too_long_is_no_failure_of_the_side() {
    let side = Moody::new("well", b"");
    let settings = "defaults.breaker = { failures = 2 }\ndefaults.timeouts.total = \"200ms\"";
    let proxy = Proxied::with(side.upstream.address, settings);
    for _ in 0..3 {
        let mut client = proxy.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
        is_problem(&client.answer(), 408, "slow-body");
    }
    assert_eq!(proxy.ask(get("/")).text(), "well");
}

#[test]
fn the_kill_switch_reaches_who_waits_for_a_second_try() {
    let old = Moody::new("old", b"");
    let wait = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n";
    for fallback in ["monolith", "none"] {
        let new = Moody::new("new", wait);
        new.set(false);
        let lines = format!(
            "fallback = \"{fallback}\"\nretries = {{ on = [503], backoff_longest = \"9s\" }}"
        );
        let proxy = shop(&old, new.upstream.address, &lines);
        let mut client = proxy.connect();
        client.send(get("/stock"));
        until("it has failed once", || new.asked() == 1);
        proxy.steering.switch(Switch::On, KillSource::Api, "test", "test");
        assert_eq!(client.answer().text(), "old", "{fallback}");
        assert_eq!(new.asked(), 1, "{fallback}");
    }
}
