//! Answers of an upstream that break a rule of RFC 9113: told as what they are, and none of them passes.

use super::frames::{BOTH, HEADERS, PREFACE, SETTINGS, fields, frame};
use crate::{
    proxied::Proxied,
    raw::{Peer, Upstream, get},
};

/// Reads a client's frames to the head of its next request; its stream.
fn asked(peer: &mut Peer) -> Option<u32> {
    loop {
        let head = peer.exactly(9).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        peer.exactly(length).ok()?;
        if head[3] == HEADERS {
            return Some(u32::from_be_bytes(head[5..9].try_into().unwrap()));
        }
    }
}

/// Answers every request with these bytes, made for its stream.
fn answering(bytes: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> Upstream {
    Upstream::new(move |peer, _| {
        peer.send(frame(SETTINGS, 0, 0, &[]));
        let Ok(preface) = peer.exactly(PREFACE.len()) else { return };
        assert_eq!(preface, PREFACE);
        while let Some(stream) = asked(peer) {
            // The proxy may have gone already.
            drop(peer.try_send(bytes(stream)));
        }
    })
}

#[test]
fn an_answer_that_breaks_the_rules_is_told_as_such() {
    for (what, list) in [
        ("no status", &[("a", "b")][..]),
        ("two", &[(":status", "200"), (":status", "200")]),
        ("one that is none", &[(":status", "2000")]),
        ("a coding", &[(":status", "200"), ("transfer-encoding", "chunked")]),
        ("a field of the connection", &[(":status", "200"), ("connection", "close")]),
        ("a name in capitals", &[(":status", "200"), ("X-A", "b")]),
        ("a line end", &[(":status", "200"), ("a", "b\r\nset-cookie: c")]),
        ("a length of nothing", &[(":status", "200"), ("content-length", "5")]),
    ] {
        let block = fields(list);
        let upstream = answering(move |stream| frame(HEADERS, BOTH, stream, &block));
        let proxy = Proxied::new(&format!("from = \"h2c://{}\"\n", upstream.address));
        let answer = proxy.ask(get("/"));
        assert_eq!(answer.status(), 502, "{what}");
        let told = answer.field("proxy-status").unwrap();
        assert!(
            told.contains("http_protocol_error") && told.contains("malformed"),
            "{what}: {told}"
        );
    }
}

#[test]
fn an_upstream_that_speaks_something_else_is_told_as_such() {
    let upstream = answering(|_| vec![0xff; 100]);
    let proxy = Proxied::new(&format!("from = \"h2c://{}\"\n", upstream.address));
    let answer = proxy.ask(get("/"));
    assert_eq!(answer.status(), 502);
    assert!(answer.field("proxy-status").unwrap().contains("http_protocol_error"));
}
