//! HTTP/2 on either side, and on both.

mod answers;
mod frames;
mod limits;
mod secured;
mod soak;

use std::{
    cell::Cell,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
};

use h2::{Reason, client, ext::Protocol};
use http::{HeaderMap, Method, Request, Response};
use strangler_proxy::{config::KillSource, steer::Switch};
use tokio::{sync::oneshot, task::spawn_local};

use crate::{
    peers::{Client, Server, get, piece, read, request, run, wait, whole, write},
    proxied::{Proxied, target},
    raw::{self, Upstream, ok, until},
};

/// In front of a server that speaks HTTP/2.
fn to_http2(server: &Server, settings: &str) -> Proxied {
    Proxied::new(&format!("from = \"h2c://{}\"\n{settings}\n", server.address))
}

#[test]
fn a_client_of_http_2_reaches_an_upstream_of_http_1() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let crumbs =
            request(Method::GET, "/a/./b?c=d").header("cookie", "e=1").header("cookie", "f=2");
        let answer = client.ask(crumbs.body(()).unwrap()).await.unwrap();
        assert_eq!((answer.status(), answer.field("via")), (200, Some("1.1 strangler-proxy")));
        let text = answer.text();
        assert!(text.starts_with("GET /a/b?c=d HTTP/1.1\nHost: shop.example\n"), "{text}");
        for line in ["cookie: e=1; f=2", "Via: 2 strangler-proxy", "X-Forwarded-For: 127.0.0.1"] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let long = vec![b'x'; 300_000];
        let answer =
            client.post(request(Method::POST, "/up").body(()).unwrap(), &long).await.unwrap();
        assert!(answer.text().contains("Transfer-Encoding: chunked"));
        assert!(answer.body.ends_with(&long), "all of it, and nothing behind it");
        let sized = request(Method::PUT, "/up").header("content-length", "5").body(()).unwrap();
        let answer = client.post(sized, b"hello").await.unwrap();
        assert!(
            answer.text().to_lowercase().contains("content-length: 5")
                && answer.text().ends_with("hello")
        );
        let empty = client.ask(request(Method::POST, "/").body(()).unwrap()).await.unwrap();
        assert!(empty.text().contains("content-length: 0"), "{}", empty.text());
        let head = client.ask(request(Method::HEAD, "/").body(()).unwrap()).await;
        assert_eq!(head.unwrap().body.len(), 0);
    });
    assert_eq!(
        upstream.connections.load(Ordering::SeqCst),
        1,
        "one after the other, so one is enough"
    );
}

#[test]
fn a_client_of_http_1_reaches_an_upstream_of_http_2() {
    let server = Server::echo();
    let proxy = to_http2(&server, "");
    let mut client = proxy.connect();
    let answer = client
        .ask("GET /a?b HTTP/1.1\r\nHost: shop.example\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    assert_eq!((answer.status(), answer.field("x-echo")), (200, Some("yes")));
    assert_eq!(answer.field("via"), Some("2 strangler-proxy"));
    assert!(answer.text().starts_with("GET http://shop.example/a?b\n"), "{}", answer.text());
    assert!(
        answer.text().contains("te: trailers")
            && answer.text().contains("via: 1.1 strangler-proxy")
    );
    assert!(!answer.text().contains("connection"));
    assert_eq!(answer.trailers, [("x-checksum".to_owned(), "abc".to_owned())]);
    let answer = client.ask(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n",
    );
    assert!(answer.text().contains("(trailer) x-sum: 9") && answer.text().ends_with("hello"));
    let answer = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert!(answer.text().contains("content-length: 2") && answer.text().ends_with("hi"));
    assert_eq!(client.ask(raw::get("/again")).status(), 200);
    assert!(server.connections.load(Ordering::SeqCst) <= 1, "they share it");
}

#[test]
fn trailers_pass_both_ways() {
    let server = Server::echo();
    let proxy = to_http2(&server, "");
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let (answer, mut to) = client.open(request(Method::POST, "/").body(()).unwrap()).await;
        write(&mut to, b"body", false).await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "9".parse().unwrap());
        to.send_trailers(trailers).unwrap();
        let answer = whole(answer).await.unwrap();
        assert!(answer.text().contains("(trailer) x-sum: 9"), "{}", answer.text());
        assert_eq!(answer.trailers.get("x-checksum").unwrap(), "abc");
    });
}

#[test]
fn informational_answers_pass() {
    let upstream = Upstream::new(|peer, _| {
        while let Some(request) = peer.head().ok().flatten() {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            if request.field("expect").is_some() {
                peer.send("HTTP/1.1 100 Continue\r\n\r\n");
                assert_eq!(peer.exactly(2).unwrap(), b"hi");
            }
            peer.send(ok("done"));
        }
    });
    let proxy = Proxied::to(upstream.address);
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let asked = request(Method::POST, "/")
            .header("expect", "100-continue")
            .header("content-length", "2");
        let (mut answer, mut to) = client.open(asked.body(()).unwrap()).await;
        let mut seen = Vec::new();
        while seen.last() != Some(&100) {
            let interim = poll_fn(|cx| answer.poll_informational(cx)).await;
            seen.push(interim.unwrap().unwrap().status().as_u16());
        }
        assert_eq!(seen, [103, 100]);
        write(&mut to, b"hi", true).await.unwrap();
        assert_eq!(whole(answer).await.unwrap().text(), "done");
    });
}

#[test]
fn many_requests_share_a_connection_and_a_slow_one_stops_no_other() {
    let (go, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (release, waiting) = (Arc::clone(&go), Arc::clone(&gone));
    let upstream = Upstream::answering(move |request| {
        if request.target() == "/slow" {
            waiting.fetch_add(1, Ordering::SeqCst);
            until("the test lets it go", || release.load(Ordering::SeqCst));
        }
        ok(request.target())
    });
    let proxy = Proxied::to(upstream.address);
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let mut slow = Vec::new();
        for _ in 0..20 {
            client.send = client.send.clone().ready().await.unwrap();
            slow.push(client.send.send_request(get("/slow"), true).unwrap().0);
        }
        for number in 0..50 {
            let path = format!("/{number}");
            assert_eq!(client.ask(get(&path)).await.unwrap().text(), path);
        }
        go.store(true, Ordering::SeqCst);
        for answer in slow {
            assert_eq!(whole(answer).await.unwrap().text(), "/slow");
        }
    });
    assert_eq!(gone.load(Ordering::SeqCst), 20);
    until("one connection, and it is gone", || proxy.handle.connections() == 0);
}

#[test]
fn a_reader_who_does_not_read_holds_back_the_writer() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let server = Server::new(move |mut call| {
        let count = Arc::clone(&count);
        async move {
            let mut to = call.respond.send_response(Response::new(()), false).unwrap();
            for _ in 0..1000 {
                if write(&mut to, &[7; 16 * 1024], false).await.is_err() {
                    return;
                }
                count.fetch_add(16 * 1024, Ordering::SeqCst);
            }
            drop(write(&mut to, &[], true).await);
        }
    });
    let proxy = to_http2(&server, "");
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let (answer, _) = client.open(request(Method::POST, "/").body(()).unwrap()).await;
        let mut body = answer.await.unwrap().into_body();
        wait("what fits into the client's window is there", || {
            sent.load(Ordering::SeqCst) > 64 * 1024
        })
        .await;
        let mut all = 0;
        while let Some(data) = piece(&mut body).await {
            // What is more lies in windows and buffers of a known size.
            let ahead = sent.load(Ordering::SeqCst).saturating_sub(all);
            assert!(ahead < 2 * 1024 * 1024, "{ahead} bytes are somewhere between");
            all += data.unwrap().len();
            tokio::task::yield_now().await;
        }
        assert_eq!(all, 1000 * 16 * 1024);
    });
}

#[test]
fn a_client_that_gives_up_is_told_to_the_upstream() {
    let (told, hear) = std::sync::mpsc::channel();
    let server = Server::new(move |mut call| {
        let told = told.clone();
        async move {
            let waits = call.head.uri.path() == "/before";
            let mut to = if waits {
                None
            } else {
                call.respond.send_response(Response::new(()), false).ok()
            };
            let reason = poll_fn(|cx| match &mut to {
                Some(to) => to.poll_reset(cx),
                None => call.respond.poll_reset(cx),
            });
            told.send(reason.await.unwrap()).unwrap();
        }
    });
    let proxy = to_http2(&server, "");
    run(async {
        let mut client = Client::connect(proxy.address).await;
        // While the answer is waited for, while the body is sent, and in the middle of the answer.
        let (answer, _) = client.send.send_request(get("/before"), true).unwrap();
        wait("the request is there", || server.connections.load(Ordering::SeqCst) > 0).await;
        let (other, mut to) = client.open(request(Method::POST, "/before").body(()).unwrap()).await;
        write(&mut to, b"begun", false).await.unwrap();
        let (begun, body) = client.open(request(Method::POST, "/after").body(()).unwrap()).await;
        let begun = begun.await.unwrap();
        drop(answer);
        to.send_reset(Reason::CANCEL);
        drop((other, begun, body));
        for _ in 0..3 {
            let got = Cell::new(None);
            wait("a reset", || {
                got.set(hear.try_recv().ok());
                got.get().is_some()
            })
            .await;
            assert_eq!(got.get(), Some(Reason::CANCEL));
        }
    });
}

#[test]
fn an_answer_that_is_cut_off_ends_in_a_reset_and_never_cleanly() {
    let server = Server::new(|mut call| async move {
        let mut to = call.respond.send_response(Response::new(()), false).unwrap();
        write(&mut to, b"half of it", false).await.unwrap();
        let (_, _) = read(&mut call.body).await.unwrap();
        to.send_reset(Reason::INTERNAL_ERROR);
    });
    let cut = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it".to_vec()
    });
    let closing = Upstream::new(|peer, _| {
        drop(peer.request());
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf of it\r\n");
    });
    let proxies = [
        (server.address, to_http2(&server, "")),
        (cut.address, Proxied::with(cut.address, "defaults.timeouts.idle = \"100ms\"")),
        (closing.address, Proxied::to(closing.address)),
    ];
    for (address, proxy) in &proxies {
        run(async {
            let mut client = Client::connect(proxy.address).await;
            let (answer, mut to) = client.open(request(Method::POST, "/").body(()).unwrap()).await;
            // One of the upstreams begins at once, the others when they have the whole request.
            let error = if *address == server.address {
                let mut from = answer.await.unwrap().into_body();
                assert_eq!(piece(&mut from).await.unwrap().unwrap(), "half of it");
                write(&mut to, b"x", true).await.unwrap();
                read(&mut from).await.unwrap_err()
            } else {
                write(&mut to, b"x", true).await.unwrap();
                // What has not been sent when the answer ends is not sent any more.
                whole(answer).await.unwrap_err()
            };
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{error}");
            // The connection lives, and the next request has nothing of it.
            assert!(client.send.clone().ready().await.is_ok());
        });
    }
}

#[test]
fn an_upstream_may_answer_before_the_request_is_over() {
    let server = Server::new(|mut call| async move { call.answer(413, "too much") });
    let proxy = to_http2(&server, "");
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let (answer, mut to) = client.open(request(Method::POST, "/").body(()).unwrap()).await;
        write(&mut to, b"begun", false).await.unwrap();
        let answer = whole(answer).await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (413, "too much"));
        let reason = poll_fn(|cx| to.poll_reset(cx)).await.unwrap();
        assert_eq!(reason, Reason::NO_ERROR, "the rest is not wanted, and nothing is wrong");
        assert_eq!(client.ask(get("/")).await.unwrap().status(), 413);
    });
}

#[test]
fn a_request_may_end_in_a_frame_of_its_own() {
    let upstream = Upstream::echo();
    let proxy = Proxied::to(upstream.address);
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let sized = || request(Method::PUT, "/").header("content-length", "5").body(()).unwrap();
        let (answer, mut to) = client.open(sized()).await;
        write(&mut to, b"hello", false).await.unwrap();
        assert!(whole(answer).await.unwrap().text().ends_with("hello"));
        // Whatever was sent behind that answer has come when another one is here.
        assert_eq!(client.ask(get("/")).await.unwrap().status(), 200);
        let was_reset = poll_fn(|cx| Poll::Ready(to.poll_reset(cx).is_ready())).await;
        assert!(!was_reset, "an answer that is whole is no failure");
        write(&mut to, b"", true).await.unwrap();

        let (answer, mut never) = client.open(sized()).await;
        write(&mut never, b"hello", false).await.unwrap();
        assert_eq!(whole(answer).await.unwrap().status(), 200);
        let reason = poll_fn(|cx| never.poll_reset(cx)).await.unwrap();
        assert_eq!(reason, Reason::NO_ERROR, "nor is it waited for without end");
    });
}

#[test]
fn connections_that_are_told_to_go_lose_no_request() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::with(h2::server::Builder::new(), 7, move |mut call| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            let path = call.head.uri.path().to_owned();
            call.answer(200, path);
        }
    });
    let proxy = to_http2(&server, "workers = 1");
    run(async {
        // What the proxy says it takes at once is not known from the beginning.
        let mut few = client::Builder::new();
        few.initial_max_send_streams(50);
        let mut client = Client::with(proxy.address, &few).await;
        let mut all = Vec::new();
        for number in 0..400 {
            // Not idempotent: only what the upstream has certainly not seen may be sent again.
            let path = format!("/{number}");
            let asked = request(Method::POST, &path).body(()).unwrap();
            client.send = client.send.clone().ready().await.unwrap();
            let (answer, mut to) = client.send.send_request(asked, false).unwrap();
            all.push(spawn_local(async move {
                write(&mut to, b"once", true).await.unwrap();
                let answer = whole(answer).await.unwrap();
                assert_eq!((answer.status(), answer.text()), (200, path));
            }));
        }
        for one in all {
            one.await.unwrap();
        }
    });
    assert_eq!(asked.load(Ordering::SeqCst), 400, "each of them once");
    assert!(server.connections.load(Ordering::SeqCst) > 2, "connections went");
}

#[test]
fn a_refused_stream_is_tried_once_more_and_then_told() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::new(move |mut call| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 0 || call.head.uri.path() == "/never" {
                call.respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                call.answer(200, "at last");
            }
        }
    });
    let proxy = to_http2(&server, "defaults.retries.tries = 0");
    let mut client = proxy.connect();
    let post = "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(client.ask(post).text(), "at last");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let answer = client.ask(post.replace("now", "never"));
    assert_eq!(answer.status(), 503);
    assert!(answer.text().contains("stream-refused"), "{}", answer.text());
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[test]
fn full_connections_are_joined_by_others_up_to_a_limit() {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(4);
    let (go, inside) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (release, count) = (Arc::clone(&go), Arc::clone(&inside));
    let server = Server::with(builder, usize::MAX, move |mut call| {
        let (release, count) = (Arc::clone(&release), Arc::clone(&count));
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            wait("the test lets it go", || release.load(Ordering::SeqCst)).await;
            call.answer(200, "done");
        }
    });
    let proxy = to_http2(&server, "workers = 1");
    let mut clients: Vec<_> = Vec::new();
    for number in 0..30 {
        let mut client = proxy.connect();
        client.send(raw::get("/"));
        clients.push(client);
        until("it is inside", || inside.load(Ordering::SeqCst) > number);
    }
    assert!((8..=16).contains(&server.connections.load(Ordering::SeqCst)));
    go.store(true, Ordering::SeqCst);
    assert!(clients.iter_mut().all(|client| client.answer().text() == "done"));
}

#[test]
fn idle_connections_to_upstreams_close() {
    let server = Server::echo();
    let proxy = to_http2(&server, "workers = 1\ndefaults.pool.idle_time = \"50ms\"");
    for number in 1..3 {
        assert_eq!(proxy.ask(raw::get("/")).status(), 200);
        assert_eq!(server.connections.load(Ordering::SeqCst), number);
        until("it is closed", || server.open.load(Ordering::SeqCst) == 0);
    }
}

#[test]
fn a_dead_upstream_is_told_and_comes_back() {
    let server = Server::echo();
    let address = server.address;
    drop(server);
    let proxy = Proxied::new(&format!("from = \"h2c://{address}\"\n"));
    let answer = proxy.ask(raw::get("/"));
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("connection-refused"), "{}", answer.text());
    let wrong = Upstream::answering(|_| b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n".to_vec());
    let proxy = Proxied::new(&format!("from = \"h2c://{}\"\n", wrong.address));
    assert_eq!(proxy.ask(raw::get("/")).status(), 502, "it does not speak HTTP/2");
}

#[test]
fn toggles_parking_and_the_kill_switch_hold_for_streams_too() {
    let old = Upstream::answering(|_| ok("old"));
    let new = Server::new(|mut call| async move { call.answer(200, "new") });
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stock\"\npath = \"/stock\"\nsticky = \"header:x-user\"\nto = \"h2c://{}\"\n",
        old.address, new.address,
    ));
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let ask = |client: &mut Client, user: usize| {
            let asked = request(Method::GET, "/stock").header("x-user", user).body(()).unwrap();
            let (answer, _) = client.send.send_request(asked, true).unwrap();
            async move { whole(answer).await.unwrap().text() }
        };
        assert_eq!(ask(&mut client, 1).await, "old");
        let mut before = 0;
        for weight in ["20", "60"] {
            proxy.toggle("stock", weight);
            let mut there = 0;
            for user in 0..60 {
                let first = ask(&mut client, user).await;
                assert_eq!(ask(&mut client, user).await, first, "a client stays on its side");
                there += usize::from(first == "new");
            }
            assert!(there > before && there < 60, "{there} of 60 at {weight} %");
            before = there;
        }
        proxy.toggle("stock", "live");
        assert_eq!(ask(&mut client, 1).await, "new");
        proxy.steering.park(&target("stock"), Switch::On).unwrap();
        let held = spawn_local(ask(&mut client, 1));
        wait("it waits", || proxy.handle.held("stock") == 1).await;
        proxy.steering.park(&target("stock"), Switch::Off).unwrap();
        assert_eq!(held.await.unwrap(), "new");
        proxy.steering.switch(Switch::On, KillSource::Api, "test", "test");
        assert_eq!(ask(&mut client, 1).await, "old");
    });
}

#[test]
fn a_websocket_runs_over_a_stream() {
    let upstream = Upstream::new(|peer, _| {
        let request = peer.request().unwrap();
        assert_eq!(request.field("upgrade"), Some("websocket"));
        assert_eq!(request.field("sec-websocket-key").unwrap().len(), 24);
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello");
        while let Ok(byte) = peer.exactly(1) {
            peer.send(byte);
        }
    });
    let proxy = Proxied::to(upstream.address);
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let mut asked: Request<()> = request(Method::CONNECT, "/chat")
            .header("sec-websocket-version", "13")
            .body(())
            .unwrap();
        asked.extensions_mut().insert(Protocol::from_static("websocket"));
        let (answer, mut to) = client.open(asked).await;
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers().get("sec-websocket-accept")),
            (200, None)
        );
        let mut from = answer.into_body();
        let mut got = Vec::new();
        write(&mut to, b"first", false).await.unwrap();
        while got.len() < 10 {
            got.extend_from_slice(&piece(&mut from).await.unwrap().unwrap());
        }
        assert_eq!(got, b"hellofirst");
        write(&mut to, b"last", true).await.unwrap();
        let (rest, _) = read(&mut from).await.unwrap();
        assert_eq!(rest, b"last");
    });
    until("both ends are gone", || upstream.open.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_drain_lets_streams_end_and_takes_no_more() {
    let (release, go) = oneshot::channel::<()>();
    let go = Arc::new(std::sync::Mutex::new(Some(go)));
    let inside = Arc::new(AtomicBool::new(false));
    let is_inside = Arc::clone(&inside);
    let server = Server::new(move |mut call| {
        let go = go.lock().unwrap().take();
        is_inside.store(true, Ordering::SeqCst);
        async move {
            if let Some(go) = go {
                go.await.unwrap();
            }
            call.answer(200, "done");
        }
    });
    let proxy = to_http2(&server, "");
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let (slow, _) = client.send.send_request(get("/"), true).unwrap();
        wait("it is under way", || inside.load(Ordering::SeqCst)).await;
        proxy.handle.drain();
        // It is told with GOAWAY.
        while client.send.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        assert_eq!(whole(slow).await.unwrap().text(), "done");
        client.ended().await.unwrap();
    });
    proxy.handle.wait();
}

#[test]
fn shadows_go_over_http_2_too() {
    let old = Upstream::answering(|_| ok("old"));
    let new = Server::new(|mut call| async move { call.answer(200, "new") });
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stock\"\npath = \"/stock\"\nstage = \"shadow\"\nto = \"h2c://{}\"\n",
        old.address, new.address,
    ));
    run(async {
        let mut client = Client::with(proxy.address, &client::Builder::new()).await;
        assert_eq!(client.ask(get("/stock")).await.unwrap().text(), "old");
    });
    until("the shadow's status is compared", || {
        proxy.metrics().contains(r#"strangler_shadows_total{route="stock",outcome="agreed"} 1"#)
    });
}
