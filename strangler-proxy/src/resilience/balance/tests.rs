//! Who is asked, by given dice and a given clock.

use std::time::Duration;

use super::{Candidate, Chooser, Dice, Load, NoChoice};
use crate::{
    config::{Balance, Health},
    resilience::{Tick, fleet::Vitals},
};

#[derive(Default)]
struct One(Load, Vitals);

impl Candidate for One {
    fn load(&self) -> &Load {
        &self.0
    }
    fn vitals(&self) -> &Vitals {
        &self.1
    }
}

const NOW: Tick = Tick::of(1_000_000);
const ALL: [Balance; 3] = [Balance::PeakEwma, Balance::RoundRobin, Balance::LeastRequests];

fn chooser(how: Balance) -> Chooser {
    Chooser::with(how, Dice::seeded(7))
}

fn some(count: usize) -> Vec<One> {
    (0..count).map(|_| One::default()).collect()
}

fn take_out(one: &One, now: Tick) {
    one.1.checked(false, &Health { fall: 1, ..Health::DEFAULT }, now);
}

fn bring_back(one: &One, now: Tick) {
    one.1.checked(true, &Health { rise: 1, ..Health::DEFAULT }, now);
}

/// How often each is chosen of 10,000 times.
fn counts(how: Balance, among: &[One], not: Option<usize>) -> Vec<u32> {
    let chooser = chooser(how);
    let mut counts = vec![0; among.len()];
    for _ in 0..10_000 {
        counts[chooser.choose(among, not, NOW).unwrap()] += 1;
    }
    counts
}

#[test]
fn equals_share_alike() {
    for how in ALL {
        let counts = counts(how, &some(4), None);
        assert!(counts.iter().all(|count| (2_300..2_700).contains(count)), "{how:?} {counts:?}");
    }
}

#[test]
fn round_robin_goes_round() {
    let (chooser, among) = (chooser(Balance::RoundRobin), some(3));
    take_out(&among[1], NOW);
    let order: Vec<_> = (0..4).map(|_| chooser.choose(&among, None, NOW).unwrap()).collect();
    assert_eq!(order, [0, 2, 0, 2]);
}

#[test]
fn least_requests_takes_the_idle_one() {
    let among = some(3);
    among[0].0.begin();
    among[2].0.begin();
    assert_eq!(counts(Balance::LeastRequests, &among, None), [0, 10_000, 0]);
    among[0].0.end();
    assert_eq!(counts(Balance::LeastRequests, &among, None)[2], 0);
}

#[test]
fn peak_ewma_avoids_the_slow_and_the_failing_and_forgives_with_time() {
    let among = some(2);
    among[0].0.took(Duration::from_millis(200), NOW);
    among[1].0.took(Duration::from_millis(2), NOW);
    assert_eq!(counts(Balance::PeakEwma, &among, None), [0, 10_000]);
    for _ in 0..200 {
        among[1].0.begin();
    }
    assert_eq!(counts(Balance::PeakEwma, &among, None), [10_000, 0], "so busy that it is slower");
    let among = some(2);
    among[0].0.failed(Duration::from_micros(50), NOW);
    among[1].0.took(Duration::from_millis(2), NOW);
    assert_eq!(counts(Balance::PeakEwma, &among, None), [0, 10_000], "failing fast is not fast");
    let later = NOW.after(Duration::from_secs(300));
    among[1].0.took(Duration::from_millis(2), later);
    assert_eq!(chooser(Balance::PeakEwma).choose(&among, None, later), Ok(0), "it is tried again");
}

#[test]
fn a_peak_counts_at_once_and_fades_slowly() {
    let load = Load::default();
    load.took(Duration::from_millis(1), NOW);
    load.took(Duration::from_millis(100), NOW);
    let high = load.score(NOW);
    assert!(high > 0.09, "{high}");
    load.took(Duration::from_millis(1), NOW.after(Duration::from_secs(1)));
    let after = load.score(NOW.after(Duration::from_secs(1)));
    assert!(after > 0.05 && after < high, "{after}");
}

#[test]
fn what_is_out_is_not_asked_unless_all_are() {
    for how in ALL {
        let among = some(3);
        take_out(&among[0], NOW);
        take_out(&among[2], NOW);
        assert_eq!(counts(how, &among, None), [0, 10_000, 0], "{how:?}");
        take_out(&among[1], NOW);
        assert!(counts(how, &among, None).iter().all(|count| *count > 0), "{how:?}");
    }
}

#[test]
fn a_second_try_goes_elsewhere_where_there_is_an_elsewhere() {
    for how in ALL {
        let among = some(2);
        assert_eq!(counts(how, &among, Some(0)), [0, 10_000], "{how:?}");
        take_out(&among[1], NOW);
        assert_eq!(counts(how, &among, Some(0)), [10_000, 0], "{how:?}: the other one is out");
        assert_eq!(chooser(how).choose(&some(1), Some(0), NOW), Ok(0), "{how:?}: the only one");
    }
}

#[test]
fn one_that_is_back_gets_a_part_of_its_share() {
    for how in ALL {
        let among = some(2);
        for one in &among {
            one.0.took(Duration::from_millis(1), NOW);
            // Some load, else least requests has nothing to weigh.
            one.0.begin();
        }
        let before = Tick::of(NOW.millis() - 1_000);
        take_out(&among[0], before);
        bring_back(&among[0], before);
        let counts = counts(how, &among, None);
        assert!(counts[0] < 2_500, "{how:?} {counts:?}");
    }
}

#[test]
fn an_endpoint_without_a_free_connection_is_passed_over() {
    for how in ALL {
        let among = some(2);
        among[0].0.restrict(1);
        among[0].0.begin();
        assert_eq!(counts(how, &among, None), [0, 10_000], "{how:?}");
        among[1].0.restrict(0);
        assert_eq!(chooser(how).choose(&among, None, NOW), Err(NoChoice::AllFull));
    }
    let none: [One; 0] = [];
    assert_eq!(chooser(Balance::PeakEwma).choose(&none, None, NOW), Err(NoChoice::Nobody));
}
