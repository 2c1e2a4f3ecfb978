//! The endpoints of an upstream and how they are: in use, out, or just back.
//!
//! Two things take an endpoint out. Failures in a row of requests (an outlier) do so for a while, but never for the last
//! endpoint that is in use, nor for more of them than the configuration allows. The health checks do so until they
//! succeed again. Where everything is out, everything is asked all the same: the checks may be wrong, and no answer is
//! not better than one that may fail.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::Tick;
use crate::config::{Health, Outlier};

/// An endpoint that is back gets its full share only after this time: its caches are cold and its pools are empty.
pub const RETURN: Duration = Duration::from_secs(10);

/// The share that it begins with.
const SHARE_FIRST: f64 = 0.1;

/// An ejection lasts at most this many times the configured one.
const TIMES_MAX: u32 = 30;

const IN_USE: u64 = 0;
const OUT: u64 = 1;

/// How one endpoint of one upstream is. Shared by all workers.
#[derive(Debug, Default)]
pub struct Vitals {
    /// [`IN_USE`], [`OUT`], or 2 and the time since when it is back.
    state: AtomicU64,
    /// Failures in a row.
    streak: AtomicU32,
    more: Mutex<More>,
}

#[derive(Debug, Default)]
struct More {
    /// Taken out because of its failures until then.
    ejected: Option<Tick>,
    /// How often in a row, and when it was back the last time.
    times: u32,
    back: Tick,
    /// Taken out by the health checks.
    ill: bool,
    good: u32,
    bad: u32,
}

/// All endpoints of an upstream.
#[derive(Debug)]
pub struct Fleet<A> {
    members: Mutex<HashMap<A, Arc<Vitals>>>,
    /// How often an endpoint was taken out because of its failures.
    pub ejections: AtomicU64,
    /// Health checks that went well.
    pub checks_good: AtomicU64,
    /// Health checks that did not.
    pub checks_bad: AtomicU64,
}

impl<A> Default for Fleet<A> {
    fn default() -> Self {
        Self {
            members: Mutex::default(),
            ejections: AtomicU64::new(0),
            checks_good: AtomicU64::new(0),
            checks_bad: AtomicU64::new(0),
        }
    }
}

impl Vitals {
    /// May it be asked?
    #[inline]
    pub fn is_in_use(&self) -> bool {
        self.state.load(Ordering::Relaxed) != OUT
    }

    /// The share of its load that it is to get now; nothing where it is out.
    #[inline]
    pub fn share(&self, now: Tick) -> Option<f64> {
        match self.state.load(Ordering::Relaxed) {
            IN_USE => Some(1.0),
            OUT => None,
            since => Some(returning(Tick::of(since - 2).until(now))),
        }
    }

    /// It has answered.
    #[inline]
    pub fn answered(&self) {
        if self.streak.load(Ordering::Relaxed) != 0 {
            self.streak.store(0, Ordering::Relaxed);
        }
    }

    /// A health check has ended. True where the endpoint has changed by it.
    pub fn checked(&self, good: bool, health: &Health, now: Tick) -> bool {
        let mut more = self.more();
        if good {
            (more.good, more.bad) = (more.good.saturating_add(1), 0);
        } else {
            (more.good, more.bad) = (0, more.bad.saturating_add(1));
        }
        let was = more.ill;
        more.ill = if was { more.good < health.rise } else { more.bad >= health.fall };
        self.settle(&mut more, now);
        was != more.ill
    }

    /// Forgets what health checks have said: there are none any more.
    pub fn unchecked(&self, now: Tick) {
        let mut more = self.more();
        if std::mem::take(&mut more.ill) {
            self.settle(&mut more, now);
        }
        (more.good, more.bad) = (0, 0);
    }

    /// Is its time out of use over, so that it may be tried?
    pub fn is_due_back(&self, now: Tick) -> bool {
        self.more().ejected.is_some_and(|until| now >= until)
    }

    /// Is it out because of its failures?
    pub fn is_ejected(&self) -> bool {
        self.more().ejected.is_some()
    }

    /// It was tried after its time out: it is back, or stays out for longer.
    pub fn tried(&self, good: bool, wait: Duration, now: Tick) {
        let mut more = self.more();
        more.ejected = (!good).then(|| now.after(wait));
        if good {
            more.back = now;
            self.streak.store(0, Ordering::Relaxed);
        }
        self.settle(&mut more, now);
    }

    fn eject(&self, ejection: Duration, now: Tick) {
        let mut more = self.more();
        // Well for as long as it would be out: then it is not the same trouble any more.
        let calm = ejection * (more.times + 1);
        let again = more.times > 0 && more.back.until(now) < calm;
        more.times = if again { (more.times + 1).min(TIMES_MAX) } else { 1 };
        more.ejected = Some(now.after(ejection * more.times));
        self.settle(&mut more, now);
    }

    fn settle(&self, more: &mut More, now: Tick) {
        let was_out = !self.is_in_use();
        let is_out = more.ill || more.ejected.is_some();
        match (was_out, is_out) {
            (false, true) => self.state.store(OUT, Ordering::Relaxed),
            (true, false) => self.state.store(now.millis().saturating_add(2), Ordering::Relaxed),
            (false, false) | (true, true) => {}
        }
    }

    /// Ends the return of an endpoint that has been back for long enough, so that nobody computes its share any more.
    pub fn rest(&self, now: Tick) {
        let state = self.state.load(Ordering::Relaxed);
        if state > OUT && Tick::of(state - 2).until(now) >= RETURN {
            // Where it has changed meanwhile the change stands, and this has come too late: both are right.
            self.state
                .compare_exchange(state, IN_USE, Ordering::Relaxed, Ordering::Relaxed)
                .unwrap_or_default();
        }
    }

    /// Does something have to be done for it as time goes by?
    pub fn is_restless(&self) -> bool {
        self.state.load(Ordering::Relaxed) != IN_USE
    }

    fn more(&self) -> MutexGuard<'_, More> {
        self.more.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn returning(since: Duration) -> f64 {
    (since.as_secs_f64() / RETURN.as_secs_f64()).clamp(SHARE_FIRST, 1.0)
}

impl<A: Clone + Eq + Hash> Fleet<A> {
    /// How this endpoint is.
    pub fn of(&self, address: &A) -> Arc<Vitals> {
        Arc::clone(self.members().entry(address.clone()).or_default())
    }

    /// Forgets those that the upstream has no longer and no worker uses any more, so that names whose addresses change do
    /// not gather them.
    pub fn keep(&self, known: &HashSet<&A>) {
        let is_used = |vitals: &Arc<Vitals>| Arc::strong_count(vitals) > 1;
        self.members().retain(|address, vitals| known.contains(address) || is_used(vitals));
    }

    /// A request to this endpoint has failed. True where it is taken out by this.
    #[cold]
    pub fn failed(&self, vitals: &Vitals, outlier: &Outlier, now: Tick) -> bool {
        let streak = vitals.streak.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if streak < outlier.failures || outlier.failures == 0 || !vitals.is_in_use() {
            return false;
        }
        // Held until the end, so that two workers do not each take out "the last but one".
        let members = self.members();
        let in_use = members.values().filter(|vitals| vitals.is_in_use()).count();
        let ejected = members.values().filter(|vitals| vitals.is_ejected()).count();
        if in_use <= 1 || ejected >= ejected_max(members.len(), outlier.ejected_percent_max) {
            return false;
        }
        vitals.eject(outlier.ejection, now);
        self.ejections.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn members(&self) -> MutexGuard<'_, HashMap<A, Arc<Vitals>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At least one unless the configuration says none: half of three would else be one, and a third of two none.
fn ejected_max(members: usize, percent: u8) -> usize {
    let share = members * usize::from(percent) / 100;
    if percent > 0 { share.max(1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fleet, RETURN, Vitals};
    use crate::{
        config::{Health, Outlier},
        resilience::Tick,
    };

    const OUTLIER: Outlier =
        Outlier { failures: 2, ejection: Duration::from_secs(10), ejected_percent_max: 50 };

    fn at(seconds: u64) -> Tick {
        Tick::of(seconds * 1000)
    }

    fn fail(fleet: &Fleet<u8>, endpoint: u8, times: u32) -> bool {
        let vitals = fleet.of(&endpoint);
        (0..times).any(|_| fleet.failed(&vitals, &OUTLIER, at(1)))
    }

    #[test]
    fn failures_in_a_row_take_an_endpoint_out() {
        let fleet = Fleet::default();
        let (one, _two) = (fleet.of(&1), fleet.of(&2));
        assert!(!fail(&fleet, 1, 1));
        one.answered();
        assert!(!fail(&fleet, 1, 1), "not in a row");
        assert!(fail(&fleet, 1, 1));
        assert!(!one.is_in_use() && one.share(at(1)).is_none());
    }

    #[test]
    fn the_last_one_stays_and_so_does_more_than_the_share() {
        let fleet = Fleet::default();
        fleet.of(&1);
        assert!(!fail(&fleet, 1, 100), "the only one");
        for endpoint in 2..=5 {
            fleet.of(&endpoint);
        }
        assert!(fail(&fleet, 1, 1) && fail(&fleet, 2, 2));
        assert!(!fail(&fleet, 3, 100), "half of five are two");
        let all = Outlier { ejected_percent_max: 100, ..OUTLIER };
        let take = |endpoint| fleet.failed(&fleet.of(&endpoint), &all, at(1));
        let none = Outlier { ejected_percent_max: 0, ..OUTLIER };
        assert!(!fleet.failed(&fleet.of(&3), &none, at(1)));
        assert!(take(3));
        assert!(!take(4) && take(4), "its second failure");
        assert!(!take(5) && !take(5) && !take(5), "the last one");
    }

    #[test]
    fn it_comes_back_slowly_and_stays_out_longer_each_time() {
        let vitals = Vitals::default();
        vitals.eject(OUTLIER.ejection, at(0));
        assert!(!vitals.is_due_back(at(9)) && vitals.is_due_back(at(10)));
        vitals.tried(false, Duration::from_secs(2), at(10));
        assert!(!vitals.is_due_back(at(11)) && vitals.is_due_back(at(12)));
        vitals.tried(true, Duration::from_secs(2), at(12));
        let share = |seconds| vitals.share(at(seconds)).unwrap();
        assert!(share(12) < 0.11 && share(17) > 0.4 && share(17) < 0.6 && share(30) > 0.99);
        vitals.rest(at(13));
        assert!(vitals.is_restless());
        vitals.rest(at(12).after(RETURN));
        assert!(!vitals.is_restless());
        vitals.eject(OUTLIER.ejection, at(22));
        assert!(!vitals.is_due_back(at(41)) && vitals.is_due_back(at(42)), "twice as long");
        vitals.tried(true, Duration::ZERO, at(42));
        vitals.eject(OUTLIER.ejection, at(200));
        assert!(vitals.is_due_back(at(210)), "after a long calm it counts as the first time");
    }

    #[test]
    fn only_what_nobody_uses_is_forgotten() {
        let fleet = Fleet::default();
        let used = fleet.of(&1);
        drop((fleet.of(&2), fleet.of(&3)));
        fleet.keep(&[&3].into());
        used.checked(false, &Health { fall: 1, ..Health::DEFAULT }, at(0));
        assert!(!fleet.of(&1).is_in_use(), "the same one");
        assert_eq!(fleet.members().len(), 2);
    }

    #[test]
    fn checks_take_out_and_bring_back_by_fall_and_rise() {
        let health = Health { rise: 2, fall: 3, ..Health::DEFAULT };
        let vitals = Vitals::default();
        for (good, in_use) in [
            (false, true),
            (false, true),
            (true, true),
            (false, true),
            (false, true),
            (false, false),
            (true, false),
            (false, false),
            (true, false),
            (true, true),
        ] {
            vitals.checked(good, &health, at(1));
            assert_eq!(vitals.is_in_use(), in_use);
        }
        for _ in 0..3 {
            vitals.checked(false, &health, at(2));
        }
        vitals.unchecked(at(3));
        assert!(vitals.is_in_use(), "nobody would ever bring it back");
    }

    #[test]
    fn what_is_both_ill_and_ejected_must_recover_from_both() {
        let health = Health { rise: 1, fall: 1, ..Health::DEFAULT };
        let vitals = Vitals::default();
        vitals.eject(OUTLIER.ejection, at(0));
        vitals.checked(false, &health, at(1));
        vitals.tried(true, Duration::ZERO, at(10));
        assert!(!vitals.is_in_use());
        vitals.checked(true, &health, at(11));
        assert!(vitals.is_in_use());
    }
}
