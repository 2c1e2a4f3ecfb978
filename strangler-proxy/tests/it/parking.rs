//! Requests that are held at the gate, and the barrier behind it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use strangler_proxy::{config::KillSource, steer::Switch};
use tokio::runtime::{Builder, Runtime};

use crate::{
    proxied::{Proxied, target},
    raw::{Peer, Upstream, get, ok, until},
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A monolith and one route `stock` that matches `/stock`.
fn shop(upstream: &Upstream, settings: &str) -> Proxied {
    Proxied::new(&format!(
        "from = \"http://{}\"\n{settings}\n[[routes]]\nname = \"stock\"\ngroup = \"inventory\"\npath = \"/stock\"\n",
        upstream.address
    ))
}

#[test]
fn held_requests_wait_and_others_do_not() {
    let upstream = Upstream::echo();
    let proxy = shop(&upstream, "");
    assert!(runtime().block_on(proxy.handle.park("inventory")), "nothing is under way");
    let mut held: Vec<Peer> = (0..20).map(|_| proxy.connect()).collect();
    for client in &mut held {
        client.send(get("/stock"));
    }
    until("they wait", || proxy.handle.held("stock") == 20);
    assert_eq!(proxy.ask(get("/other")).status(), 200);
    proxy.handle.resume("inventory");
    for client in &mut held {
        assert!(client.answer().text().starts_with("GET /stock"));
    }
    assert_eq!(proxy.handle.held("stock"), 0);
}

/// Whoever moves something has a fence of its own behind this one; the kill switch has nothing but itself.
#[test]
fn the_kill_switch_opens_what_is_held_but_for_what_is_retired() {
    let (old, new) = (Upstream::answering(|_| ok("old")), Upstream::answering(|_| ok("new")));
    let of = |stage: &str| {
        format!(
            "[[routes]]\nname = \"{stage}\"\npath = \"/{stage}\"\nto = \"http://{}\"\nstage = \"{stage}\"\n",
            new.address
        )
    };
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n{}{}",
        old.address,
        of("live"),
        of("retired")
    ));
    let mut clients = Vec::new();
    for stage in ["live", "retired"] {
        assert!(runtime().block_on(proxy.handle.park(stage)));
        let mut client = proxy.connect();
        client.send(get(&format!("/{stage}")));
        until("it waits", || proxy.handle.held(stage) == 1);
        clients.push(client);
    }
    proxy.steering.switch(Switch::On, KillSource::Api, "test", "test");
    assert_eq!(clients[0].answer().text(), "old");
    assert_eq!(proxy.ask(get("/live")).text(), "old");
    assert!(!runtime().block_on(proxy.handle.park("live")), "there is no barrier meanwhile");
    assert_eq!(proxy.handle.held("retired"), 1, "it has no way back");
    proxy.steering.switch(Switch::Off, KillSource::Api, "test", "test");
    let mut late = proxy.connect();
    late.send(get("/live"));
    until("it is held again", || proxy.handle.held("live") == 1);
    proxy.handle.resume("live");
    proxy.handle.resume("retired");
    assert_eq!((late.answer().text(), clients[1].answer().text()), ("new".into(), "new".into()));
}

#[test]
fn the_configuration_can_hold_them_too() {
    let upstream = Upstream::echo();
    let proxy = shop(&upstream, "");
    proxy.steering.park(&target("stock"), Switch::On).unwrap();
    let mut client = proxy.connect();
    client.send(get("/stock"));
    until("it waits", || proxy.handle.held("stock") == 1);
    assert!(runtime().block_on(proxy.handle.emptied("stock")), "it is not under way");
    proxy.steering.park(&target("stock"), Switch::Off).unwrap();
    assert!(client.answer().text().starts_with("GET /stock"));
}

#[test]
fn the_barrier_waits_for_every_request_that_was_let_in() {
    let release = Arc::new(AtomicBool::new(false));
    let (inside, go) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&release));
    let count = Arc::clone(&inside);
    let upstream = Upstream::answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        until("the test lets it go", || go.load(Ordering::SeqCst));
        ok("done")
    });
    let proxy = shop(&upstream, "");
    let mut clients: Vec<Peer> = (0..8).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(get("/stock"));
    }
    until("all are inside", || inside.load(Ordering::SeqCst) == 8);
    thread::scope(|scope| {
        let parked = scope.spawn(|| runtime().block_on(proxy.handle.park("stock")));
        // Some may still be let in before the word has reached their worker; they count as inside.
        let mut late = Vec::new();
        while proxy.handle.held("stock") == 0 {
            let mut client = proxy.connect();
            client.send(get("/stock"));
            late.push(client);
            until("it is inside or waits", || {
                inside.load(Ordering::SeqCst) + proxy.handle.held("stock") == 8 + late.len()
            });
        }
        assert!(!parked.is_finished(), "eight are inside");
        let let_in = inside.load(Ordering::SeqCst);
        release.store(true, Ordering::SeqCst);
        assert!(parked.join().unwrap());
        for client in &mut clients {
            assert_eq!(client.answer().text(), "done");
        }
        assert_eq!(inside.load(Ordering::SeqCst), let_in, "the last one has not been let in");
        proxy.handle.resume("stock");
        for mut client in late {
            assert_eq!(client.answer().text(), "done");
        }
    });
}

/// The barrier under load: at the moment it resolves, nothing is inside, every time.
#[test]
fn the_barrier_is_exact_under_load() {
    let inside = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&inside);
    let upstream = Upstream::answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        count.fetch_sub(1, Ordering::SeqCst);
        ok("x")
    });
    let proxy = shop(&upstream, "");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = proxy.connect();
                while !stop.load(Ordering::SeqCst) {
                    assert_eq!(client.ask(get("/stock")).status(), 200);
                }
            });
        }
        let runtime = runtime();
        for _ in 0..50 {
            assert!(runtime.block_on(proxy.handle.park("inventory")));
            assert_eq!(inside.load(Ordering::SeqCst), 0);
            thread::yield_now();
            assert_eq!(inside.load(Ordering::SeqCst), 0);
            proxy.handle.resume("inventory");
        }
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn room_to_wait_is_bounded_in_number_bytes_and_time() {
    let upstream = Upstream::echo();
    let proxy = shop(&upstream, "defaults.parking.requests = 2\ndefaults.parking.time = \"300ms\"");
    runtime().block_on(proxy.handle.park("stock"));
    let mut held: Vec<Peer> = (0..2).map(|_| proxy.connect()).collect();
    for client in &mut held {
        client.send(get("/stock"));
    }
    until("they wait", || proxy.handle.held("stock") == 2);
    let refused = proxy.ask(get("/stock"));
    assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")));
    assert!(refused.text().contains("parking-full"));
    for client in &mut held {
        let answer = client.answer();
        assert_eq!(answer.status(), 503);
        assert!(answer.text().contains("parked-too-long"), "{}", answer.text());
    }
    let small = shop(&upstream, "defaults.parking.bytes = \"20B\"");
    runtime().block_on(small.handle.park("stock"));
    assert!(small.ask(get("/stock")).text().contains("parking-full"));
}

#[test]
fn a_client_that_leaves_gives_its_place_up_and_is_never_sent() {
    let upstream = Upstream::echo();
    let proxy = shop(&upstream, "");
    runtime().block_on(proxy.handle.park("stock"));
    let mut client = proxy.connect();
    client.send(get("/stock"));
    until("it waits", || proxy.handle.held("stock") == 1);
    drop(client);
    until("it is gone", || proxy.handle.held("stock") == 0);
    proxy.handle.resume("stock");
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 0);
}

/// What it has sent fills the room for it, so reading does not tell that it has left.
#[test]
fn a_client_that_leaves_in_the_middle_of_a_long_body_gives_its_place_up() {
    let upstream = Upstream::echo();
    let proxy = shop(&upstream, "defaults.parking.time = \"1h\"");
    runtime().block_on(proxy.handle.park("stock"));
    for whole in [true, false] {
        let mut client = proxy.connect();
        let body = "x".repeat(if whole { 100_000 } else { 50_000 });
        client.send(format!(
            "POST /stock HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{body}"
        ));
        until("it waits", || proxy.handle.held("stock") == 1);
        drop(client);
        until("it is gone", || proxy.handle.held("stock") == 0);
    }
    proxy.handle.resume("stock");
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn nobody_knows_of_a_route_that_is_not_there() {
    let upstream = Upstream::echo();
    let proxy = shop(&upstream, "");
    assert!(!runtime().block_on(proxy.handle.park("nothing")));
    assert!(!runtime().block_on(proxy.handle.emptied("stock")), "an open gate has no barrier");
}

#[test]
fn after_the_wait_the_decision_is_made_anew() {
    let (old, new) = (Upstream::answering(|_| ok("old")), Upstream::answering(|_| ok("new")));
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stock\"\npath = \"/stock\"\nto = \"http://{}\"\nstage = \"off\"\n",
        old.address, new.address
    ));
    assert_eq!(proxy.ask(get("/stock")).text(), "old");
    runtime().block_on(proxy.handle.park("stock"));
    let mut client = proxy.connect();
    client.send(get("/stock"));
    until("it waits", || proxy.handle.held("stock") == 1);
    proxy.toggle("stock", "live");
    proxy.handle.resume("stock");
    assert_eq!(client.answer().text(), "new");
}

/// Whom nobody holds any more goes on, whatever the file has made of the route meanwhile.
#[test]
fn a_route_that_is_renamed_or_removed_lets_its_requests_go() {
    let upstream = Upstream::echo();
    for by_call in [true, false] {
        for name in ["renamed", "removed"] {
            let proxy = shop(&upstream, "defaults.parking.time = \"1h\"");
            if by_call {
                assert!(runtime().block_on(proxy.handle.park("stock")));
            } else {
                proxy.steering.park(&target("stock"), Switch::On).unwrap();
            }
            let mut client = proxy.connect();
            client.send(get("/stock"));
            until("it waits", || proxy.handle.held("stock") == 1);
            let path = if name == "renamed" { "/stock" } else { "/other" };
            proxy.reload(&format!(
                "from = \"http://{}\"\n[[routes]]\nname = \"{name}\"\npath = \"{path}\"\n",
                upstream.address
            ));
            assert!(client.answer().text().starts_with("GET /stock"), "{name} {by_call}");
            assert_eq!(proxy.handle.held("stock"), 0);
        }
    }
}

/// Who is under way under a name that is gone is waited for by the barrier of every name that is there.
#[test]
fn the_barrier_waits_for_requests_of_a_route_that_was_renamed() {
    let release = Arc::new(AtomicBool::new(false));
    let (inside, go) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&release));
    let count = Arc::clone(&inside);
    let upstream = Upstream::answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        until("the test lets it go", || go.load(Ordering::SeqCst));
        count.fetch_sub(1, Ordering::SeqCst);
        ok("done")
    });
    let proxy = shop(&upstream, "");
    let mut client = proxy.connect();
    client.send(get("/stock"));
    until("it is inside", || inside.load(Ordering::SeqCst) == 1);
    proxy.reload(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stocks\"\npath = \"/stock\"\n",
        upstream.address
    ));
    // Nothing is asked for, so that both workers have taken the file up when this is over.
    assert!(!runtime().block_on(proxy.handle.emptied("nobody")));
    thread::scope(|scope| {
        let (proxy, inside) = (&proxy, &inside);
        let parked = scope.spawn(move || {
            assert!(runtime().block_on(proxy.handle.park("stocks")));
            inside.load(Ordering::SeqCst)
        });
        // Whoever comes before the gate is closed goes in, and is waited for too.
        let waiting = std::cell::RefCell::new(Vec::new());
        until("the gate is closed", || {
            let mut one = proxy.connect();
            one.send(get("/stock"));
            waiting.borrow_mut().push(one);
            proxy.handle.held("stocks") > 0
        });
        release.store(true, Ordering::SeqCst);
        assert_eq!(parked.join().unwrap(), 0, "it was still under way");
        assert_eq!(client.answer().text(), "done");
        proxy.handle.resume("stocks");
        for mut one in waiting.into_inner() {
            assert_eq!(one.answer().text(), "done");
        }
    });
}
