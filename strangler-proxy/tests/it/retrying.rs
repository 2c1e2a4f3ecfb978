//! Second tries: only where they are safe, only as many as are paid for, and after the pause that was asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    proxied::Proxied,
    raw::{Upstream, get, ok},
};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// The breaker stays out of the way.
const NO_BREAKER: &str = "defaults.breaker = { failures = 1000000, rate = 0 }\n";

/// Answers the first `bad` requests with this, and counts all.
fn failing_first(bad: usize, answer: &'static [u8]) -> (Upstream, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let upstream = Upstream::answering(move |_| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        if number < bad { answer.to_vec() } else { ok("at last") }
    });
    (upstream, asked)
}

const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";

#[test]
fn an_answer_on_the_list_is_tried_again_where_that_is_safe() {
    let (upstream, asked) = failing_first(1, BUSY);
    let settings = format!("defaults.retries = {{ on = [503] }}\n{NO_BREAKER}");
    let proxy = Proxied::with(upstream.address, &settings);
    assert_eq!(proxy.ask(get("/")).text(), "at last");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(proxy.metrics().contains(r#"strangler_retried_total{route="(rest)",side="old"} 1"#));
    let (upstream, asked) = failing_first(1, BUSY);
    let proxy = Proxied::with(upstream.address, &settings);
    let answer = proxy.ask(POST);
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (503, "busy"),
        "the upstream's own answer"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn an_answer_that_is_not_on_the_list_is_passed_on() {
    let (upstream, asked) = failing_first(1, BUSY);
    let proxy = Proxied::with(upstream.address, "defaults.retries.on = [502, 504]");
    assert_eq!(proxy.ask(get("/")).text(), "busy");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn the_last_try_shows_what_it_got() {
    let (upstream, asked) = failing_first(usize::MAX, BUSY);
    let settings =
        format!("defaults.retries = {{ on = [503], tries = 3, backoff = \"1ms\" }}\n{NO_BREAKER}");
    let proxy = Proxied::with(upstream.address, &settings);
    assert_eq!(proxy.ask(get("/")).text(), "busy");
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[test]
fn what_the_upstream_asks_to_wait_is_waited_or_passed_on() {
    let (upstream, _) =
        failing_first(1, b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    let settings = "defaults.retries = { on = [503], backoff_longest = \"2s\" }";
    let proxy = Proxied::with(upstream.address, settings);
    let started = Instant::now();
    assert_eq!(proxy.ask(get("/")).text(), "at last");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    let (upstream, asked) =
        failing_first(1, b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n");
    let proxy = Proxied::with(upstream.address, settings);
    let answer = proxy.ask(get("/"));
    assert_eq!((answer.status(), answer.field("retry-after")), (503, Some("30")));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// The first connection says nothing, the others answer.
fn silent_first() -> Upstream {
    Upstream::new(|peer, number| {
        if number == 0 {
            drop(peer.the_rest());
            return;
        }
        while peer.request().is_some() {
            peer.send(ok("at last"));
        }
    })
}

#[test]
fn the_time_for_one_try_ends_it_and_the_next_begins() {
    let upstream = silent_first();
    let proxy = Proxied::with(upstream.address, "defaults.timeouts.per_try = \"200ms\"");
    let started = Instant::now();
    assert_eq!(proxy.ask(get("/")).text(), "at last");
    assert!(started.elapsed() >= Duration::from_millis(200));
    let upstream = silent_first();
    let proxy = Proxied::with(upstream.address, "defaults.timeouts.per_try = \"200ms\"");
    assert_eq!(proxy.ask(POST).status(), 504, "may have been done");
    let upstream = silent_first();
    let proxy = Proxied::with(upstream.address, "defaults.timeouts.first_byte = \"200ms\"");
    assert_eq!(
        proxy.ask(get("/")).status(),
        504,
        "without a time for one try that was all there was"
    );
}

#[test]
fn a_connection_that_dies_under_a_request_is_replaced_where_that_is_safe() {
    let dying_first = || {
        Upstream::new(|peer, number| {
            while peer.request().is_some() && number > 0 {
                peer.send(ok("at last"));
            }
        })
    };
    let upstream = dying_first();
    assert_eq!(Proxied::to(upstream.address).ask(get("/")).text(), "at last");
    let upstream = dying_first();
    assert_eq!(Proxied::to(upstream.address).ask(POST).status(), 502);
    let upstream = dying_first();
    let proxy = Proxied::with(upstream.address, "defaults.retries.tries = 0");
    assert_eq!(proxy.ask(get("/")).status(), 502, "nobody wants second tries");
}

#[test]
fn a_body_that_is_sent_again_is_the_same() {
    let upstream = Upstream::new(|peer, number| {
        while let Some(request) = peer.request() {
            if number == 0 {
                return;
            }
            peer.send(ok(request.body));
        }
    });
    let proxy = Proxied::to(upstream.address);
    let put = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(proxy.ask(put).text(), "abcde");
}

#[test]
fn retries_cost_no_more_than_their_budget() {
    let (upstream, asked) = failing_first(usize::MAX, BUSY);
    let retries = "defaults.retries = { on = [503], backoff = \"1ms\", budget = 20 }";
    let proxy = Proxied::with(upstream.address, &format!("workers = 1\n{retries}\n{NO_BREAKER}"));
    let mut client = proxy.connect();
    for _ in 0..100 {
        assert_eq!(client.ask(get("/")).status(), 503);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 100 + 20 + 10, "a fifth, and ten to begin with");
}

#[test]
fn a_client_that_leaves_ends_the_pause() {
    let (upstream, asked) = failing_first(usize::MAX, BUSY);
    let retries = "defaults.retries = { on = [503], backoff = \"10s\", backoff_longest = \"10s\" }";
    let proxy = Proxied::with(upstream.address, retries);
    let mut client = proxy.connect();
    client.send(get("/"));
    crate::raw::until("the first try", || asked.load(Ordering::SeqCst) == 1);
    let started = Instant::now();
    drop(client);
    crate::raw::until("nobody waits", || proxy.handle.connections() == 0);
    assert!(started.elapsed() < Duration::from_secs(5));
}
