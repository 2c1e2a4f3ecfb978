//! Reads that move ahead to a replica, over real sockets: what a client has written it sees, and what fails at the replica
//! the old side answers.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use strangler_proxy::config::{Lead, Share};

use crate::{
    proxied::Proxied,
    raw::{Upstream, ok, until},
};

/// A counter that the old side owns and a replica follows when the test says so.
struct Counter {
    old: Upstream,
    replica: Upstream,
    value: Arc<AtomicUsize>,
    held: Arc<AtomicUsize>,
    is_ill: Arc<AtomicBool>,
    unmarked: Arc<AtomicUsize>,
    proxy: Proxied,
}

impl Counter {
    fn new() -> Self {
        let (value, held) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let is_ill = Arc::<AtomicBool>::default();
        let unmarked = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&value);
        let old = Upstream::answering(move |request| {
            if request.first_line.starts_with("POST") {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            ok(format!("old {}", counter.load(Ordering::SeqCst)))
        });
        let (copied, ill, bare) = (Arc::clone(&held), Arc::clone(&is_ill), Arc::clone(&unmarked));
        let replica = Upstream::answering(move |request| {
            if request.field("x-replica") != Some("yes") {
                bare.fetch_add(1, Ordering::SeqCst);
            }
            match ill.load(Ordering::SeqCst) {
                true => b"HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n".to_vec(),
                false => ok(format!("replica {}", copied.load(Ordering::SeqCst))),
            }
        });
        let proxy = Proxied::new(&format!(
            "from = \"http://{}\"\n\
             [[routes]]\nname = \"count.read\"\ngroup = \"count\"\npath = \"/count\"\nmethod = [\"GET\", \"HEAD\"]\nsticky = \"header:x-user\"\n\
             [[routes]]\nname = \"count.write\"\ngroup = \"count\"\npath = \"/count\"\nmethod = \"POST\"\n",
            old.address
        ));
        Self { old, replica, value, held, is_ill, unmarked, proxy }
    }

    fn lead(&self, percent: &str) {
        let mark = ("x-replica".to_owned(), "yes".to_owned());
        let share = Share::Reads { weight: percent.parse().unwrap(), mark };
        let lead = Lead { to: format!("http://{}", self.replica.address), share };
        let led = BTreeMap::from([("count".to_owned(), lead)]);
        self.proxy.steering.lead(&led, "test", "").unwrap();
    }

    /// The replica takes over what is committed now.
    fn follow(&self) {
        let as_of = Instant::now();
        self.held.store(self.value.load(Ordering::SeqCst), Ordering::SeqCst);
        let until = as_of + Duration::from_secs(60);
        assert!(self.proxy.steering.fresh("count", as_of, until));
    }

    /// A side that nobody has asked yet is found first.
    fn is_asked(&self) {
        until("the replica is asked", || self.read(9).starts_with("replica "));
    }

    fn read(&self, user: usize) -> String {
        let request = format!("GET /count HTTP/1.1\r\nHost: a\r\nX-User: {user}\r\n\r\n");
        let answer = self.proxy.ask(request);
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.text()
    }

    fn write(&self, user: usize) -> String {
        let head = "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n";
        let answer = self.proxy.ask(format!("{head}X-User: {user}\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.text()
    }
}

#[test]
fn a_client_that_has_written_sees_it_and_the_others_read_ahead() {
    let counter = Counter::new();
    counter.write(1);
    counter.lead("100");
    assert_eq!(counter.read(2), "old 1", "nothing is known of the replica");
    counter.follow();
    counter.is_asked();
    for round in 2..20 {
        let told = counter.write(1);
        assert_eq!(told, format!("old {round}"), "what writes stays");
        assert_eq!(counter.read(1), told, "its own client sees it at once");
        assert!(counter.read(2).starts_with("replica "));
        counter.follow();
        assert_eq!(counter.read(1), format!("replica {round}"));
    }
    assert_eq!(counter.unmarked.load(Ordering::SeqCst), 0, "it knows that it is a replica");
    counter.proxy.steering.lead(&BTreeMap::new(), "test", "").unwrap();
    assert_eq!(counter.read(2), "old 19");
}

#[test]
fn what_fails_at_the_replica_the_old_side_answers() {
    let counter = Counter::new();
    counter.lead("100");
    counter.follow();
    counter.is_asked();
    counter.is_ill.store(true, Ordering::SeqCst);
    for user in 0..20 {
        assert_eq!(counter.read(user), "old 0");
    }
    counter.is_ill.store(false, Ordering::SeqCst);
    until("it is asked again when it is well", || counter.read(1) == "replica 0");
}

/// Its answer never comes: the client waits a moment, not as long as for an owner.
#[test]
fn a_replica_that_hangs_is_given_up_soon() {
    let counter = Counter::new();
    let hangs = Upstream::new(|peer, _| drop(peer.the_rest()));
    let mark = ("x-replica".to_owned(), "yes".to_owned());
    let share = Share::Reads { weight: "100".parse().unwrap(), mark };
    let lead = Lead { to: format!("http://{}", hangs.address), share };
    let led = BTreeMap::from([("count".to_owned(), lead)]);
    counter.proxy.steering.lead(&led, "test", "").unwrap();
    counter.follow();
    let slowest = Cell::new(Duration::ZERO);
    until("the replica is asked in vain", || {
        let started = Instant::now();
        assert_eq!(counter.read(1), "old 0");
        slowest.set(slowest.get().max(started.elapsed()));
        slowest.get() >= Duration::from_millis(900)
    });
    assert!(slowest.get() < Duration::from_secs(10), "{slowest:?}");
}

/// A write whose answer never came may have been done: its client reads where it can be seen.
#[test]
fn a_write_without_an_answer_counts_as_well() {
    let counter = Counter::new();
    let value = Arc::clone(&counter.value);
    let cuts = Upstream::new(move |peer, _| {
        while let Some(request) = peer.request() {
            if request.first_line.starts_with("POST") {
                value.fetch_add(1, Ordering::SeqCst);
                return;
            }
            peer.send(ok(format!("old {}", value.load(Ordering::SeqCst))));
        }
    });
    let text = fs::read_to_string(counter.proxy.file()).unwrap();
    let text = text.replace(&counter.old.address.to_string(), &cuts.address.to_string());
    fs::write(counter.proxy.file(), text).unwrap();
    counter.proxy.steering.reload("test").unwrap();
    counter.lead("100");
    counter.follow();
    counter.is_asked();
    let head = "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n";
    assert_eq!(counter.proxy.ask(format!("{head}X-User: 1\r\n\r\n")).status(), 502);
    assert_eq!(counter.read(1), "old 1");
    assert_eq!(counter.read(2), "replica 0");
}
