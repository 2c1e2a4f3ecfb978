//! What retries may cost: a share of the requests, so that they do not multiply an overload, and a pause before each.

use std::{cell::Cell, time::Duration};

use super::balance::Dice;
use crate::config::Retries;

/// Retries that are allowed before there were requests to take a share of, per route and worker. Without it a route with
/// few requests would have none when it needs one.
const RESERVE: u32 = 10;

/// The most that is saved up, so that a quiet day does not pay for a storm.
const SAVED_MAX: u32 = 100;

/// The budget of a route in one worker, in hundredths of a retry.
#[derive(Debug)]
pub struct Budget(Cell<u32>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(RESERVE * 100))
    }
}

impl Budget {
    /// A request has come.
    #[inline]
    pub fn earn(&self, retries: &Retries) {
        let saved = self.0.get() + u32::from(retries.budget_percent);
        self.0.set(saved.min(SAVED_MAX * 100));
    }

    /// Is there enough for a retry?
    pub fn has(&self, retries: &Retries) -> bool {
        retries.budget_percent > 0 && self.0.get() >= 100
    }

    /// Pays for a retry, where there is enough.
    pub fn spend(&self, retries: &Retries) -> bool {
        let has = self.has(retries);
        if has {
            self.0.set(self.0.get() - 100);
        }
        has
    }
}

/// The pause before this retry (the first is 0): doubling, and of that a random half, so that those who failed together do
/// not come back together.
pub fn pause(retries: &Retries, retry: u32, dice: &Dice) -> Duration {
    let factor = 2_u32.saturating_pow(retry.min(16));
    let longest = retries.backoff.saturating_mul(factor).min(retries.backoff_longest);
    longest.mul_f64(0.5 + dice.share() / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Budget, RESERVE, SAVED_MAX, pause};
    use crate::{config::Retries, resilience::balance::Dice};

    #[test]
    fn retries_are_a_share_of_the_requests() {
        let (budget, retries) = (Budget::default(), Retries::DEFAULT);
        let mut retried = 0;
        for _ in 0..1000 {
            budget.earn(&retries);
            retried += u32::from(budget.spend(&retries));
        }
        assert_eq!(retried, 200 + RESERVE, "all fail, and a fifth is asked again");
    }

    #[test]
    fn a_quiet_day_saves_only_so_much_and_no_budget_is_none() {
        let (budget, retries) = (Budget::default(), Retries::DEFAULT);
        (0..1_000_000).for_each(|_| budget.earn(&retries));
        let spent = (0..1000).filter(|_| budget.spend(&retries)).count();
        assert_eq!(spent, usize::try_from(SAVED_MAX).unwrap());
        let none = Retries { budget_percent: 0, ..retries };
        assert!(!Budget::default().spend(&none));
    }

    #[test]
    fn pauses_double_up_to_the_longest_with_jitter() {
        let retries = Retries {
            backoff: Duration::from_millis(100),
            backoff_longest: Duration::from_millis(300),
            ..Retries::DEFAULT
        };
        let dice = Dice::seeded(3);
        for (retry, longest) in [(0, 100), (1, 200), (2, 300), (40, 300)] {
            let pauses: Vec<_> = (0..100).map(|_| pause(&retries, retry, &dice)).collect();
            let longest = Duration::from_millis(longest);
            assert!(pauses.iter().all(|pause| *pause <= longest && *pause >= longest / 2));
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "jitter");
        }
    }
}
