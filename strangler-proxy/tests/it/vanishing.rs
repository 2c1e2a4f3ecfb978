//! Clients and upstreams that vanish at every point, while everything else changes too: at the end nothing is left of them.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use strangler_proxy::{config::KillSource, steer::Switch};
use tokio::runtime::Builder;

use crate::{
    proxied::{Proxied, target},
    raw::{Peer, Upstream, get, until},
};

/// Requests that are cut after each of their bytes in turn.
const REQUESTS: [&str; 4] = [
    "GET /stock HTTP/1.1\r\nHost: a\r\n\r\nGET /stock HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /stock HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n",
    "PUT /stock HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    "GET /stock HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly",
];

const ANSWERS: [&str; 4] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 4\r\n\r\nbusy",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly",
];

/// Answers with one of these, cut after another byte each time.
fn cutting(count: &'static AtomicUsize) -> Upstream {
    Upstream::new(move |peer, _| {
        while peer.head().is_ok_and(|head| head.is_some()) {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let answer = ANSWERS[number % ANSWERS.len()];
            let kept = number.is_multiple_of(3).then_some(answer.len());
            let end = kept.unwrap_or(number / 3 % answer.len());
            if peer.try_send(&answer[..end]).is_err() || end < answer.len() {
                return;
            }
        }
    })
}

#[test]
fn whoever_vanishes_leaves_nothing_behind() {
    static OLD: AtomicUsize = AtomicUsize::new(0);
    static NEW: AtomicUsize = AtomicUsize::new(0);
    let (old, new) = (cutting(&OLD), cutting(&NEW));
    let proxy = Proxied::new(&format!(
        "from = \"http://{}\"\n[[routes]]\nname = \"stock\"\npath = \"/stock\"\nto = \"http://{}\"\n\
         stage = \"live\"\nlimits = {{ concurrency = 3, queue = 3, queue_time = \"100ms\" }}\n\
         retries = {{ on = [503], tries = 3, backoff = \"1ms\" }}\nparking.time = \"200ms\"\n\
         breaker = {{ failures = 20, open = \"20ms\" }}\ntimeouts = {{ first_byte = \"200ms\", idle = \"200ms\" }}\n",
        old.address, new.address
    ));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|client| {
                let proxy = &proxy;
                scope.spawn(move || {
                    for request in REQUESTS {
                        for end in (client % 3..request.len()).step_by(3).chain([request.len()]) {
                            let mut peer = proxy.connect();
                            peer.send(&request[..end]);
                            if end % 2 == 0 {
                                peer.stream.shutdown(std::net::Shutdown::Write).unwrap_or_default();
                            }
                            if end == request.len() {
                                peer.answer_or_end();
                            }
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                for switch in [Switch::On, Switch::Off] {
                    proxy.steering.park(&target("stock"), switch).unwrap();
                    thread::yield_now();
                    proxy.steering.switch(switch, KillSource::Api, "test", "test");
                    thread::yield_now();
                }
                for stage in ["shadow", "50", "live"] {
                    proxy.toggle("stock", stage);
                }
            }
        });
        clients.into_iter().for_each(|client| client.join().unwrap());
        stop.store(true, Ordering::SeqCst);
    });
    until("no client is connected", || proxy.handle.connections() == 0);
    until("nobody is inside or waits", || {
        let metrics = proxy.metrics();
        let is_0 = |name: &str| metrics.contains(&format!("{name}{{route=\"stock\"}} 0"));
        is_0("strangler_inside") && is_0("strangler_queued") && proxy.handle.held("stock") == 0
    });
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(proxy.handle.park("stock")), "nobody is under way");
    proxy.handle.resume("stock");
    // Every place is there: as many as there are may be under way at once, and all get an answer.
    let mut peers: Vec<Peer> = (0..3).map(|_| proxy.connect()).collect();
    for peer in &mut peers {
        peer.send(get("/stock"));
    }
    for mut peer in peers {
        peer.answer_or_end();
    }
    until("no client is connected", || proxy.handle.connections() == 0);
}
