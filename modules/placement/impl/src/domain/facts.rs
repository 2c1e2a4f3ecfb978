//! What a carve has measured and met so far: what is shown of it, and what its certificate is made of.

use std::time::Duration;

use kernel_api::Timestamp;
use placement_api::{
    Clients, Counted, HeldReport, Invariant, Leg, Pause, Progress, Size, SwitchReport,
    TableCompared, Waits,
};
use serde::{Deserialize, Serialize};

/// Rates are of about this long.
const RATE_OVER: Duration = Duration::from_secs(3);

/// So many batches in a row that leave more than was there before, and the target falls behind: fewer may be a burst.
const BEHIND_AFTER: u32 = 5;

/// The most notes kept: the first tell why, the rest repeat.
const NOTES_MAX: usize = 20;

/// What a carve has measured and met. Only its coordinator writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facts {
    /// What it does or waits for, for people.
    pub says: String,
    /// How large the module is.
    pub size: Size,
    /// How far it is.
    pub progress: Progress,
    /// Changed rows followed in all.
    pub rows_followed: u64,
    /// Batches in a row after which more was left than before.
    pub growing: u32,
    /// The last comparison.
    pub compared: Vec<TableCompared>,
    /// The last look at the invariants.
    pub invariants: Vec<Invariant>,
    /// The switches that came about.
    pub switches: Vec<SwitchReport>,
    /// The switch that is tried now.
    pub switching: Option<Switching>,
    /// What the proxy had counted when it began.
    pub counted_before: Option<Counted>,
    /// What clients saw since.
    pub clients: Clients,
    /// What could not be removed.
    pub leftovers: Vec<String>,
    /// What went wrong and is to be told at the end.
    pub notes: Vec<String>,
    /// What the process that reads were led to has said last that it answered: it counts anew when it starts anew.
    pub answered: u64,
    /// How often a coordinator began anew where another had ended.
    pub restarts: u32,
}

/// A switch that is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Switching {
    /// What was left to follow when the gates closed.
    pub lag_rows: u64,
    /// The times so far.
    pub pause: Pause,
    /// How long callers were held so far, tries that gave up included.
    pub held: Waits,
    /// This coordinator did it, and so knows its times.
    pub measured: bool,
}

impl Facts {
    /// A batch of rows was copied in this time.
    pub fn copied(&mut self, rows: u64, in_time: Duration) {
        let progress = &mut self.progress;
        progress.rows_copied = progress.rows_copied.saturating_add(rows);
        progress.rows_per_s = smooth(progress.rows_per_s, per_second(rows, in_time), in_time);
        let left = progress.rows.saturating_sub(progress.rows_copied);
        progress.eta_s = left.checked_div(progress.rows_per_s);
        let eta = progress.eta_s.map_or(String::new(), |s| format!(", {s} s left"));
        self.says = format!(
            "copying: {} of {} rows, {} a second{eta}",
            progress.rows_copied, progress.rows, progress.rows_per_s
        );
    }

    /// A batch was followed in this time, and this much is left.
    pub fn followed(&mut self, rows: u64, left: u64, in_time: Duration) {
        self.rows_followed = self.rows_followed.saturating_add(rows);
        let progress = &mut self.progress;
        let grown = left > progress.lag_rows;
        let came = (left + rows).saturating_sub(progress.lag_rows);
        progress.followed_per_s =
            smooth(progress.followed_per_s, per_second(rows, in_time), in_time);
        progress.changed_per_s = smooth(progress.changed_per_s, per_second(came, in_time), in_time);
        progress.lag_rows = left;
        let gain = progress.followed_per_s.saturating_sub(progress.changed_per_s);
        progress.eta_s = if left == 0 { Some(0) } else { left.checked_div(gain) };
        self.growing = if grown { self.growing.saturating_add(1) } else { 0 };
        let (came, went) = (progress.changed_per_s, progress.followed_per_s);
        self.says = if self.falls_behind() {
            format!(
                "falls behind: {left} rows to follow, {came} a second change and {went} are followed; it waits"
            )
        } else {
            format!("follows: {left} rows behind")
        };
    }

    /// Does the target take less than the source gives?
    pub fn falls_behind(&self) -> bool {
        self.growing >= BEHIND_AFTER
    }

    /// The process that reads are led to has answered so many from its copy since it started.
    pub fn answered_ahead(&mut self, answered: u64) {
        let before = std::mem::replace(&mut self.answered, answered);
        let since = answered.checked_sub(before).unwrap_or(answered);
        if since > 0 {
            self.progress.ahead.get_or_insert_default().answered += since;
        }
    }

    /// The proxy has counted this much.
    pub fn counted(&mut self, now: Counted) {
        let before = *self.counted_before.get_or_insert(now);
        self.clients = Clients {
            counted: true,
            requests: now.requests.saturating_sub(before.requests),
            errors: now.errors.saturating_sub(before.errors),
        };
    }

    /// Something to tell at the end, once.
    pub fn note(&mut self, what: String) {
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&what) {
            self.notes.push(what);
        }
    }

    /// The switch came about, and every process knows.
    pub fn switched(&mut self, leg: Leg, epoch: u64, tries: u32, at: Timestamp) {
        if self.switches.iter().any(|switch| switch.epoch == epoch) {
            return;
        }
        let Switching { lag_rows, pause, held, measured } =
            self.switching.take().unwrap_or_default();
        let held = HeldReport {
            calls: held.count(),
            p50_us: held.percentile_us(50),
            p99_us: held.percentile_us(99),
            max_us: held.max_us(),
        };
        let recovered = !measured;
        self.switches.push(SwitchReport {
            leg,
            epoch,
            at,
            tries,
            lag_rows,
            pause,
            held,
            recovered,
        });
    }
}

fn per_second(rows: u64, in_time: Duration) -> u64 {
    let micros = in_time.as_micros().max(1);
    u64::try_from(u128::from(rows) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// The rate moved towards what was just seen, the more the longer it was seen.
fn smooth(before: u64, seen: u64, in_time: Duration) -> u64 {
    if before == 0 {
        return seen;
    }
    let over = RATE_OVER.as_micros();
    let part = in_time.as_micros().clamp(1, over);
    let mixed = (u128::from(before) * (over - part) + u128::from(seen) * part) / over;
    u64::try_from(mixed).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Facts, per_second, smooth};

    #[test]
    fn a_copy_says_how_long_it_takes() {
        let mut facts = Facts::default();
        facts.progress.rows = 1000;
        facts.copied(100, Duration::from_millis(100));
        assert_eq!(facts.progress.eta_s, Some(0));
        assert_eq!(facts.says, "copying: 100 of 1000 rows, 1000 a second, 0 s left");
        facts.progress.rows = 11_100;
        facts.copied(100, Duration::from_millis(100));
        assert_eq!(facts.progress.eta_s, Some(10));
    }

    #[test]
    fn a_target_that_is_slower_than_the_source_is_told_and_forgiven() {
        let mut facts = Facts::default();
        for left in [100, 200, 300, 400] {
            facts.followed(50, left, Duration::from_millis(100));
            assert!(!facts.falls_behind());
        }
        facts.followed(50, 500, Duration::from_millis(100));
        assert!(facts.falls_behind());
        assert!(facts.says.starts_with("falls behind: 500 rows to follow"), "{}", facts.says);
        assert_eq!(facts.progress.eta_s, None);
        facts.followed(400, 100, Duration::from_millis(100));
        assert!(!facts.falls_behind());
        facts.followed(100, 0, Duration::from_millis(100));
        assert_eq!(facts.progress.eta_s, Some(0));
    }

    #[test]
    fn reads_that_were_answered_ahead_are_counted_over_restarts() {
        let mut facts = Facts::default();
        facts.answered_ahead(0);
        assert_eq!(facts.progress.ahead, None);
        for (told, sum) in [(3, 3), (3, 3), (10, 10), (2, 12), (2, 12)] {
            facts.answered_ahead(told);
            assert_eq!(facts.progress.ahead.unwrap().answered, sum);
        }
    }

    #[test]
    fn rates_never_overflow() {
        assert_eq!(per_second(5, Duration::ZERO), 5_000_000);
        assert_eq!(per_second(u64::MAX, Duration::ZERO), u64::MAX);
        assert_eq!(smooth(10, 20, Duration::from_secs(60)), 20);
        assert_eq!(smooth(u64::MAX, u64::MAX, Duration::ZERO), u64::MAX);
    }
}
