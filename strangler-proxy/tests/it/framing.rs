//! Bodies: every framing in, every framing out, large ones in both directions at once, and what stands around them.

use std::{net::Shutdown, thread};

use crate::{
    proxied::Proxied,
    raw::{Upstream, get, ok},
};

fn answering(answer: &'static [u8]) -> (Upstream, Proxied) {
    let upstream = Upstream::answering(|_| answer.to_vec());
    let proxy = Proxied::to(upstream.address);
    (upstream, proxy)
}

#[test]
fn chunks_pass_with_their_trailers() {
    let (_upstream, proxy) = answering(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n",
    );
    let mut client = proxy.connect();
    for _ in 0..3 {
        let answer = client.ask(get("/"));
        assert_eq!(answer.text(), "abcde");
        assert_eq!(answer.trailers, [("X-Sum".to_owned(), "5".to_owned())]);
    }
}

#[test]
fn an_old_client_gets_chunks_undone() {
    let (_upstream, proxy) =
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let mut client = proxy.connect();
    let answer = client.ask("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!((answer.text().as_str(), answer.field("transfer-encoding")), ("abc", None));
    assert_eq!(answer.field("connection"), Some("close"));
}

#[test]
fn an_answer_that_ends_with_its_connection_is_chunked() {
    let upstream = Upstream::new(|peer, _| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\n\r\nall of it");
            peer.stream.shutdown(Shutdown::Both).unwrap();
        }
    });
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    for _ in 0..2 {
        let answer = client.ask(get("/"));
        assert_eq!(answer.text(), "all of it");
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n".to_vec(),
        "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n".to_vec(),
        _ => ok("body"),
    });
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    assert_eq!(client.ask(get("/204")).status(), 204);
    assert_eq!(client.ask(get("/304")).field("content-length"), Some("99"));
    client.send("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head_answer().field("content-length"), Some("12345"));
    assert_eq!(client.ask(get("/")).text(), "body");
}

#[test]
fn an_expectation_is_met_by_the_upstream_itself() {
    let upstream = Upstream::new(|peer, _| {
        let head = peer.head().unwrap().unwrap();
        assert_eq!(head.field("expect"), Some("100-continue"));
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = peer.exactly(5).unwrap();
        peer.send(ok(body));
    });
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status(), 100);
    client.send("12345");
    assert_eq!(client.answer().text(), "12345");
}

#[test]
fn informational_answers_pass_but_not_to_old_clients() {
    let (_upstream, proxy) = answering(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let mut client = proxy.connect();
    let hints = client.ask(get("/"));
    assert_eq!((hints.status(), hints.field("link")), (103, Some("</a>")));
    assert_eq!(client.answer().status(), 102);
    assert_eq!(client.answer().text(), "ok");
    let old = proxy.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!((old.status(), old.text().as_str()), (200, "ok"));
}

#[test]
fn an_answer_before_the_end_of_the_request_reaches_the_client() {
    let upstream = Upstream::new(|peer, _| {
        drop(peer.head());
        peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
        drop(peer.the_rest());
    });
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nonly this");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "big"));
    assert_eq!(answer.field("connection"), Some("close"), "the rest of the request is never read");
}

/// 32 MiB each way at once: more than any buffer on the way, so it only ends if both directions move together.
#[test]
fn both_directions_flow_at_once() {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    const PIECES: usize = 512;
    let upstream = Upstream::new(|peer, _| {
        let head = peer.head().unwrap().unwrap();
        assert_eq!(head.field("transfer-encoding"), Some("chunked"));
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        // Whatever comes goes back as it is: its chunks are well-formed chunks of an answer.
        let first = peer.take_unread();
        peer.send(first);
        let mut back = peer.stream.try_clone().unwrap();
        let mut there = peer.stream.try_clone().unwrap();
        drop(std::io::copy(&mut there, &mut back));
    });
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    let mut sender = client.other_half();
    let writing = thread::spawn(move || {
        sender.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..PIECES {
            sender.send(format!("{:x}\r\n", PIECE.len()));
            sender.send(PIECE);
            sender.send("\r\n");
        }
        sender.send("0\r\n\r\n");
    });
    let answer = client.answer();
    writing.join().unwrap();
    assert_eq!(answer.body.len(), PIECES * PIECE.len());
}

#[test]
fn a_body_over_the_route_limit_is_refused_by_length_and_by_chunks() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "defaults.limits.body = \"10 B\"");
    let refused = proxy.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    assert_eq!(refused.status(), 413, "{refused:?}");
    let chunks = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n";
    assert_eq!(proxy.ask(chunks).status(), 413);
    let fits = proxy.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890");
    assert_eq!(fits.status(), 200);
}
