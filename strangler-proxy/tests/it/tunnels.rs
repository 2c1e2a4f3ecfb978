//! Connections that become something else: WebSocket and other upgrades.

use std::{net::Shutdown, sync::atomic::Ordering};

use crate::{
    proxied::Proxied,
    raw::{Upstream, get, ok, until},
};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Accepts every upgrade, greets in the same breath, and echoes.
fn echo() -> Upstream {
    Upstream::new(|peer, _| {
        let request = peer.request().unwrap();
        assert_eq!(request.field("upgrade"), Some("websocket"));
        peer.send(format!("{SWITCHED}hello"));
        while let Ok(byte) = peer.exactly(1) {
            peer.send(byte);
        }
    })
}

#[test]
fn bytes_pass_both_ways_after_an_upgrade() {
    let upstream = echo();
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    // The first frame comes along with the request.
    client.send(format!("{UPGRADE}first"));
    let head = client.head().unwrap().unwrap();
    assert_eq!((head.status(), head.field("upgrade")), (101, Some("websocket")));
    assert!(head.field("sec-websocket-accept").is_some());
    assert_eq!(client.exactly(10).unwrap(), b"hellofirst");
    let long = vec![7; 200_000];
    let mut writer = client.stream.try_clone().unwrap();
    let sent = long.clone();
    let writing =
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, &sent).unwrap());
    assert!(client.exactly(long.len()).unwrap() == long);
    writing.join().unwrap();
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(client.is_closed());
    until("both ends are gone", || {
        upstream.open.load(Ordering::SeqCst) == 0 && proxy.handle.connections() == 0
    });
}

#[test]
fn a_refused_upgrade_is_an_answer_like_others() {
    let upstream = Upstream::answering(|_| ok("no"));
    let proxy = Proxied::to(upstream.address);
    let mut client = proxy.connect();
    assert_eq!(client.ask(UPGRADE).text(), "no");
    assert_eq!(client.ask(get("/")).text(), "no");
}

#[test]
fn an_upgraded_connection_that_is_silent_is_closed_in_time() {
    let upstream = echo();
    let proxy = Proxied::with(upstream.address, "defaults.timeouts.idle = \"300ms\"");
    let mut client = proxy.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().unwrap().unwrap().status(), 101);
    assert_eq!(client.exactly(5).unwrap(), b"hello");
    assert!(client.is_closed());
}

#[test]
fn another_http_inside_is_not_asked_for() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let seen = proxy
        .ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
        .text()
        .to_lowercase();
    assert!(!seen.contains("upgrade") && !seen.contains("http2-settings"), "{seen}");
}
