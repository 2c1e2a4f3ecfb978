//! HTTP/2 over TLS: agreed on by ALPN, on either side.

use std::sync::atomic::Ordering;

use http::Method;

use super::frames::{self, Did};
use crate::{
    authority::{self, Authority},
    peers::{Client, Server, call, message, outcome, piece, read, request, run, whole, write},
    proxied::Proxied,
    raw::{Upstream, get, ok},
};

fn authority_of(names: &[&str]) -> Authority {
    let authority = Authority::new();
    authority.sign("edge", names);
    authority
}

/// In front of a proxy that speaks TLS, asking it in HTTP/2.
fn in_front_of(inner: &Proxied, authority: &Authority) -> Proxied {
    Proxied::new(&format!(
        "from = \"inner\"\nforwarded.pseudonym = \"outer\"\n[upstreams.inner]\nendpoints = \"https://{}\"\n\
         protocol = \"http2\"\nhost = \"localhost\"\ntls = {{ ca = \"{}\", server_name = \"localhost\" }}\n",
        inner.address,
        authority.ca(),
    ))
}

#[test]
fn what_is_spoken_is_agreed_on() {
    let authority = authority_of(&["shop.example"]);
    let upstream = Upstream::answering(|_| ok("well"));
    let listen = authority.listen(&["edge"], "");
    let from = format!("from = \"http://{}\"\n", upstream.address);
    let on = Proxied::new(&format!("{listen}{from}"));
    let off = Proxied::new(&format!("{listen}{from}client.http2 = false\n"));
    let hello = frames::hello(&[(":authority", "shop.example")]);
    for (proxy, offered, is_http2) in [
        (&on, &["h2", "http/1.1"][..], true),
        (&on, &["h2"], true),
        (&on, &["http/1.1"], false),
        (&on, &[], false),
        (&off, &["h2", "http/1.1"], false),
    ] {
        let mut config = authority.client();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut peer = authority::connect(proxy, "shop.example", config);
        if is_http2 {
            peer.send(&hello);
            assert_eq!(frames::what_it_did(&mut peer), Did::Status(200), "{offered:?}");
        } else {
            assert_eq!(peer.ask(get("/")).text(), "well", "{offered:?}");
            // What was not agreed on is not spoken.
            let mut config = authority.client();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let mut peer = authority::connect(proxy, "shop.example", config);
            drop(peer.try_send(&hello));
            assert_eq!(peer.answer().status(), 505);
        }
    }
    let mut config = authority.client();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut peer = authority::connect(&on, "shop.example", config);
    peer.send(frames::hello(&[(":authority", "other.example")]));
    assert_eq!(
        frames::what_it_did(&mut peer),
        Did::Status(421),
        "its certificate is another host's"
    );
}

#[test]
fn calls_pass_over_tls_on_both_sides() {
    let authority = authority_of(&["localhost"]);
    let server = Server::new(|mut call| async move {
        assert_eq!(call.head.headers["x-forwarded-proto"], "https");
        let mut to = call.accept();
        while let Some(Ok(data)) = piece(&mut call.body).await {
            write(&mut to, &data, false).await.unwrap();
        }
        to.send_trailers(outcome("0")).unwrap();
    });
    let listen = authority.listen(&["edge"], "");
    let inner = Proxied::new(&format!("{listen}from = \"h2c://{}\"\n", server.address));
    let outer = in_front_of(&inner, &authority);
    run(async {
        let mut client = Client::connect(outer.address).await;
        let large = message(&vec![7; 500_000]);
        let answer = client.post(call("/s.S/Unary").body(()).unwrap(), &large).await.unwrap();
        assert!(answer.body == large && answer.grpc_status() == Some("0"));
        let (answer, mut to) = client.open(call("/s.S/Talk").body(()).unwrap()).await;
        write(&mut to, &message(b"0"), false).await.unwrap();
        let mut from = answer.await.unwrap().into_body();
        for number in 0..20_u8 {
            assert_eq!(piece(&mut from).await.unwrap().unwrap(), message(&[b'0' + number]));
            if number < 19 {
                write(&mut to, &message(&[b'1' + number]), false).await.unwrap();
            }
        }
        write(&mut to, b"", true).await.unwrap();
        assert_eq!(read(&mut from).await.unwrap().1.get("grpc-status").unwrap(), "0");
    });
    assert_eq!(inner.handle.connections(), 1, "one connection between the two carries all");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn an_upstream_that_does_not_agree_is_not_asked() {
    let authority = authority_of(&["localhost"]);
    let upstream = Upstream::answering(|_| ok("well"));
    let listen = authority.listen(&["edge"], "");
    let old = format!("{listen}from = \"http://{}\"\nclient.http2 = false\n", upstream.address);
    let inner = Proxied::new(&old);
    let outer = in_front_of(&inner, &authority);
    let answer = outer.ask(get("/"));
    assert_eq!(answer.status(), 502);
    let status = answer.field("proxy-status").unwrap();
    assert!(status.contains("tls_alert_received"), "{status}");
    inner.reload(&old.replace("client.http2 = false", ""));
    run(async {
        let mut client = Client::connect(outer.address).await;
        let asked = request(Method::GET, "/").body(()).unwrap();
        let (answer, _) = client.send.send_request(asked, true).unwrap();
        assert_eq!(whole(answer).await.unwrap().text(), "well", "the next handshake agrees");
    });
}
