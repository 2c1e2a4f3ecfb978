//! Clients that are slow, wrong, too many, or gone.

use std::{sync::atomic::Ordering, time::Duration};

use crate::{
    proxied::Proxied,
    raw::{Upstream, get, ok, until},
};

#[test]
fn a_head_that_does_not_come_is_408() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "client.head_time = \"200ms\"");
    let mut client = proxy.connect();
    let answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\n");
    assert_eq!(answer.status(), 408);
    assert!(client.is_closed());
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn a_body_that_does_not_come_is_408() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "client.body_idle = \"200ms\"");
    let mut client = proxy.connect();
    let answer = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(answer.status(), 408);
    assert!(client.is_closed());
    until("the upstream's connection is closed", || upstream.open.load(Ordering::SeqCst) == 0);
}

/// A byte within each idle time is not enough: it would hold two connections for ever.
#[test]
fn a_body_that_drips_is_408() {
    let upstream = Upstream::echo();
    let settings = "client = { body_idle = \"300ms\", body_rate_min = \"1MiB\" }";
    let proxy = Proxied::with(upstream.address, settings);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    let mut drips = client.other_half();
    let drip = std::thread::spawn(move || {
        // Ends with the connection.
        while drips.try_send("x").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let answer = client.answer();
    assert_eq!(answer.status(), 408);
    assert!(answer.field("proxy-status").unwrap().contains("slow-body"));
    drip.join().unwrap();
    until("the upstream's connection is closed", || upstream.open.load(Ordering::SeqCst) == 0);
}

/// The same, of who takes an answer.
#[test]
fn a_client_that_reads_by_drips_is_let_go() {
    let upstream = Upstream::answering(|_| ok(vec![b'x'; 256 << 20]));
    let settings = "client = { body_idle = \"300ms\", body_rate_min = \"1GiB\" }";
    let proxy = Proxied::with(upstream.address, settings);
    let mut client = proxy.connect();
    client.send(get("/"));
    client.head().unwrap();
    let mut taken = 0;
    while client.exactly(64 << 10).is_ok() {
        taken += 64 << 10;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(taken < 256 << 20, "all of it");
    until("the upstream's connection is closed", || upstream.open.load(Ordering::SeqCst) == 0);
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "client.keep_alive = \"200ms\"");
    let mut client = proxy.connect();
    assert_eq!(client.ask(get("/")).status(), 200);
    assert!(client.is_closed());
}

#[test]
fn what_is_refused_reaches_nobody_and_ends_the_connection() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "client.http2 = false");
    let many: String = (0..100_000).map(|number| format!("X-{number}: 1\r\n")).collect();
    for (request, status) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405),
        ("GET /../../etc HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
        (&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(10_000)), 414),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nContent-Length: 1\r\n\r\n", 417),
        ("\u{16}\u{3}\u{1}", 400),
    ] {
        let mut client = proxy.connect();
        // The proxy may answer and close before all of it is written.
        drop(client.try_send(request));
        drop(client.try_send(get("/smuggled")));
        let answer = client.answer();
        assert_eq!(answer.status(), status, "{:?}", &request[..request.len().min(80)]);
        assert!(client.is_closed());
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn a_bad_chunk_is_refused_and_the_request_broken_off() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    let answer = client.ask(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX\r\n0\r\n\r\n",
    );
    assert_eq!(answer.status(), 400);
    assert!(client.is_closed());
    until("the upstream's connection is closed", || upstream.open.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_client_that_goes_while_it_waits_takes_its_upstream_connection_along() {
    let upstream = Upstream::new(|peer, _| {
        drop(peer.request());
        // Never answers: only the proxy can end this.
        drop(peer.the_rest());
    });
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    client.send(get("/"));
    until("the upstream has it", || upstream.open.load(Ordering::SeqCst) == 1);
    drop(client);
    until("the upstream's connection is closed", || upstream.open.load(Ordering::SeqCst) == 0);
    until("the client is forgotten", || proxy.handle.connections() == 0);
}

#[test]
fn a_client_that_goes_in_the_middle_of_its_body_ends_the_request() {
    let upstream = Upstream::new(|peer, _| {
        let head = peer.head().unwrap().unwrap();
        assert_eq!(head.field("content-length"), Some("100"));
        assert!(peer.exactly(100).is_err(), "the request is never whole");
    });
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    until("the upstream has it", || upstream.connections.load(Ordering::SeqCst) == 1);
    drop(client);
    until("the upstream's connection is closed", || upstream.open.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let upstream = Upstream::answering(|_| ok(vec![b'x'; 64 << 20]));
    let proxy = Proxied::with(upstream.address, "client.body_idle = \"300ms\"");
    let mut client = proxy.connect();
    client.send(get("/"));
    until("it has come", || proxy.handle.connections() == 1);
    until("it is let go", || proxy.handle.connections() == 0);
}

#[test]
fn connections_over_the_limit_are_told_so() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "workers = 1\nclient.connections = 3");
    let mut clients: Vec<_> = (0..3).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
    let refused = proxy.connect().answer();
    assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")));
    drop(clients);
    until("there is room again", || proxy.handle.connections() == 0);
    assert_eq!(proxy.ask(get("/")).status(), 200);
}

#[test]
fn a_slow_reader_gets_everything() {
    let upstream = Upstream::answering(|_| ok(vec![b'x'; 3 << 20]));
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    client.send(get("/"));
    let head = client.head().unwrap().unwrap();
    assert_eq!(head.field("content-length"), Some("3145728"));
    let mut left = 3 << 20;
    while left > 0 {
        let piece = left.min(300_000);
        left -= client.exactly(piece).unwrap().len();
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(client.ask(get("/")).body.len(), 3 << 20);
}

#[test]
fn a_hundred_thousand_fields_are_refused_and_cost_nobody_else_anything() {
    let upstream = Upstream::answering(|_| ok("well"));
    let proxy = Proxied::to(upstream.address);
    let mut other = proxy.connect();
    assert_eq!(other.ask(get("/")).text(), "well");
    let fields: String = (0..100_000).map(|number| format!("X-{number}: v\r\n")).collect();
    let mut client = proxy.connect();
    // It may close before all of it is sent.
    drop(client.try_send(format!("GET /many HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n")));
    assert_eq!(client.answer_or_end(), Some(431));
    assert!(client.is_closed());
    assert_eq!(other.ask(get("/")).text(), "well");
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1, "it has reached nobody");
}
