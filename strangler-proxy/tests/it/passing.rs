//! What passes through, and how: plain requests, several on a connection, what is told of the client.

use crate::{
    proxied::Proxied,
    raw::{Upstream, get, ok, until},
};

/// HTTP/1.0 may leave `Host` out; the upstream is asked in HTTP/1.1, where it must not be empty for many.
#[test]
fn a_request_without_a_host_names_the_upstream() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let asked = proxy.ask("GET / HTTP/1.0\r\n\r\n").text();
    assert!(asked.contains(&format!("\nHost: {}\n", upstream.address)), "{asked}");
    assert!(!asked.to_lowercase().contains("x-forwarded-host"), "{asked}");
    let asked = proxy.ask("GET http://a.example/ HTTP/1.0\r\n\r\n").text();
    assert!(asked.contains("\nHost: a.example\n"), "{asked}");
}

#[test]
fn a_request_and_its_answer_pass() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let answer = proxy.ask(get("/a/./b/../c?d=e&f=%20"));
    assert_eq!(answer.status(), 200);
    let seen = answer.text();
    assert!(seen.starts_with("GET /a/c?d=e&f=%20 HTTP/1.1\n"), "{seen}");
    for line in [
        "Host: shop.example",
        "Via: 1.1 strangler-proxy",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: http",
    ] {
        assert!(seen.lines().any(|seen| seen == line), "{line} in {seen}");
    }
    assert!(answer.field("date").is_some(), "the proxy adds what the upstream left out");
}

#[test]
fn one_upstream_connection_serves_many_clients_one_after_the_other() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "workers = 1");
    for round in 0..20 {
        assert_eq!(proxy.ask(get(&format!("/{round}"))).status(), 200);
    }
    assert_eq!(upstream.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    let many: String = (0..100).map(|number| get(&format!("/{number}"))).collect();
    client.send(many);
    for number in 0..100 {
        let answer = client.answer().text();
        assert!(answer.starts_with(&format!("GET /{number} ")), "{answer}");
    }
}

#[test]
fn a_pipelined_request_behind_a_body_is_found() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    let post = "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let chunked =
        "POST /two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    client.send(format!("{post}{chunked}{}", get("/three")));
    assert!(client.answer().text().ends_with("\n\nbody"));
    assert!(client.answer().text().ends_with("\n\nabc"));
    assert!(client.answer().text().starts_with("GET /three"));
}

#[test]
fn a_head_that_comes_byte_by_byte_is_read() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    for byte in get("/drip").bytes() {
        client.send([byte]);
    }
    assert!(client.answer().text().starts_with("GET /drip"));
}

#[test]
fn an_old_client_is_answered_and_let_go_or_kept_as_it_asks() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    let answer = client.ask("GET /1 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(answer.field("connection"), Some("keep-alive"));
    let answer = client.ask("GET /2 HTTP/1.0\r\nHost: a\r\n\r\n");
    assert!(answer.text().starts_with("GET /2 HTTP/1.1"));
    assert!(client.is_closed());
}

#[test]
fn a_client_that_says_close_is_let_go() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    let answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn a_client_that_ends_its_side_still_gets_its_answer() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    client.send(get("/half"));
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(client.answer().text().starts_with("GET /half"));
    assert!(client.is_closed());
}

#[test]
fn the_trace_is_passed_on_or_made() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let seen =
        proxy.ask(format!("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: {trace}\r\n\r\n")).text();
    assert_eq!(seen.matches("traceparent").count(), 1, "{seen}");
    assert!(seen.contains(trace), "{seen}");
    let seen = proxy.ask("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: nonsense\r\n\r\n").text();
    assert!(seen.contains("traceparent: 00-") && !seen.contains("nonsense"), "{seen}");
}

#[test]
fn what_a_stranger_says_of_the_client_is_dropped_and_a_trusted_proxy_is_believed() {
    let upstream = Upstream::echo();
    let claim = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.9.8.7\r\n\r\n";
    let seen = Proxied::to(upstream.address).ask(claim).text();
    assert!(seen.contains("X-Forwarded-For: 127.0.0.1") && !seen.contains("10.9.8.7"), "{seen}");
    let trusting = Proxied::with(upstream.address, "forwarded.trust = [\"127.0.0.0/8\"]");
    let seen = trusting.ask(claim).text();
    assert!(seen.contains("X-Forwarded-For: 10.9.8.7, 127.0.0.1"), "{seen}");
}

#[test]
fn answers_are_counted_by_route_and_side() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/missing" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => ok("x"),
    });
    let proxy = Proxied::to(upstream.address);
    for path in ["/", "/", "/missing"] {
        proxy.ask(get(path));
    }
    // An answer is counted when it has been written.
    for line in [
        r#"strangler_responses_total{route="(rest)",side="old",class="2xx"} 2"#,
        r#"strangler_responses_total{route="(rest)",side="old",class="4xx"} 1"#,
        r#"strangler_request_seconds_count{route="(rest)",side="old"} 3"#,
    ] {
        until(line, || proxy.metrics().contains(line));
    }
}
