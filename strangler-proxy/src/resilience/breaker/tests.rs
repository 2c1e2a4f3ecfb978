//! The breaker by a given clock.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;

use super::{Breaker, Fuse, Opened, Pass, Shown};
use crate::{config::Breaker as Settings, resilience::Tick};

const SETTINGS: Settings = Settings {
    failures: 3,
    rate_percent: 50,
    window: Duration::from_secs(10),
    requests_min: 20,
    open: Duration::from_secs(5),
    probes: 2,
};

fn fuse(breaker: &Arc<Breaker>, settings: Settings) -> Fuse {
    Fuse::new(Arc::clone(breaker), breaker.shard(), settings)
}

fn at(seconds: u64) -> Tick {
    Tick::of(seconds * 1000)
}

fn succeed(fuse: &Fuse, now: Tick) {
    fuse.succeeded(fuse.enter(now).unwrap(), now);
}

fn fail(fuse: &Fuse, now: Tick) -> bool {
    fuse.failed(fuse.enter(now).unwrap(), now)
}

#[test]
fn failures_in_a_row_open_it_over_all_workers_and_a_success_starts_anew() {
    let breaker = Arc::new(Breaker::default());
    let (one, two) = (fuse(&breaker, SETTINGS), fuse(&breaker, SETTINGS));
    assert!(!fail(&one, at(1)) && !fail(&two, at(1)));
    succeed(&one, at(1));
    assert!(!fail(&one, at(1)) && !fail(&two, at(1)));
    assert_eq!(breaker.shown(), Shown::Closed);
    assert!(fail(&one, at(1)), "the third in a row");
    assert_eq!(two.enter(at(2)).unwrap_err(), Opened(Duration::from_secs(4)));
    assert!(!two.admits(at(5)) && two.admits(at(6)));
    assert_eq!(breaker.opened(), 1);
}

#[test]
fn a_share_of_the_window_opens_it_but_not_below_the_least_number() {
    let settings = Settings { failures: 1000, ..SETTINGS };
    let breaker = Arc::new(Breaker::default());
    let (one, two) = (fuse(&breaker, settings), fuse(&breaker, settings));
    for _ in 0..9 {
        succeed(&one, at(1));
        assert!(!fail(&two, at(2)), "18 at most");
    }
    succeed(&one, at(3));
    assert!(fail(&two, at(3)), "10 of 20");
    let breaker = Arc::new(Breaker::default());
    let one = fuse(&breaker, settings);
    for _ in 0..11 {
        succeed(&one, at(1));
    }
    for _ in 0..10 {
        assert!(!fail(&one, at(1)), "10 of 21 at most");
    }
    assert!(fail(&one, at(1)), "11 of 22");
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let settings = Settings { failures: 1000, ..SETTINGS };
    let breaker = Arc::new(Breaker::default());
    let one = fuse(&breaker, settings);
    for _ in 0..100 {
        succeed(&one, at(1));
    }
    for _ in 0..19 {
        assert!(!fail(&one, at(12)));
    }
    assert!(fail(&one, at(12)), "20 of 20: the hundred are gone");
}

#[test]
fn a_rate_of_zero_leaves_only_failures_in_a_row() {
    let settings = Settings { rate_percent: 0, failures: 3, requests_min: 0, ..SETTINGS };
    let breaker = Arc::new(Breaker::default());
    let one = fuse(&breaker, settings);
    assert!(!fail(&one, at(1)) && !fail(&one, at(1)) && fail(&one, at(1)));
}

#[test]
fn probes_close_it_and_no_more_than_asked_for_are_under_way() {
    let breaker = Arc::new(Breaker::default());
    let one = fuse(&breaker, SETTINGS);
    for _ in 0..3 {
        fail(&one, at(0));
    }
    let (first, second) = (one.enter(at(5)).unwrap(), one.enter(at(5)).unwrap());
    assert!(one.enter(at(5)).is_err() && !one.admits(at(5)), "two probes are under way");
    assert_eq!(breaker.shown(), Shown::HalfOpen);
    one.succeeded(first, at(5));
    assert!(one.enter(at(5)).is_err(), "one has proved it, one is under way");
    drop(second);
    let again = one.enter(at(6)).unwrap();
    one.succeeded(again, at(6));
    assert_eq!(breaker.shown(), Shown::Closed);
    assert!(!fail(&one, at(6)) && !fail(&one, at(6)), "it counts from nothing");
}

#[test]
fn a_probe_that_fails_opens_it_for_another_while() {
    let breaker = Arc::new(Breaker::default());
    let one = fuse(&breaker, SETTINGS);
    let early = one.enter(at(0)).unwrap();
    for _ in 0..3 {
        fail(&one, at(0));
    }
    assert!(fail(&one, at(5)), "the probe");
    assert!(!one.admits(at(9)) && one.admits(at(10)));
    assert!(!one.failed(early, at(7)), "was let through before and decides nothing now");
    assert!(one.admits(at(10)));
    assert_eq!(breaker.opened(), 2);
}

#[test]
fn fewer_probes_by_a_new_configuration_do_not_leave_it_half_open_for_ever() {
    let breaker = Arc::new(Breaker::default());
    let three = fuse(&breaker, Settings { probes: 3, ..SETTINGS });
    (0..3).filter(|_| fail(&three, at(1))).count();
    succeed(&three, at(7));
    succeed(&three, at(7));
    assert_eq!(breaker.shown(), Shown::HalfOpen);
    for probes in [1, 2] {
        let fewer = fuse(&breaker, Settings { probes, ..SETTINGS });
        assert!(fewer.admits(at(8)), "{probes}");
        drop(fewer.enter(at(8)).unwrap());
    }
    let fewer = fuse(&breaker, Settings { probes: 1, ..SETTINGS });
    succeed(&fewer, at(8));
    assert_eq!(breaker.shown(), Shown::Closed);
}

#[test]
fn a_probe_of_an_earlier_round_says_nothing_of_this_one() {
    let breaker = Arc::new(Breaker::default());
    let fuse = fuse(&breaker, SETTINGS);
    (0..3).filter(|_| fail(&fuse, at(1))).count();
    let (slow, slower) = (fuse.enter(at(7)).unwrap(), fuse.enter(at(7)).unwrap());
    assert!(fuse.failed(slower, at(7)), "one of two probes");
    // The next round, of two probes: one is under way.
    let first = fuse.enter(at(13)).unwrap();
    fuse.succeeded(slow, at(14));
    let second = fuse.enter(at(14)).unwrap();
    assert!(fuse.enter(at(14)).is_err(), "two are under way");
    fuse.succeeded(first, at(14));
    assert_eq!(breaker.shown(), Shown::HalfOpen, "one has proved itself");
    fuse.succeeded(second, at(14));
    assert_eq!(breaker.shown(), Shown::Closed);
}

proptest! {
    /// Whatever happens in whatever order, also under changing settings and over two workers: no more probes than are
    /// asked for are under way, and after its time there is always a way to close it again.
    #[test]
    fn it_never_stays_open_and_never_lets_more_probes_go(
        steps in proptest::collection::vec((0_u8..6, any::<usize>(), 1_u32..5), 1..200)
    ) {
        let breaker = Arc::new(Breaker::default());
        let shards = [breaker.shard(), breaker.shard()];
        let mut probes = 3;
        let mut now = 1;
        let mut under_way: Vec<(Pass, u64)> = Vec::new();
        for (step, place, number) in steps {
            let settings = Settings { probes, ..SETTINGS };
            let fuse = Fuse::new(Arc::clone(&breaker), Arc::clone(&shards[place % 2]), settings);
            let count = under_way.len().max(1);
            match step {
                0 | 1 => {
                    let admits = fuse.admits(at(now));
                    let was_closed = breaker.shown() == Shown::Closed;
                    match fuse.enter(at(now)) {
                        Ok(pass) => {
                            prop_assert!(admits);
                            under_way.push((pass, if was_closed { u64::MAX } else { breaker.opened() }));
                        }
                        Err(Opened(wait)) => prop_assert!(!admits && wait <= SETTINGS.open),
                    }
                    let round = breaker.opened();
                    let of_round = under_way.iter().filter(|(_, of)| *of == round).count();
                    prop_assert!(of_round <= 4 && (admits || of_round > 0 || breaker.shown() == Shown::Open));
                }
                2 if !under_way.is_empty() => fuse.succeeded(under_way.swap_remove(place % count).0, at(now)),
                3 if !under_way.is_empty() => drop(fuse.failed(under_way.swap_remove(place % count).0, at(now)).then_some(())),
                4 if !under_way.is_empty() => drop(under_way.swap_remove(place % count)),
                5 => (probes, now) = (number, now + u64::from(number)),
                _ => {}
            }
        }
        // Nobody is under way any more and its time is over: so many good answers close it.
        drop(under_way);
        let fuse = Fuse::new(Arc::clone(&breaker), Arc::clone(&shards[0]), Settings { probes, ..SETTINGS });
        for _ in 0..probes {
            succeed(&fuse, at(now + 60));
        }
        prop_assert_eq!(breaker.shown(), Shown::Closed);
    }
}
