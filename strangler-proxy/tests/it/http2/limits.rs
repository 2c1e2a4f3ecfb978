//! How much a client of HTTP/2 may have, and what happens beyond.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use h2::{Reason, client};
use http::Method;

use crate::{
    peers::{Client, get, request, run, wait, whole, write},
    proxied::Proxied,
    raw::{Upstream, get as get_http1, ok, until},
};

#[test]
fn more_streams_than_agreed_are_refused_and_the_others_are_served() {
    let (go, inside) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (release, count) = (Arc::clone(&go), Arc::clone(&inside));
    let upstream = Upstream::answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        until("the test lets it go", || release.load(Ordering::SeqCst));
        ok("well")
    });
    let proxy = Proxied::with(upstream.address, "client.streams = 5");
    run(async {
        // A client that has not heard of the limit yet.
        let mut client =
            Client::with(proxy.address, client::Builder::new().initial_max_send_streams(100)).await;
        let answers: Vec<_> =
            (0..8).map(|_| client.send.send_request(get("/"), true).unwrap().0).collect();
        wait("five are inside", || inside.load(Ordering::SeqCst) == 5).await;
        go.store(true, Ordering::SeqCst);
        let mut refused = 0;
        for answer in answers {
            match whole(answer).await {
                Ok(answer) => assert_eq!(answer.text(), "well"),
                Err(error) => {
                    assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
                    refused += 1;
                }
            }
        }
        assert!(refused == 3, "{refused} were refused");
        assert_eq!(client.ask(get("/")).await.unwrap().text(), "well");
    });
}

#[test]
fn a_head_that_is_too_large_is_answered_and_one_out_of_measure_ends_the_connection() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "client.head = \"4KiB\"\nclient.target = \"1KiB\"");
    run(async {
        let large = |bytes: usize| {
            let mut asked = request(Method::GET, "/");
            for number in 0..bytes / 1000 {
                asked = asked.header(format!("x-{number}"), "v".repeat(1000));
            }
            asked.body(()).unwrap()
        };
        let mut client = Client::connect(proxy.address).await;
        assert_eq!(client.ask(large(3000)).await.unwrap().status(), 200);
        assert_eq!(client.ask(large(6000)).await.unwrap().status(), 431);
        let many = (0..120)
            .fold(request(Method::GET, "/"), |asked, at| asked.header(format!("x{at}"), ""));
        assert_eq!(client.ask(many.body(()).unwrap()).await.unwrap().status(), 431);
        let long = request(Method::GET, &format!("/{}", "x".repeat(2000))).body(()).unwrap();
        assert_eq!(client.ask(long).await.unwrap().status(), 414);
        assert_eq!(client.ask(get("/")).await.unwrap().status(), 200, "the connection lives");
        assert!(client.ask(large(200_000)).await.is_err());
    });
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(upstream.address, "defaults.limits.body = \"1000B\"");
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let sized = request(Method::POST, "/").header("content-length", "1001").body(()).unwrap();
        assert_eq!(client.post(sized, &[b'x'; 1001]).await.unwrap().status(), 413);
        let (answer, mut to) = client.open(request(Method::POST, "/").body(()).unwrap()).await;
        write(&mut to, &[b'x'; 1001], false).await.unwrap();
        assert_eq!(whole(answer).await.unwrap().status(), 413);
        let fits = client.post(request(Method::POST, "/").body(()).unwrap(), &[b'x'; 1000]);
        assert_eq!(fits.await.unwrap().status(), 200);
    });
}

#[test]
fn who_opens_streams_only_to_reset_them_is_sent_away() {
    let (asked, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, inside) = (Arc::clone(&asked), Arc::clone(&open));
    let upstream = Upstream::new(move |peer, _| {
        while peer.request().is_some() {
            count.fetch_add(1, Ordering::SeqCst);
            inside.fetch_add(1, Ordering::SeqCst);
            // Never answered: the proxy must let it go with its client.
            drop(peer.the_rest());
            inside.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let proxy = Proxied::with(upstream.address, "workers = 1");
    run(async {
        let client = Client::connect(proxy.address).await;
        let mut opened = 0;
        while let Ok(mut ready) = client.send.clone().ready().await {
            let before = asked.load(Ordering::SeqCst);
            let Ok((answer, mut to)) = ready.send_request(get("/"), true) else { break };
            opened += 1;
            assert!(opened < 100_000, "nobody stops it");
            // Now and then the request gets as far as to the upstream.
            if opened % 7 == 0 {
                let is_over = || asked.load(Ordering::SeqCst) > before || client.has_ended();
                wait("it is asked, or sent away", is_over).await;
            }
            to.send_reset(Reason::CANCEL);
            drop(answer);
            tokio::task::yield_now().await;
        }
        let error = client.ended().await.unwrap_err();
        // What the client still sends may make the system throw the last word away.
        let is_told = error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
        assert!(is_told || error.is_io(), "{error}");
        assert!(opened < 1000, "{opened} streams were opened");
    });
    until("no request of it is left", || open.load(Ordering::SeqCst) == 0);
    assert_eq!(proxy.handle.connections(), 0);
}

#[test]
fn resets_among_many_requests_are_nobodys_attack() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    run(async {
        let mut client = Client::connect(proxy.address).await;
        for number in 0..900 {
            if number % 3 == 0 {
                client.send = client.send.clone().ready().await.unwrap();
                let (_, mut to) = client.send.send_request(get("/"), true).unwrap();
                to.send_reset(Reason::CANCEL);
            } else {
                assert_eq!(client.ask(get("/")).await.unwrap().status(), 200);
            }
        }
    });
}

#[test]
fn connections_that_are_idle_or_silent_are_closed() {
    let upstream = Upstream::echo();
    let proxy = Proxied::with(
        upstream.address,
        "client.keep_alive = \"100ms\"\nclient.head_time = \"100ms\"",
    );
    run(async {
        let mut client = Client::connect(proxy.address).await;
        assert_eq!(client.ask(get("/")).await.unwrap().status(), 200);
        client.ended().await.unwrap();
    });
    for begun in ["PRI * HTTP/2.0\r\n\r\nS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut peer = proxy.connect();
        peer.send(begun);
        drop(peer.the_rest());
    }
    until("nobody is left", || proxy.handle.connections() == 0);
    assert_eq!(proxy.ask(get_http1("/")).status(), 200);
}
