//! Load shedding: who is turned away when a worker has more to do than it can, by the priority of the route.
//!
//! Two things are looked at, 50 times a second. How late the worker's ticker comes: what is ready to run has to wait as
//! long, so this is the time that every request loses to the queue before the processor. And how many of the connections
//! that clients may have are open. Both give a level; routes whose priority is below it are refused.

use std::{cell::Cell, time::Duration};

/// From here on the less important are refused: whatever is ready to run waits this long for the processor.
const LATE: Duration = Duration::from_millis(100);

/// From here on all but the most important are, the usual priority too: a quick refusal is worth more than an answer that
/// takes this long at every step.
const VERY_LATE: Duration = Duration::from_secs(1);

/// Below this the worker has caught up.
const IN_TIME: Duration = Duration::from_millis(25);

/// So many late ticks in a row raise the level by one: a pause of the whole machine is no overload.
const TICKS_PER_LEVEL: u8 = 3;

/// The highest level: only priority 9 is let in.
const LEVEL_MAX: u8 = 9;

/// From this share of the connections on, in percent, low priorities are refused.
const CROWDED_PERCENT: usize = 80;

/// Connections alone raise the level to this at most, for they may be idle, and being late as well: the usual priority,
/// 5, is not below it.
const USUAL: u8 = 5;

/// The level of one worker.
#[derive(Debug, Default)]
pub struct Pressure {
    level: Cell<u8>,
    by_time: Cell<u8>,
    late: Cell<u8>,
}

impl Pressure {
    /// Is a route of this priority to be refused?
    #[inline]
    pub fn sheds(&self, priority: u8) -> bool {
        priority < self.level.get()
    }

    /// The level: priorities below it are refused.
    #[cfg(test)]
    pub fn level(&self) -> u8 {
        self.level.get()
    }

    /// A tick has come so late, while so many of the connections that may be open were.
    pub fn tick(&self, late: Duration, open: usize, open_max: usize) {
        let level = self.by_time.get();
        if late >= LATE {
            self.late.set(self.late.get() + 1);
            if self.late.get() >= TICKS_PER_LEVEL {
                self.late.set(0);
                let highest = if late >= VERY_LATE { LEVEL_MAX } else { USUAL.max(level) };
                self.by_time.set((level + 1).min(highest));
            }
        } else {
            self.late.set(0);
            if late < IN_TIME {
                self.by_time.set(level.saturating_sub(1));
            }
        }
        self.level.set(self.by_time.get().max(crowded(open, open_max)));
    }
}

/// 1 from [`CROWDED_PERCENT`] on, [`USUAL`] when all are open.
fn crowded(open: usize, open_max: usize) -> u8 {
    let percent = open.saturating_mul(100) / open_max.max(1);
    let above = percent.saturating_sub(CROWDED_PERCENT);
    if percent < CROWDED_PERCENT {
        return 0;
    }
    let more = above * usize::from(USUAL - 1) / (100 - CROWDED_PERCENT);
    u8::try_from(1 + more).unwrap_or(USUAL).min(USUAL)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LATE, Pressure, TICKS_PER_LEVEL, VERY_LATE, crowded};

    #[test]
    fn the_lowest_go_first_and_the_highest_never() {
        let pressure = Pressure::default();
        assert!(!pressure.sheds(0));
        for _ in 0..200 {
            pressure.tick(VERY_LATE - Duration::from_millis(1), 0, 100);
        }
        assert!(pressure.sheds(4) && !pressure.sheds(5), "the usual priority is 5");
        let pressure = Pressure::default();
        let mut refused = Vec::new();
        for _ in 0..200 {
            pressure.tick(VERY_LATE, 0, 100);
            let now: Vec<u8> = (0..=9).filter(|priority| pressure.sheds(*priority)).collect();
            if refused.last() != Some(&now) {
                refused.push(now);
            }
        }
        let expected: Vec<Vec<u8>> = (0..=9).map(|level| (0..level).collect()).collect();
        assert_eq!(refused, expected);
    }

    #[test]
    fn a_single_pause_sheds_nobody_and_calm_takes_it_back() {
        let pressure = Pressure::default();
        pressure.tick(Duration::from_secs(10), 0, 100);
        assert_eq!(pressure.level(), 0);
        for _ in 0..3 * TICKS_PER_LEVEL {
            pressure.tick(LATE, 0, 100);
        }
        assert_eq!(pressure.level(), 3);
        pressure.tick(LATE - Duration::from_millis(1), 0, 100);
        assert_eq!(pressure.level(), 3, "neither late nor in time");
        for _ in 0..3 {
            pressure.tick(Duration::ZERO, 0, 100);
        }
        assert_eq!(pressure.level(), 0);
    }

    #[test]
    fn many_connections_shed_the_low_priorities_only() {
        for (open, level) in
            [(0, 0), (79, 0), (80, 1), (85, 2), (90, 3), (95, 4), (100, 5), (500, 5)]
        {
            assert_eq!(crowded(open, 100), level, "{open} %");
        }
        let pressure = Pressure::default();
        pressure.tick(Duration::ZERO, 10, 10);
        assert!(pressure.sheds(4) && !pressure.sheds(5), "the usual priority is 5");
        assert_eq!(crowded(1, 0), 5, "nobody may connect");
    }
}
