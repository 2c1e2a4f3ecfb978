//! The end of a proxy, while requests are under way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{
    proxied::Proxied,
    raw::{Upstream, get, ok, until},
};

#[test]
fn requests_under_way_end_well_and_idle_connections_are_closed() {
    let (release, slow) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (go, come) = (Arc::clone(&release), Arc::clone(&slow));
    let upstream = Upstream::answering(move |request| {
        if request.target() == "/slow" {
            come.store(true, Ordering::SeqCst);
            until("the test lets it go", || go.load(Ordering::SeqCst));
        }
        ok("done")
    });
    let proxy = Proxied::to(upstream.address);
    let mut idle = proxy.connect();
    assert_eq!(idle.ask(get("/")).text(), "done");
    let mut busy = proxy.connect();
    busy.send(get("/slow"));
    until("the slow one is under way", || slow.load(Ordering::SeqCst));
    thread::scope(|scope| {
        proxy.handle.drain();
        let waiting = scope.spawn(|| proxy.handle.wait());
        assert!(idle.is_closed());
        until("no more connections are taken", || {
            std::net::TcpStream::connect(proxy.address).is_err()
        });
        assert!(!waiting.is_finished());
        release.store(true, Ordering::SeqCst);
        let answer = busy.answer();
        assert_eq!((answer.text().as_str(), answer.field("connection")), ("done", Some("close")));
        assert!(busy.is_closed());
        waiting.join().unwrap();
    });
}

#[test]
fn the_drain_has_an_end() {
    let upstream = Upstream::new(|peer, _| drop(peer.the_rest()));
    let proxy = Proxied::with(upstream.address, "client.drain = \"200ms\"");
    let mut busy = proxy.connect();
    busy.send(get("/"));
    until("it is under way", || upstream.open.load(Ordering::SeqCst) == 1);
    proxy.handle.drain();
    proxy.handle.wait();
    assert!(busy.is_closed());
}
