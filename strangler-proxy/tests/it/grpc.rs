//! gRPC through the proxy: every kind of call, and how a call is told that it has failed.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use http::Response;
use strangler_proxy::steer::Engine;

use crate::{
    peers::{Call, Client, Server, call, message, outcome, piece, read, run, wait, whole, write},
    proxied::Proxied,
    raw::until,
};

const UNARY: &str = "/shop.v1.Stock/Reserve";

/// A service with one method of each kind.
async fn service(mut call: Call) {
    match call.head.uri.path() {
        "/shop.v1.Stock/Watch" => {
            let (asked, _) = read(&mut call.body).await.unwrap();
            let mut to = call.accept();
            for number in 0..5 {
                write(&mut to, &message(&[&asked[5..], &[b'0' + number]].concat()), false)
                    .await
                    .unwrap();
            }
            to.send_trailers(outcome("0")).unwrap();
        }
        "/shop.v1.Stock/Fill" => {
            let (asked, _) = read(&mut call.body).await.unwrap();
            let mut to = call.accept();
            write(&mut to, &message(asked.len().to_string().as_bytes()), false).await.unwrap();
            to.send_trailers(outcome("0")).unwrap();
        }
        "/shop.v1.Stock/Talk" => {
            let mut to = call.accept();
            while let Some(Ok(data)) = piece(&mut call.body).await {
                write(&mut to, &data, false).await.unwrap();
            }
            to.send_trailers(outcome("0")).unwrap();
        }
        "/shop.v1.Stock/Refuse" => {
            let head = Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "9")
                .header("grpc-message", "out of stock");
            call.respond.send_response(head.body(()).unwrap(), true).unwrap();
        }
        "/shop.v1.Stock/Fail" => {
            let head = Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "14");
            call.respond.send_response(head.body(()).unwrap(), true).unwrap();
        }
        "/shop.v1.Stock/Late" => {
            let mut to = call.accept();
            to.send_trailers(outcome("14")).unwrap();
        }
        "/shop.v1.Stock/Hang" => {
            let mut held = call.respond;
            std::future::poll_fn(|cx| held.poll_reset(cx)).await.unwrap();
        }
        _ => {
            assert_eq!(call.head.headers["te"], "trailers");
            let (asked, _) = read(&mut call.body).await.unwrap();
            let mut to = call.accept();
            write(&mut to, &asked, false).await.unwrap();
            to.send_trailers(outcome("0")).unwrap();
        }
    }
}

fn proxied(settings: &str) -> (Server, Proxied) {
    let server = Server::new(service);
    let proxy = Proxied::new(&format!("from = \"h2c://{}\"\n{settings}\n", server.address));
    (server, proxy)
}

#[test]
fn every_kind_of_call_passes() {
    let (_server, proxy) = proxied("");
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let mut ask = async |path: &str, body: &[u8]| {
            client.post(call(path).body(()).unwrap(), body).await.unwrap()
        };
        let answer = ask(UNARY, &message(b"one")).await;
        assert_eq!((&answer.body, answer.grpc_status()), (&message(b"one"), Some("0")));
        assert_eq!(answer.trailers.get("grpc-message").unwrap(), "as it is");
        assert_eq!(answer.head.headers.get("content-type").unwrap(), "application/grpc");
        let answer = ask("/shop.v1.Stock/Watch", &message(b"x")).await;
        let all: Vec<u8> = (b'0'..b'5').flat_map(|number| message(&[b'x', number])).collect();
        assert_eq!((&answer.body, answer.grpc_status()), (&all, Some("0")));
        let many = message(&[1; 1000]).repeat(500);
        let answer = ask("/shop.v1.Stock/Fill", &many).await;
        assert_eq!(
            (&answer.body, answer.grpc_status()),
            (&message(many.len().to_string().as_bytes()), Some("0"))
        );
        let answer = ask("/shop.v1.Stock/Refuse", &message(b"")).await;
        assert_eq!((answer.status(), answer.grpc_status(), answer.body.len()), (200, Some("9"), 0));
        assert_eq!(answer.field("grpc-message"), Some("out of stock"));
    });
}

#[test]
fn both_sides_talk_at_once() {
    let (_server, proxy) = proxied("");
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let (answer, mut to) = client.open(call("/shop.v1.Stock/Talk").body(()).unwrap()).await;
        // The head comes before anything was said, and each word before the next one is.
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut from = answer.into_body();
        for number in 0..50_u8 {
            let said = message(&vec![number; 1 + usize::from(number) * 100]);
            write(&mut to, &said, false).await.unwrap();
            let mut heard = Vec::new();
            while heard.len() < said.len() {
                heard.extend_from_slice(&piece(&mut from).await.unwrap().unwrap());
            }
            assert_eq!(heard, said);
        }
        write(&mut to, b"", true).await.unwrap();
        let (rest, trailers) = read(&mut from).await.unwrap();
        assert!(rest.is_empty());
        assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    });
}

#[test]
fn methods_are_routed_and_toggled_by_name() {
    let named = |name: &'static str| {
        Server::new(move |mut call: Call| async move {
            let mut to = call.accept();
            write(&mut to, &message(name.as_bytes()), false).await.unwrap();
            to.send_trailers(outcome("0")).unwrap();
        })
    };
    let (old, new) = (named("old"), named("new"));
    let proxy = Proxied::new(&format!(
        "from = \"h2c://{}\"\n[[routes]]\nname = \"reserve\"\ngrpc = \"shop.v1.Stock/Reserve\"\nto = \"h2c://{}\"\n",
        old.address, new.address
    ));
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let mut ask = async |path: &str| {
            let answer = client.post(call(path).body(()).unwrap(), &message(b"")).await.unwrap();
            String::from_utf8(answer.body[5..].to_vec()).unwrap()
        };
        assert_eq!(ask(UNARY).await, "old");
        proxy.toggle("reserve", "live");
        assert_eq!(ask(UNARY).await, "new");
        assert_eq!(ask("/shop.v1.Stock/Watch").await, "old", "another method");
        proxy.toggle("reserve", "off");
        assert_eq!(ask(UNARY).await, "old");
    });
}

#[test]
fn faults_are_told_as_calls_understand_them() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = dead.local_addr().unwrap();
    drop(dead);
    let (server, proxy) = proxied(&format!(
        "defaults.timeouts.stream = \"150ms\"\n\
         [[routes]]\nname = \"dead\"\ngrpc = \"shop.v1.Dead\"\nfrom = \"h2c://{address}\"\n\
         [[routes]]\nname = \"often\"\ngrpc = \"shop.v1.Often\"\nlimits = {{ rate = \"1/h\", rate_key = \"route\" }}\n\
         [[routes]]\nname = \"large\"\ngrpc = \"shop.v1.Large\"\nlimits.body = \"10B\"\n"
    ));
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let mut ask = async |path: &str, timeout: &str| {
            let mut asked = call(path);
            if !timeout.is_empty() {
                asked = asked.header("grpc-timeout", timeout);
            }
            client.post(asked.body(()).unwrap(), &message(b"a message")).await.unwrap()
        };
        for (path, timeout, status, cause) in [
            ("/shop.v1.Dead/Any", "", "14", "connection-refused"),
            ("/shop.v1.Often/Any", "", "0", ""),
            ("/shop.v1.Often/Any", "", "8", "rate-limited"),
            ("/shop.v1.Large/Any", "", "8", "body-too-large"),
            ("/shop.v1.Stock/Hang", "", "4", "response-timeout"),
            ("/shop.v1.Stock/Hang", "20m", "4", "deadline-exceeded"),
        ] {
            let answer = ask(path, timeout).await;
            assert_eq!((answer.status(), answer.grpc_status()), (200, Some(status)), "{path}");
            let said = answer.field("grpc-message").unwrap_or_default();
            assert!(said.starts_with(cause), "{path}: {said}");
            if !cause.is_empty() {
                assert!(answer.body.is_empty(), "trailers only");
                assert_eq!(answer.field("content-type"), Some("application/grpc"));
                assert!(answer.field("proxy-status").unwrap().contains(cause));
            }
        }
        let answer = ask("/shop.v1.Often/Any", "").await;
        assert!(answer.field("grpc-retry-pushback-ms").is_some());
    });
    drop(server);
}

#[test]
fn a_head_that_is_refused_is_told_as_calls_understand_it() {
    let (_server, proxy) = proxied("client.head = \"4KiB\"\nclient.target = \"1KiB\"");
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let large = call(UNARY).header("x-large", "v".repeat(5000));
        for (asked, status, cause) in
            [(large, "8", "head-too-large"), (call("/shop.v1.Stock/a%2fb"), "13", "encoded-slash")]
        {
            let answer = client.post(asked.body(()).unwrap(), &message(b"x")).await.unwrap();
            assert_eq!((answer.status(), answer.grpc_status()), (200, Some(status)));
            let told = answer.field("grpc-message").unwrap();
            assert!(told.starts_with(cause), "{told}");
        }
    });
}

#[test]
fn a_call_lasts_as_long_as_somebody_speaks_now_and_then() {
    let (_server, proxy) = proxied(
        "client.body_idle = \"60ms\"\ndefaults.timeouts = { first_byte = \"60ms\", idle = \"60ms\", stream = \"20s\" }",
    );
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let (answer, mut to) = client.open(call("/shop.v1.Stock/Talk").body(()).unwrap()).await;
        let mut from = answer.await.unwrap().into_body();
        for _ in 0..3 {
            // Longer than every other time that is set.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            write(&mut to, &message(b"still here"), false).await.unwrap();
            assert_eq!(piece(&mut from).await.unwrap().unwrap(), message(b"still here"));
        }
        write(&mut to, b"", true).await.unwrap();
        assert_eq!(read(&mut from).await.unwrap().1.get("grpc-status").unwrap(), "0");
    });
}

#[test]
fn a_side_that_is_unavailable_opens_the_breaker_and_a_deadline_of_the_clients_does_not() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::new(move |call| {
        count.fetch_add(1, Ordering::SeqCst);
        service(call)
    });
    for (path, timeout, opens) in [
        ("/shop.v1.Stock/Fail", "", true),
        ("/shop.v1.Stock/Late", "", true),
        ("/shop.v1.Stock/Refuse", "", false),
        ("/shop.v1.Stock/Hang", "10m", false),
    ] {
        let proxy = Proxied::new(&format!(
            "from = \"h2c://{}\"\nworkers = 1\ndefaults.breaker = {{ failures = 3, open = \"1h\" }}\n\
             defaults.outlier.ejected_max = 0\n",
            server.address
        ));
        let before = asked.load(Ordering::SeqCst);
        run(async {
            let mut client = Client::connect(proxy.address).await;
            for _ in 0..6 {
                let mut one = call(path);
                if !timeout.is_empty() {
                    one = one.header("grpc-timeout", timeout);
                }
                let answer = client.post(one.body(()).unwrap(), &message(b"")).await.unwrap();
                assert!(answer.grpc_status().is_some_and(|status| status != "0"), "{path}");
            }
        });
        let seen = asked.load(Ordering::SeqCst) - before;
        assert_eq!(seen, if opens { 3 } else { 6 }, "{path}");
    }
}

#[test]
fn a_call_that_is_given_up_is_given_up_everywhere() {
    let (inside, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_inside, has_gone) = (Arc::clone(&inside), Arc::clone(&gone));
    let server = Server::new(move |mut call: Call| {
        let (inside, gone) = (Arc::clone(&is_inside), Arc::clone(&has_gone));
        async move {
            let mut to = call.accept();
            inside.store(true, Ordering::SeqCst);
            std::future::poll_fn(|cx| to.poll_reset(cx)).await.unwrap();
            gone.store(true, Ordering::SeqCst);
        }
    });
    let proxy = Proxied::new(&format!("from = \"h2c://{}\"\n", server.address));
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let (answer, to) = client.open(call("/shop.v1.Stock/Talk").body(()).unwrap()).await;
        wait("it is inside", || inside.load(Ordering::SeqCst)).await;
        drop((answer, to));
        wait("the server is told", || gone.load(Ordering::SeqCst)).await;
        // And a server that hangs is let go at the client's deadline.
        let (answer, mut to) =
            client.open(call("/x.Y/Z").header("grpc-timeout", "30m").body(()).unwrap()).await;
        write(&mut to, &message(b""), true).await.unwrap();
        let error = whole(answer).await.unwrap_err();
        assert!(error.is_reset(), "its head had come, so it is not told in trailers: {error}");
    });
}

#[test]
fn health_is_asked_in_grpc() {
    let well = Arc::new(AtomicBool::new(true));
    let is_well = Arc::clone(&well);
    let server = Server::new(move |mut call: Call| {
        let well = is_well.load(Ordering::SeqCst);
        async move {
            if call.head.uri.path() != "/grpc.health.v1.Health/Check" {
                return service(call).await;
            }
            let (asked, _) = read(&mut call.body).await.unwrap();
            assert_eq!(asked, message(b"\x0a\x0dshop.v1.Stock"));
            let mut to = call.accept();
            write(&mut to, &message(&[8, if well { 1 } else { 2 }]), false).await.unwrap();
            to.send_trailers(outcome("0")).unwrap();
        }
    });
    let proxy = Proxied::new(&format!(
        "from = \"shop\"\n[upstreams.shop]\nendpoints = \"http://{}\"\nprotocol = \"http2\"\n\
         health = {{ grpc = \"shop.v1.Stock\", interval = \"50ms\", rise = 1, fall = 1 }}\n",
        server.address
    ));
    let in_use = || proxy.handle.is_usable("(rest)", "shop");
    until("it is well", in_use);
    well.store(false, Ordering::SeqCst);
    until("it is ill", || !in_use());
    well.store(true, Ordering::SeqCst);
    until("it is back", in_use);
    run(async {
        let mut client = Client::connect(proxy.address).await;
        let answer = client.post(call(UNARY).body(()).unwrap(), &message(b"x")).await.unwrap();
        assert_eq!(answer.grpc_status(), Some("0"));
    });
}
