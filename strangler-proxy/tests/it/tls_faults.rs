//! Clients that speak no TLS, or badly, or slowly; and upstreams whose answers are cut short.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use rustls::{ClientConnection, pki_types::ServerName};

use crate::{
    authority::Authority,
    proxied::Proxied,
    raw::{PATIENCE, Upstream, get, until},
};

fn shop(authority: &Authority, more: &str, settings: &str) -> (Upstream, Proxied) {
    authority.sign("shop", &["shop.example"]);
    let upstream = Upstream::echo();
    let listen = authority.listen(&["shop"], more);
    let proxy =
        Proxied::new(&format!("{listen}from = \"http://{}\"\n{settings}", upstream.address));
    (upstream, proxy)
}

fn counted(proxy: &Proxied, outcome: &str, number: u64) {
    let line = format!("strangler_tls_handshakes_total{{outcome=\"{outcome}\"}} {number}\n");
    until(&line, || proxy.metrics().contains(&line));
}

#[test]
fn plain_http_at_a_port_for_tls_is_told_so() {
    let authority = Authority::new();
    let (_upstream, proxy) = shop(&authority, "", "");
    let mut client = proxy.connect();
    let answer = client.ask(get("/"));
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("this port speaks https only"), "{}", answer.text());
    assert!(client.is_closed());
    counted(&proxy, "plain", 1);
}

#[test]
fn what_only_looks_like_a_handshake_ends_in_an_alert() {
    let authority = Authority::new();
    let (_upstream, proxy) = shop(&authority, "", "");
    let garbage: [&[u8]; 4] = [
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
    ];
    for bytes in garbage {
        let mut client = proxy.connect();
        client.stream.write_all(bytes).unwrap();
        // The second says that more is to come, and then ends.
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        drop(client.stream.read_to_end(&mut rest));
        assert!(rest.is_empty() || rest[0] == 21, "{bytes:?}: {rest:?}");
    }
    counted(&proxy, "failed", 4);
    assert_eq!(authority.connect(&proxy, "shop.example").ask(get("/")).status(), 200);
    until("they are gone", || proxy.handle.connections() == 0);
}

#[test]
fn a_handshake_that_never_ends_is_cut_off() {
    let authority = Authority::new();
    let (_upstream, proxy) = shop(&authority, ", handshake_time = \"200ms\"", "");
    let mut silent = proxy.connect();
    let mut slow = proxy.connect();
    slow.stream.write_all(b"\x16\x03").unwrap();
    assert!(silent.is_closed() && slow.is_closed());
    counted(&proxy, "slow", 2);
}

#[test]
fn a_crowd_that_never_finishes_keeps_nobody_out() {
    let authority = Authority::new();
    let (_upstream, proxy) =
        shop(&authority, ", handshakes = 3, handshake_time = \"60s\"", "workers = 1\n");
    let crowd: Vec<_> = (0..20)
        .map(|_| {
            let mut client = proxy.connect();
            client.stream.write_all(b"\x16").unwrap();
            client
        })
        .collect();
    counted(&proxy, "crowded", 17);
    for _ in 0..5 {
        assert_eq!(authority.connect(&proxy, "shop.example").ask(get("/")).status(), 200);
    }
    drop(crowd);
}

#[test]
fn who_has_not_said_anything_yet_takes_no_place_and_loses_none() {
    let authority = Authority::new();
    let (_upstream, proxy) =
        shop(&authority, ", handshakes = 1, handshake_time = \"60s\"", "workers = 1\n");
    let mut waiting: Vec<_> = (0..20).map(|_| authority.connect(&proxy, "shop.example")).collect();
    until("all are there", || proxy.handle.connections() == 20);
    for client in &mut waiting {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
    counted(&proxy, "full", 20);
    assert!(!proxy.metrics().contains("outcome=\"crowded\""), "{}", proxy.metrics());
}

#[test]
fn more_connections_than_may_be_are_told_by_an_alert() {
    let authority = Authority::new();
    let (_upstream, proxy) = shop(&authority, "", "workers = 1\nclient.connections = 1\n");
    let mut first = authority.connect(&proxy, "shop.example");
    assert_eq!(first.ask(get("/")).status(), 200);
    let error = authority.connect(&proxy, "shop.example").try_send(get("/")).unwrap_err();
    assert!(error.to_string().contains("InternalError"), "{error}");
    assert_eq!(first.ask(get("/")).status(), 200);
}

/// A socket that sends a byte at a time.
struct Drip(TcpStream);

impl Write for Drip {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes.get(..1).unwrap_or_default())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Read for Drip {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let room = bytes.len().min(1);
        self.0.read(&mut bytes[..room])
    }
}

#[test]
fn a_client_that_comes_byte_by_byte_is_served() {
    let authority = Authority::new();
    let (_upstream, proxy) = shop(&authority, "", "");
    let stream = TcpStream::connect(proxy.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("shop.example").unwrap();
    let session = ClientConnection::new(authority.client().into(), name).unwrap();
    let mut client = rustls::StreamOwned::new(session, Drip(stream));
    let request = get("/drip").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    // An end without close_notify would be an error.
    client.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("GET /drip"), "{text}");
}

/// Answers over TLS without saying how long, and ends as it is told.
fn until_closed(authority: &Authority, says_goodbye: bool) -> Upstream {
    authority.sign("upstream", &["127.0.0.1"]);
    let tls = authority.server("upstream", None);
    Upstream::serving(Some(tls), move |peer, _| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
            if says_goodbye {
                let tls = peer.tls.as_mut().unwrap();
                tls.send_close_notify();
                crate::session::flush(tls, &mut peer.stream).unwrap();
            }
        }
    })
}

#[test]
fn an_answer_that_ends_without_a_word_is_taken_for_cut_short() {
    let authority = Authority::new();
    let ca = authority.ca();
    for says_goodbye in [true, false] {
        let upstream = until_closed(&authority, says_goodbye);
        let proxy = Proxied::new(&format!(
            "from = \"u\"\n[upstreams.u]\nendpoints = \"https://{}\"\ntls = {{ ca = \"{ca}\" }}\n",
            upstream.address
        ));
        let mut client = proxy.connect();
        client.send(get("/"));
        let answer = client.try_answer(false);
        match says_goodbye {
            true => assert_eq!(answer.unwrap().unwrap().text(), "all of it"),
            false => {
                assert!(answer.is_err(), "{answer:?}");
                let metrics = proxy.metrics();
                assert!(metrics.contains("strangler_failed_total"), "{metrics}");
            }
        }
    }
}
