//! TLS towards clients: which certificate, which protocol, who they are, and what upstreams are told.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use rcgen::{DnType, SanType};
use rustls::{
    HandshakeKind,
    version::{TLS12, TLS13},
};

use crate::{
    authority::{Authority, connect, resuming},
    proxied::Proxied,
    raw::{Upstream, get, until},
};

fn get_from(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn a_client_is_shown_the_certificate_for_the_name_that_it_asks_for() {
    let authority = Authority::new();
    authority.sign("first", &["shop.example", "127.0.0.1"]);
    authority.sign("wild", &["*.shop.example"]);
    authority.sign("exact", &["api.shop.example"]);
    let upstream = Upstream::echo();
    let listen = authority.listen(&["first", "wild", "exact"], "");
    let proxy = Proxied::new(&format!("{listen}from = \"http://{}\"\n", upstream.address));
    for (name, expected) in [
        ("shop.example", "first"),
        ("api.shop.example", "exact"),
        ("API.shop.example", "exact"),
        ("www.shop.example", "wild"),
        ("127.0.0.1", "first"),
    ] {
        let mut client = authority.connect(&proxy, name);
        let text = client.ask(get_from(name, "/")).text();
        assert!(text.contains("\nX-Forwarded-Proto: https\n"), "{text}");
        assert!(text.contains(&format!("\nX-Forwarded-Host: {name}\n")), "{text}");
        let tls = client.tls.as_ref().unwrap();
        let shown = tls.peer_certificates().unwrap()[0].clone();
        let read = strangler_proxy::tls::Certificate::read(&shown).unwrap();
        assert_eq!(read.subject, format!("CN={expected}"), "{name}");
    }
    // Nobody's name: the first certificate, which the client then does not take.
    let mut client = authority.connect(&proxy, "a.b.shop.example");
    let error = client.try_send(get("/")).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    until("a handshake has failed", || {
        proxy.metrics().contains("strangler_tls_handshakes_total{outcome=\"failed\"} 1")
    });
}

#[test]
fn both_versions_and_what_alpn_agrees_on() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    let upstream = Upstream::echo();
    let from = format!("from = \"http://{}\"\n", upstream.address);
    let proxy = Proxied::new(&format!("{}{from}", authority.listen(&["shop"], "")));
    let newest =
        Proxied::new(&format!("{}{from}", authority.listen(&["shop"], ", min_version = \"1.3\"")));
    for protocols in [vec![], vec!["http/1.1"], vec!["odd", "http/1.1"], vec!["http/1.1", "odd"]] {
        let mut config = authority.client();
        config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        let mut client = connect(&proxy, "shop.example", config);
        assert_eq!(client.ask(get("/")).status(), 200);
        let agreed = client.tls.as_ref().unwrap().alpn_protocol().map(<[u8]>::to_vec);
        let expected = (!protocols.is_empty()).then(|| b"http/1.1".to_vec());
        assert_eq!(agreed, expected, "{protocols:?}");
    }
    let mut config = authority.client();
    config.alpn_protocols = vec![b"odd".to_vec()];
    let error = connect(&proxy, "shop.example", config).try_send(get("/")).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    let mut client = connect(&proxy, "shop.example", authority.client_of(&[&TLS12]));
    assert_eq!(client.ask(get("/")).status(), 200);
    let error = connect(&newest, "shop.example", authority.client_of(&[&TLS12])).try_send(get("/"));
    assert!(error.unwrap_err().to_string().contains("ProtocolVersion"));
    assert_eq!(authority.connect(&newest, "shop.example").ask(get("/")).status(), 200);
}

#[test]
fn a_session_is_resumed_also_after_a_toggle() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    let upstream = Upstream::echo();
    let listen = authority.listen(&["shop"], "");
    let to = upstream.address;
    let proxy = Proxied::new(&format!(
        "{listen}from = \"http://{to}\"\n[[routes]]\nname = \"a\"\npath = \"/a\"\nto = \"http://{to}\"\n"
    ));
    let config = Arc::new(authority.client());
    let mut kinds = Vec::new();
    for round in 0..3 {
        let mut client = resuming(&proxy, "shop.example", &config);
        assert_eq!(client.ask(get("/")).status(), 200);
        kinds.push(client.tls.as_ref().unwrap().handshake_kind().unwrap());
        if round == 1 {
            proxy.toggle("a", "live");
        }
    }
    assert_ne!(kinds[0], HandshakeKind::Resumed);
    assert_eq!(kinds[1..], [HandshakeKind::Resumed, HandshakeKind::Resumed]);
    let metrics = proxy.metrics();
    assert!(metrics.contains("strangler_tls_handshakes_total{outcome=\"full\"} 1"), "{metrics}");
    assert!(metrics.contains("strangler_tls_handshakes_total{outcome=\"resumed\"} 2"), "{metrics}");
}

#[test]
fn a_clients_certificate_is_wanted_verified_and_told_of() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    authority.sign("shop", &["shop.example"]);
    clients.sign_with("alice", &["alice.internal"], |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Ops, \"EU\"\r\nX-Evil: 1");
        let id = "spiffe://shop.example/alice".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(id));
    });
    strangers.sign("mallory", &["alice.internal"]);
    let upstream = Upstream::echo();
    let from = format!("from = \"http://{}\"\n", upstream.address);
    let wants = |auth: &str| {
        let more = format!(", client_ca = \"{}\", client_auth = \"{auth}\"", clients.ca());
        Proxied::new(&format!("{}{from}", authority.listen(&["shop"], &more)))
    };
    // Who shows what: the shop's authority is who the client trusts, its own is who has signed it.
    let shows = |who: Option<(&Authority, &str)>| authority.client_showing(who);
    let forged = "GET / HTTP/1.1\r\nHost: shop.example\r\nClient-Cert: :AAAA:\r\nClient-Cert-Chain: :AAAA:\r\n\
        X-Forwarded-Client-Cert: Hash=0\r\n\r\n";
    for auth in ["required", "optional"] {
        let proxy = wants(auth);
        let mut client = connect(&proxy, "shop.example", shows(Some((&clients, "alice"))));
        let text = client.ask(forged).text();
        assert!(text.contains("\nClient-Cert: :MII"), "{text}");
        assert!(!text.contains("AAAA:\n") && !text.contains("Hash=0\n"), "{text}");
        let line = text.lines().find(|line| line.starts_with("X-Forwarded-Client-Cert: ")).unwrap();
        assert!(line.contains(";URI=spiffe://shop.example/alice;DNS=alice.internal"), "{line}");
        assert!(line.contains("CN=alice") && line.contains("Hash="), "{line}");
        assert!(!text.contains("\nX-Evil"), "{text}");
        assert_eq!(text.matches("lient-Cert").count(), 2, "{text}");

        let mut stranger = connect(&proxy, "shop.example", shows(Some((&strangers, "mallory"))));
        let refused = stranger.try_send(get("/")).and_then(|()| stranger.try_answer(false));
        assert!(refused.unwrap_err().to_string().contains("received fatal alert"));

        let mut nobody = connect(&proxy, "shop.example", shows(None));
        let asked = nobody.try_send(forged).and_then(|()| nobody.try_answer(false));
        match auth {
            "optional" => {
                let text = asked.unwrap().unwrap().text();
                assert!(!text.contains("lient-Cert"), "{text}");
            }
            _ => {
                let error = asked.unwrap_err().to_string();
                assert!(error.contains("CertificateRequired"), "{error}");
            }
        }
    }
}

#[test]
fn in_the_clear_nobody_can_claim_a_certificate() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    let text = proxy
        .ask("GET / HTTP/1.1\r\nHost: a\r\nClient-Cert: :AAAA:\r\nclient-cert-chain: :AA:\r\nX-Forwarded-Client-Cert: x\r\n\r\n")
        .text();
    assert!(!text.to_lowercase().contains("client-cert"), "{text}");
    let trusted = Proxied::with(upstream.address, "forwarded.trust = [\"127.0.0.1\"]");
    let text = trusted.ask("GET / HTTP/1.1\r\nHost: a\r\nClient-Cert: :AAAA:\r\n\r\n").text();
    assert!(text.contains("\nClient-Cert: :AAAA:"), "{text}");
}

#[test]
fn a_request_for_a_host_that_the_certificate_is_not_for_is_misdirected() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example", "*.shop.example", "127.0.0.1"]);
    let upstream = Upstream::echo();
    let from = format!("from = \"http://{}\"\n", upstream.address);
    let proxy = Proxied::new(&format!("{}{from}", authority.listen(&["shop"], "")));
    let mut client = authority.connect(&proxy, "shop.example");
    for (host, status) in [
        ("shop.example", 200),
        ("Shop.Example:8443", 200),
        ("www.shop.example", 200),
        ("127.0.0.1:443", 200),
        ("other.example", 421),
        ("a.b.shop.example", 421),
        ("[::1]", 421),
        ("shop.example.", 200),
    ] {
        let answer = client.ask(get_from(host, "/"));
        assert_eq!(answer.status(), status, "{host}: {}", answer.text());
    }
    assert!(client.ask(get_from("other.example", "/")).text().contains("misdirected"));
    let any = Proxied::new(&format!("{}{from}", authority.listen(&["shop"], ", any_host = true")));
    let mut client = authority.connect(&any, "shop.example");
    assert_eq!(client.ask(get_from("other.example", "/")).status(), 200);
    let trusting =
        format!("{}{from}forwarded.trust = [\"127.0.0.1\"]\n", authority.listen(&["shop"], ""));
    let trusting = Proxied::new(&trusting);
    let mut client = authority.connect(&trusting, "shop.example");
    assert_eq!(client.ask(get_from("other.example", "/")).status(), 200);
}

#[test]
fn a_listener_in_the_clear_sends_clients_to_https() {
    let upstream = Upstream::echo();
    let with = |port: u16| {
        Proxied::new(&format!(
            "listen = [{{ address = \"127.0.0.1:0\", https_redirect = {port} }}]\nfrom = \"http://{}\"\n",
            upstream.address
        ))
    };
    let proxy = with(443);
    let mut client = proxy.connect();
    for (request, to) in [
        (get_from("shop.example", "/a/b?c=d%20e"), "https://shop.example/a/b?c=d%20e"),
        (get_from("shop.example:8080", "/"), "https://shop.example/"),
        (get_from("[::1]:80", "/x"), "https://[::1]/x"),
    ] {
        let answer = client.ask(request);
        assert_eq!((answer.status(), answer.field("location")), (308, Some(to)));
    }
    let answer = with(8443).ask(get_from("shop.example", "/"));
    assert_eq!(answer.field("location"), Some("https://shop.example:8443/"));
    let homeless = proxy.ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(homeless.status(), 400);
    assert!(homeless.text().contains("not-tls"), "{}", homeless.text());
}

#[test]
fn bodies_both_ways_chunks_and_an_upgrade_pass_over_tls() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    let upstream = Upstream::new(|peer, _| {
        while let Some(request) = peer.request() {
            if request.field("upgrade").is_some() {
                peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
                while let Ok(bytes) = peer.exactly(1000) {
                    peer.send(bytes);
                }
                return;
            }
            let length = request.body.len();
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for piece in request.body.chunks(100_000) {
                peer.send(format!("{:x}\r\n", piece.len()));
                peer.send(piece);
                peer.send("\r\n");
            }
            peer.send(format!("0\r\nX-Length: {length}\r\n\r\n"));
        }
    });
    let listen = authority.listen(&["shop"], "");
    let proxy = Proxied::new(&format!("{listen}from = \"http://{}\"\n", upstream.address));
    let mut client = authority.connect(&proxy, "shop.example");
    for size in [0, 1, 16_384, 16_385, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|at: usize| (at % 251) as u8).collect();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {size}\r\n\r\n"
        ));
        client.send(&body);
        let answer = client.answer();
        assert!(answer.body == body, "{size}");
    }
    client.send(
        "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(client.head().unwrap().unwrap().status(), 101);
    assert_eq!(client.exactly(5).unwrap(), b"hello");
    for round in 0..200_u8 {
        let frame = vec![round; 1000];
        client.send(&frame);
        assert_eq!(client.exactly(1000).unwrap(), frame);
    }
    let tls = client.tls.as_mut().unwrap();
    tls.send_close_notify();
    crate::session::flush(tls, &mut client.stream).unwrap();
    assert!(client.the_rest().unwrap().is_empty(), "an end that was said");
    until("both ends are gone", || proxy.handle.connections() == 0);
}

#[test]
fn an_idle_connection_ends_with_a_word_and_pipelined_requests_are_answered() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    let upstream = Upstream::echo();
    let listen = authority.listen(&["shop"], "");
    let proxy = Proxied::new(&format!(
        "{listen}from = \"http://{}\"\nclient.keep_alive = \"300ms\"\n",
        upstream.address
    ));
    let mut client = authority.connect(&proxy, "shop.example");
    client.send([get("/1"), get("/2"), get("/3")].concat());
    for path in ["/1", "/2", "/3"] {
        assert!(client.answer().text().starts_with(&format!("GET {path} ")));
    }
    assert!(client.try_answer(false).unwrap().is_none(), "close_notify, then the end");
}

#[test]
fn a_client_may_finish_ask_and_say_goodbye_in_one_breath() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    let upstream = Upstream::echo();
    let listen = authority.listen(&["shop"], "");
    let proxy = Proxied::new(&format!("{listen}from = \"http://{}\"\n", upstream.address));
    for version in [&TLS12, &TLS13] {
        let mut client = connect(&proxy, "shop.example", authority.client_of(&[version]));
        let tls = client.tls.as_mut().unwrap();
        while tls.is_handshaking() {
            crate::session::flush(tls, &mut client.stream).unwrap();
            tls.read_tls(&mut client.stream).unwrap();
            tls.process_new_packets().unwrap();
        }
        tls.writer().write_all(get("/breath").as_bytes()).unwrap();
        tls.send_close_notify();
        crate::session::flush(tls, &mut client.stream).unwrap();
        assert!(client.answer().text().starts_with("GET /breath "));
        assert!(client.try_answer(false).unwrap().is_none());
    }
}

/// Reads nothing for so long: what is tested is that this is long.
fn waits(time: Duration) {
    let begun = Instant::now();
    until("the time is over", || begun.elapsed() >= time);
}

#[test]
fn answers_go_out_to_a_client_that_reads_slowly() {
    let authority = Authority::new();
    authority.sign("shop", &["shop.example"]);
    let upstream = Upstream::answering(|_| crate::raw::ok(vec![b'x'; 4_000_000]));
    let listen = authority.listen(&["shop"], "");
    let proxy = Proxied::new(&format!("{listen}from = \"http://{}\"\n", upstream.address));
    let mut client = authority.connect(&proxy, "shop.example");
    client.send(get("/"));
    until("the upstream has been asked", || proxy.handle.connections() == 1);
    // Long enough for every buffer between the two to be full.
    waits(Duration::from_millis(300));
    assert_eq!(client.answer().body.len(), 4_000_000);
    // Also the last one of a connection, for longer than it lingers.
    client.send(get("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    waits(Duration::from_millis(2500));
    assert_eq!(client.answer().body.len(), 4_000_000);
    assert!(client.try_answer(false).unwrap().is_none());
}
