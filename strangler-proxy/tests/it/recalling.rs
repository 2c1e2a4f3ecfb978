//! A request of the past, told by its trace id.

use std::sync::atomic::{AtomicUsize, Ordering};

use strangler_proxy::{seen::recent::Remembered, steer::Engine};

use crate::{
    proxied::Proxied,
    raw::{Upstream, get, ok},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn told(proxy: &Proxied, trace: &str) -> Vec<Remembered> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(proxy.handle.recall(trace))
}

fn traced(method: &str, path: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: shop.example\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n\
         Authorization: Bearer very-secret\r\nCookie: sid=very-secret\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The trace id that a problem names.
fn trace_of(problem: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(problem).unwrap();
    document["trace"].as_str().unwrap().to_owned()
}

#[test]
fn it_says_what_was_decided_by_the_configuration_of_then() {
    let (old, new) = (Upstream::answering(|_| ok("old")), Upstream::answering(|_| ok("new")));
    let text = format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stock\"\ngroup = \"inventory\"\npath = \"/stock/{{sku}}\"\n\
         to = \"http://{}\"\nstage = \"live\"\nrequest_headers.set = {{ x-key = \"very-secret\" }}\n",
        old.address, new.address
    );
    let proxy = Proxied::new(&text);
    let revision = proxy.steering.shared().get().revision.to_string();
    assert_eq!(proxy.ask(traced("POST", "/stock/./7?card=very-secret")).text(), "new");
    proxy.toggle("stock", "off");
    assert_eq!(proxy.ask(traced("GET", "/stock/8")).text(), "old");
    let all = told(&proxy, TRACE);
    let [second, first] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/stock/7"));
    assert_eq!((first.host.as_str(), first.status), ("shop.example", 200));
    assert_eq!(first.client, Some([127, 0, 0, 1].into()));
    assert_eq!((first.side.as_deref(), first.why.as_deref()), (Some("new"), Some("live")));
    assert_eq!(first.endpoint, Some(new.address.to_string()));
    let then = first.route.as_ref().unwrap();
    assert_eq!((then.route.as_str(), then.group.as_deref()), ("stock", Some("inventory")));
    assert_eq!((&then.revision, then.stage.to_string()), (&revision, "live".to_owned()));
    assert_eq!(then.request_headers, ["+ x-key"]);
    assert_eq!((second.side.as_deref(), second.why.as_deref()), (Some("old"), Some("off")));
    assert_ne!(second.route.as_ref().unwrap().revision, revision);
    let all = serde_json::to_string(&all).unwrap();
    assert!(!all.contains("very-secret"), "{all}");
    assert!(told(&proxy, "00000000000000000000000000000001").is_empty());
}

#[test]
fn a_failure_is_found_by_the_trace_in_its_answer_however_many_come_after() {
    let upstream = Upstream::new(|peer, _| {
        while let Some(request) = peer.request() {
            if request.target() == "/bad" || peer.try_send(ok("well")).is_err() {
                return;
            }
        }
    });
    let proxy = Proxied::with(upstream.address, "workers = 1\ndefaults.breaker.failures = 1000");
    let bad = proxy.ask("POST /bad HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(bad.status(), 502);
    let refused = proxy.ask("GET / HTTP/1.1\r\nHost: shop.example\r\nHost: other\r\n\r\n");
    assert_eq!(refused.status(), 400);
    let mut client = proxy.connect();
    for _ in 0..1000 {
        assert_eq!(client.ask(get("/good")).status(), 200);
    }
    let all = told(&proxy, &trace_of(&bad.text()));
    let [one] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((one.status, one.path.as_str()), (502, "/bad"));
    assert_eq!(one.endpoint, Some(upstream.address.to_string()));
    assert!(one.cause.is_some() && one.detail.is_some(), "{one:?}");
    let all = told(&proxy, &trace_of(&refused.text()));
    let [one] = all.as_slice() else { panic!("{all:?}") };
    assert!(one.status == 400 && one.route.is_none() && one.cause.is_some(), "{one:?}");
}

#[test]
fn tries_and_the_way_back_to_the_monolith_are_told() {
    let asked = AtomicUsize::new(0);
    let flaky = Upstream::new(move |peer, _| {
        while peer.request().is_some() {
            // The first two connections end without an answer.
            if asked.fetch_add(1, Ordering::SeqCst) < 2 || peer.try_send(ok("new")).is_err() {
                return;
            }
        }
    });
    let old = Upstream::answering(|_| ok("old"));
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"flaky\"\npath = \"/flaky\"\nto = \"http://{}\"\nstage = \"live\"\n\
         retries = {{ tries = 2, backoff = \"1ms\" }}\n\
         [[routes]]\nname = \"dead\"\npath = \"/dead\"\nto = \"http://{dead}\"\nstage = \"live\"\n",
        old.address, flaky.address
    ));
    assert_eq!(proxy.ask(traced("GET", "/flaky")).text(), "new");
    let one = told(&proxy, TRACE).remove(0);
    assert_eq!((one.tries.len(), one.status), (2, 200), "{one:?}");
    assert_eq!(one.tries[0].endpoint, flaky.address.to_string());
    assert_eq!(proxy.ask(traced("GET", "/dead")).text(), "old");
    let one = told(&proxy, TRACE).remove(0);
    assert_eq!((one.side.as_deref(), one.why.as_deref()), (Some("old"), Some("fallen_back")));
    assert_eq!(one.endpoint, Some(old.address.to_string()));
    assert!(one.tries.iter().all(|tried| tried.endpoint == dead.to_string()), "{one:?}");
    assert!(!one.tries.is_empty());
}
