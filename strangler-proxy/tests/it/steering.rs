//! Changes of the configuration while requests flow: none is lost, none goes astray.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use crate::{
    proxied::Proxied,
    raw::{Upstream, get, ok},
};

#[test]
fn toggles_and_reloads_under_load_lose_nothing() {
    let (old, new) = (Upstream::answering(|_| ok("old")), Upstream::answering(|_| ok("new")));
    let text = |stage: &str, timeout: usize| {
        format!(
            "from = \"http://{}\"\ndefaults.timeouts.first_byte = \"{timeout}s\"\n[[routes]]\nname = \"stock\"\n\
             path = \"/stock/{{sku}}\"\nto = \"http://{}\"\nstage = \"{stage}\"\nweight = 50\n",
            old.address, new.address
        )
    };
    let proxy = Proxied::new(&text("off", 10));
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..8 {
            let (stop, asked, proxy) = (&stop, &asked, &proxy);
            scope.spawn(move || {
                let mut peer = proxy.connect();
                while !stop.load(Ordering::SeqCst) {
                    let answer = peer.ask(get(&format!("/stock/{client}")));
                    assert_eq!(answer.status(), 200, "{answer:?}");
                    assert!(["old", "new"].contains(&answer.text().as_str()));
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for round in 0..40 {
            proxy.reload(&text(["off", "shadow", "canary", "live"][round % 4], 10 + round));
            for toggle in ["live", "25", "off"] {
                proxy.toggle("stock", toggle);
            }
            let before = asked.load(Ordering::SeqCst);
            crate::raw::until("requests flow", || asked.load(Ordering::SeqCst) > before);
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert!(asked.load(Ordering::SeqCst) > 40);
}

/// Routes that come and go by the file leave nothing behind, and those that stay count on.
#[test]
fn routes_that_are_gone_are_forgotten() {
    let upstream = Upstream::answering(|_| ok("x"));
    let text = |name: &str| {
        let from = upstream.address;
        let of = |name: &str| format!("[[routes]]\nname = \"{name}\"\npath = \"/{name}\"\n");
        format!("from = \"http://{from}\"\n{}{}", of("stays"), of(name))
    };
    let proxy = Proxied::new(&text("first"));
    for round in 0..20 {
        let name = format!("r{round}");
        proxy.reload(&text(&name));
        for path in ["stays", &name] {
            crate::raw::until("it is in force", || {
                proxy.ask(get(&format!("/{path}")));
                proxy.metrics().contains(&format!("responses_total{{route=\"{path}\""))
            });
        }
    }
    let seen = |name: &str| proxy.metrics().contains(&format!("route=\"{name}\""));
    crate::raw::until("they are forgotten", || (0..19).all(|round| !seen(&format!("r{round}"))));
    assert!(seen("stays") && seen("r19"));
    let figures = strangler_proxy::steer::Engine::figures(&proxy.handle);
    let stays = figures.routes.iter().find(|route| route.route == "stays").unwrap();
    assert!(stays.old.requests >= 20, "{stays:?}");
}

#[test]
fn a_toggle_holds_for_the_next_request() {
    let (old, new) = (Upstream::answering(|_| ok("old")), Upstream::answering(|_| ok("new")));
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stock\"\npath = \"/stock\"\nto = \"http://{}\"\n",
        old.address, new.address
    ));
    let mut client = proxy.connect();
    for _ in 0..20 {
        proxy.toggle("stock", "live");
        assert_eq!(client.ask(get("/stock")).text(), "new");
        proxy.toggle("stock", "off");
        assert_eq!(client.ask(get("/stock")).text(), "old");
    }
}

#[test]
fn an_upstream_that_is_new_is_asked_at_once() {
    let (old, new) = (Upstream::answering(|_| ok("old")), Upstream::answering(|_| ok("new")));
    let proxy = Proxied::to(old.address);
    let mut client = proxy.connect();
    assert_eq!(client.ask(get("/")).text(), "old");
    proxy.reload(&format!("from = \"http://{}\"\n", new.address));
    crate::raw::until("it has its address", || client_text(&proxy) == "new");
}

fn client_text(proxy: &Proxied) -> String {
    let answer = proxy.ask(get("/"));
    assert_eq!(answer.status(), 200, "no request fails meanwhile");
    answer.text()
}

#[test]
fn what_is_changed_of_requests_and_answers() {
    let (old, new) = (Upstream::echo(), Upstream::echo());
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stock\"\npath = \"/stock/{{sku}}\"\nto = \"http://{}\"\nstage = \"live\"\n\
         rewrite.path = \"/api/{{sku}}\"\nrewrite.host = \"stock.internal\"\n\
         request_headers.set = {{ X-From = \"edge\" }}\nrequest_headers.remove = [\"x-secret\"]\n\
         response_headers.set = {{ X-Served = \"new\" }}\n\
         [[routes]]\nname = \"gone\"\npath = \"/gone/{{sku}}\"\nredirect = {{ to = \"https://other.example/{{sku}}\", status = 308 }}\n",
        old.address, new.address
    ));
    let answer = proxy.ask("GET /stock/7?x=1 HTTP/1.1\r\nHost: shop\r\nX-Secret: 1\r\n\r\n");
    let seen = answer.text();
    assert!(seen.starts_with("GET /api/7?x=1 HTTP/1.1\nHost: stock.internal\n"), "{seen}");
    assert!(seen.contains("X-From: edge") && !seen.to_lowercase().contains("x-secret"), "{seen}");
    assert_eq!(answer.field("x-served"), Some("new"));
    let answer = proxy.ask(get("/gone/7"));
    assert_eq!((answer.status(), answer.field("location")), (308, Some("https://other.example/7")));
}

/// `//evil.example/x` is a path for some and another host for others; no request may become one by being rewritten.
#[test]
fn what_is_rewritten_begins_with_one_slash() {
    let upstream = Upstream::echo();
    let proxy = Proxied::new(&format!(
        "from = \"http://{0}\"\n[[routes]]\nname = \"stock\"\npath = \"/v1/{{*rest}}\"\nto = \"http://{0}\"\n\
         stage = \"live\"\nrewrite.path = \"/{{rest}}\"\n",
        upstream.address
    ));
    for (path, told) in [
        ("/v1//evil.example/x", "/evil.example/x"),
        ("/v1///a//b", "/a//b"),
        ("/v1//", "/"),
        ("/v1/", "/"),
        ("/v1", "/"),
        ("/v1/a", "/a"),
    ] {
        let answer = proxy.ask(get(path)).text();
        assert_eq!(answer.lines().next(), Some(&*format!("GET {told} HTTP/1.1")), "{path}");
    }
}
