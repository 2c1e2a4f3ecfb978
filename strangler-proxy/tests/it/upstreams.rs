//! Upstreams that are dead, slow, wrong, or gone in the middle.

use std::{
    io::Read,
    net::{Shutdown, TcpListener},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::{
    proxied::Proxied,
    raw::{Message, Upstream, get, ok, until},
};

/// Sends these bytes for each request and closes.
fn saying(answer: &'static [u8]) -> Upstream {
    Upstream::new(move |peer, _| {
        if peer.request().is_some() {
            peer.send(answer);
            peer.stream.shutdown(Shutdown::Write).unwrap();
            drop(peer.the_rest());
        }
    })
}

fn is_problem(answer: &Message, status: u16, cause: &str) {
    assert_eq!(answer.status(), status, "{answer:?}");
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    let told = answer.field("proxy-status").unwrap_or_default();
    assert!(told.contains(cause), "{cause} in {told}");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["status"], status);
}

#[test]
fn a_dead_upstream_is_502() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxied::to(nobody);
    let mut client = proxy.connect();
    for _ in 0..2 {
        is_problem(&client.ask(get("/")), 502, "connection_refused");
    }
    until("both are counted", || {
        proxy.metrics().contains(r#"strangler_failed_total{route="(rest)",side="old"} 2"#)
    });
}

#[test]
fn an_upstream_that_never_answers_is_504_in_time() {
    let upstream = Upstream::new(|peer, _| drop(peer.the_rest()));
    let proxy = Proxied::with(upstream.address, "defaults.timeouts.first_byte = \"200ms\"");
    let started = Instant::now();
    is_problem(&proxy.ask(get("/")), 504, "http_response_timeout");
    assert!(started.elapsed() >= Duration::from_millis(200), "never early");
    until("its connection is closed", || upstream.open.load(Ordering::SeqCst) == 0);
}

#[test]
fn the_total_time_bounds_an_answer_that_trickles() {
    let upstream = Upstream::new(|peer, _| {
        drop(peer.request());
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while peer.try_send("x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let proxy = Proxied::with(upstream.address, "defaults.timeouts.total = \"300ms\"");
    let mut client = proxy.connect();
    client.send(get("/"));
    assert!(client.try_answer(false).is_err(), "cut short, and seen to be");
}

#[test]
fn an_answer_that_stops_is_cut_off() {
    let upstream = Upstream::new(|peer, _| {
        drop(peer.request());
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        drop(peer.the_rest());
    });
    let proxy = Proxied::with(upstream.address, "defaults.timeouts.idle = \"200ms\"");
    let mut client = proxy.connect();
    client.send(get("/"));
    assert!(client.try_answer(false).is_err());
}

#[test]
fn what_is_no_answer_is_502() {
    for (garbage, cause) in [
        (&b"garbage\r\n\r\n"[..], "status-line"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "status-line"),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bare-lf"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "length-repeated"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "length-with-coding",
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "switching-unasked"),
    ] {
        let upstream = saying(garbage);
        let proxy = Proxied::to(upstream.address);
        let answer = proxy.ask(get("/"));
        is_problem(&answer, 502, "http_protocol_error");
        assert!(answer.field("proxy-status").unwrap().contains(cause), "{cause}: {answer:?}");
    }
}

#[test]
fn an_answer_that_is_cut_short_is_never_shown_as_whole() {
    for half in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ] {
        let upstream = saying(half);
        let proxy = Proxied::to(upstream.address);
        let mut client = proxy.connect();
        client.send(get("/"));
        // Where nothing has gone out yet it may still be said properly.
        let is_told = |got: &std::io::Result<Option<Message>>| match got {
            Ok(Some(answer)) => answer.status() == 502,
            Ok(None) => false,
            Err(_) => true,
        };
        let got = client.try_answer(false);
        assert!(is_told(&got), "{got:?} for {:?}", String::from_utf8_lossy(half));
        let mut old = proxy.connect();
        old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
        let got = old.try_answer(false);
        assert!(is_told(&got), "{got:?}: also where only the end of the connection tells");
    }
}

#[test]
fn an_upstream_that_closes_before_its_answer_is_502() {
    for part in [&b""[..], b"HTT", b"HTTP/1.1 200 OK\r\nContent-"] {
        let upstream = saying(part);
        let proxy = Proxied::to(upstream.address);
        is_problem(&proxy.ask(get("/")), 502, "connection_terminated");
    }
}

/// What half a head said must not be taken for a part of the next answer.
#[test]
fn half_a_head_is_forgotten() {
    let upstream = Upstream::new(|peer, number| {
        drop(peer.request());
        match number % 2 {
            0 => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Half: 1\r\n"),
            _ => peer.send(ok("the whole answer")),
        }
    });
    let proxy = Proxied::with(upstream.address, "workers = 1\ndefaults.retries.tries = 0");
    let mut client = proxy.connect();
    for _ in 0..5 {
        is_problem(&client.ask(get("/")), 502, "connection_terminated");
        let answer = client.ask(get("/"));
        assert_eq!((answer.text().as_str(), answer.field("x-half")), ("the whole answer", None));
    }
}

/// More bytes than the answer has would be taken for the next one.
#[test]
fn a_connection_with_bytes_left_over_is_not_used_again() {
    let upstream = Upstream::new(|peer, _| {
        while let Some(request) = peer.request() {
            let mut answer = ok(request.target());
            answer.extend_from_slice(&ok("somebody else's"));
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    });
    let proxy = Proxied::with(upstream.address, "workers = 1");
    let mut client = proxy.connect();
    for number in 0..20 {
        let path = format!("/{number}");
        assert_eq!(client.ask(get(&path)).text(), path);
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 20);
}

/// Bytes that come on an idle connection are nobody's answer.
#[test]
fn a_connection_that_speaks_unasked_is_closed() {
    let upstream = Upstream::new(|peer, _| {
        while let Some(request) = peer.request() {
            peer.send(ok(request.target()));
            peer.send(ok("unasked"));
        }
    });
    let proxy = Proxied::with(upstream.address, "workers = 1");
    for number in 0..3 {
        let path = format!("/{number}");
        assert_eq!(proxy.ask(get(&path)).text(), path);
        until("the connection is given up", || upstream.open.load(Ordering::SeqCst) == 0);
    }
}

#[test]
fn an_idle_connection_that_was_closed_costs_no_request() {
    // Each connection serves one request, says nothing of it, and goes.
    let upstream = Upstream::new(|peer, _| {
        if let Some(request) = peer.request() {
            peer.send(ok(request.target()));
        }
    });
    let proxy = Proxied::with(upstream.address, "workers = 1");
    let mut client = proxy.connect();
    for number in 0..50 {
        let path = format!("/{number}");
        assert_eq!(client.ask(get(&path)).text(), path, "a GET is sent again");
    }
}

/// A connection that dies after it was given the request: a GET may go again, a POST may have been done.
#[test]
fn only_what_is_safe_is_sent_twice() {
    let upstream = Upstream::new(|peer, _| {
        if let Some(request) = peer.request() {
            peer.send(ok(request.target()));
        }
        // Reads the second one, and dies of it.
        drop(peer.request());
    });
    let proxy = Proxied::with(upstream.address, "workers = 1");
    let mut client = proxy.connect();
    assert_eq!(client.ask(get("/1")).text(), "/1");
    assert_eq!(client.ask(get("/2")).text(), "/2");
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 2);
    let post = "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    is_problem(&client.ask(post), 502, "connection_terminated");
    assert_eq!(client.answer_or_end(), None);
}

#[test]
fn a_wrong_length_never_reaches_another_request() {
    // Says less than it sends: the rest must not become the next answer.
    let upstream = Upstream::answering(|request| {
        let tag = request.target().to_owned();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{tag}{}",
            tag.len(),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
        )
        .into_bytes()
    });
    let proxy = Proxied::with(upstream.address, "workers = 1");
    let mut client = proxy.connect();
    for number in 0..20 {
        let path = format!("/{number}");
        assert_eq!(client.ask(get(&path)).text(), path);
    }
}

#[test]
fn a_second_endpoint_has_what_the_first_cannot_take() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstream = Upstream::echo();
    let proxy = Proxied::new(&format!(
        "from = \"old\"\n[upstreams.old]\nendpoints = [\"http://{nobody}\", \"http://{}\"]\n",
        upstream.address
    ));
    for _ in 0..10 {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(proxy.ask(post).status(), 200, "certainly not sent to the dead one");
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_has_no_more_time_than_another() {
    let upstream = Upstream::new(|peer, _| {
        drop(peer.request());
        let mut begin = peer.try_send("HTTP/1.1 200 OK\r\nX: ").is_ok();
        while begin {
            begin = peer.try_send("x").is_ok();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let proxy = Proxied::with(upstream.address, "defaults.timeouts.first_byte = \"300ms\"");
    is_problem(&proxy.ask(get("/")), 504, "http_response_timeout");
}

/// A client that reads nothing gets half of an informational answer. Nothing else may stand in the middle of it.
#[test]
fn half_of_an_informational_answer_is_followed_by_nothing() {
    let early = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(900_000));
    let upstream = Upstream::new(move |peer, _| {
        drop(peer.request());
        while peer.try_send(&early).is_ok() {}
    });
    let proxy = Proxied::with(
        upstream.address,
        "defaults.timeouts.first_byte = \"300ms\"\nclient.head = \"1MiB\"\nclient.body_idle = \"500ms\"",
    );
    let mut client = proxy.connect();
    client.send(get("/"));
    until("it has begun", || upstream.open.load(Ordering::SeqCst) == 1);
    until("it is over", || upstream.open.load(Ordering::SeqCst) == 0);
    let mut told = Vec::new();
    // An error is what a cut looks like.
    drop(client.stream.read_to_end(&mut told));
    let text = String::from_utf8(told).unwrap();
    assert_eq!(text.matches("HTTP/1.1 ").count(), text.matches("HTTP/1.1 103").count());
}
