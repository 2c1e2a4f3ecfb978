//! Which reads may move ahead: freshness, what a client has written, and clients that cannot be told apart.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::route::bucket::salt;

const AGE: Duration = Duration::from_secs(1);

/// Somebody with these header fields, at this address.
struct Somebody {
    method: &'static str,
    user: Option<String>,
    address: Option<&'static str>,
}

impl Somebody {
    fn named(user: impl ToString) -> Self {
        Self { method: "GET", user: Some(user.to_string()), address: Some("192.0.2.1") }
    }

    fn with<T>(&self, see: impl FnOnce(&Facts<'_>) -> T) -> T {
        let user = self.user.iter().map(|user| ("x-user".to_owned(), user.clone()));
        let headers: Vec<(String, String)> = user.collect();
        see(&Facts {
            method: self.method.as_bytes(),
            host: b"shop.example",
            path: b"/stock",
            query: b"",
            client: self.address.and_then(|address| address.parse().ok()),
            headers: &headers,
        })
    }
}

struct World {
    start: Instant,
    writers: Arc<Writers>,
    replica: Arc<Replica>,
    sticky: Sticky,
}

impl World {
    fn new() -> Self {
        let writers = Arc::new(Writers::default());
        writers.watch();
        let sources = ["header:x-user", "address"].map(|text| KeySource::parse(text).unwrap());
        let sticky = Sticky { sources: sources.into(), salt: salt("inventory") };
        // After what nobody can have noted.
        let start = Instant::now() + Duration::from_millis(1);
        Self { start, replica: Replica::new(&writers), writers, sticky }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// The replica holds what was committed by then.
    fn holds(&self, ms: u64) {
        self.replica.holds(self.at(ms), self.at(ms) + AGE);
    }

    fn wrote(&self, who: &Somebody, ms: u64) {
        let identities = [self.sticky.sources.clone()];
        who.with(|facts| self.writers.wrote(facts, &identities, self.at(ms)));
    }

    fn admits(&self, who: &Somebody, ms: u64) -> Result<(), Why> {
        who.with(|facts| self.replica.admits(facts, &self.sticky, self.at(ms)))
    }
}

#[test]
fn only_reads_go_to_a_replica_and_only_while_it_is_known_to_be_fresh() {
    let world = World::new();
    let ann = Somebody::named("ann");
    assert_eq!(world.admits(&ann, 0), Err(Why::Behind), "nobody has said anything of it");
    world.holds(10);
    assert_eq!(world.admits(&ann, 10), Ok(()));
    assert_eq!(world.admits(&Somebody { method: "HEAD", ..Somebody::named("ann") }, 10), Ok(()));
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let asks = Somebody { method, ..Somebody::named("ann") };
        assert_eq!(world.admits(&asks, 10), Err(Why::NotARead), "{method}");
    }
    assert_eq!(world.admits(&ann, 1009), Ok(()));
    assert_eq!(world.admits(&ann, 1010), Err(Why::Behind), "nobody says so any more");
    // What comes late of an earlier moment takes nothing back.
    world.holds(500);
    world.holds(20);
    assert_eq!(world.admits(&ann, 1100), Ok(()));
    world.replica.close();
    assert_eq!(world.admits(&ann, 1100), Err(Why::Behind));
}

#[test]
fn who_has_written_reads_at_the_old_side_until_the_replica_holds_it() {
    let world = World::new();
    let (ann, bob) = (Somebody::named("ann"), Somebody::named("bob"));
    world.holds(10);
    world.wrote(&ann, 20);
    assert_eq!(world.admits(&ann, 21), Err(Why::HasWritten));
    assert_eq!(world.admits(&bob, 21), Ok(()), "another one at the same address");
    world.holds(20);
    assert_eq!(world.admits(&ann, 25), Err(Why::HasWritten), "in the same moment is in doubt");
    world.holds(21);
    assert_eq!(world.admits(&ann, 25), Ok(()));
}

#[test]
fn a_client_without_its_better_key_is_still_the_same() {
    let world = World::new();
    world.holds(10);
    // Its cookie, say, is only set by the answer to what it writes.
    world.wrote(&Somebody { user: None, ..Somebody::named("") }, 20);
    assert_eq!(world.admits(&Somebody::named("ann"), 21), Err(Why::HasWritten));
    let elsewhere = Somebody { address: Some("192.0.2.2"), ..Somebody::named("bob") };
    assert_eq!(world.admits(&elsewhere, 21), Ok(()));
    world.holds(30);
    assert_eq!(world.admits(&Somebody::named("ann"), 31), Ok(()));
}

#[test]
fn who_cannot_be_told_apart_is_anybody() {
    let world = World::new();
    world.holds(10);
    world.wrote(&Somebody { user: None, address: None, ..Somebody::named("") }, 20);
    assert_eq!(world.admits(&Somebody::named("ann"), 21), Err(Why::HasWritten));
    world.holds(21);
    assert_eq!(world.admits(&Somebody::named("ann"), 22), Ok(()));
    // A request of before the reads were moved does not know how clients are told apart.
    Somebody::named("bob").with(|facts| world.writers.wrote(facts, &[], world.at(30)));
    assert_eq!(world.admits(&Somebody::named("ann"), 31), Err(Why::HasWritten));
}

#[test]
fn what_was_written_before_anybody_took_note_was_anybodys() {
    let writers = Arc::new(Writers::default());
    let replica = Replica::new(&writers);
    let before = Instant::now();
    std::thread::sleep(Duration::from_millis(2));
    writers.watch();
    let sticky = World::new().sticky;
    replica.holds(before, before + AGE);
    let admits = |now| Somebody::named("ann").with(|facts| replica.admits(facts, &sticky, now));
    assert_eq!(admits(before), Err(Why::HasWritten));
    let after = Instant::now() + Duration::from_millis(1);
    replica.holds(after, after + AGE);
    assert_eq!(admits(after), Ok(()));
    assert!(writers.is_watched());
    writers.rest();
    assert!(!writers.is_watched());
}

#[test]
fn with_every_place_taken_everything_goes_to_the_old_side() {
    let world = World::new();
    world.holds(10);
    let is_quiet = |who: usize| world.admits(&Somebody::named(format!("quiet-{who}")), 21).is_ok();
    for who in 0..PLACES / 100 {
        world.wrote(&Somebody::named(who), 20);
    }
    let quiet = (0..1000).filter(|who| is_quiet(*who)).count();
    assert!(quiet > 950, "a hundredth of the places taken costs others little: {quiet} of 1000");
    for who in 0..PLACES * 16 {
        world.wrote(&Somebody::named(who), 20);
    }
    let quiet = (0..1000).filter(|who| is_quiet(*who)).count();
    assert_eq!(quiet, 0, "more writers than places");
    world.holds(21);
    assert!((0..1000).all(is_quiet), "what the replica holds is nobody's any more");
}
