//! Asking again: how often, when, and what the tries together mean.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{Answer, Context, Fault, Kind, Reason, dice::Dice};

/// The cost of one retry. A first try pays [`Limits::percent`] of it in.
const COST: u64 = 100;

/// How much a binding may ask again.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// First try included.
    pub(crate) tries_max: u32,
    pub(crate) backoff: Duration,
    pub(crate) backoff_max: Duration,
    /// In the long run, so many retries per 100 calls.
    pub(crate) percent: u32,
    /// So many retries at once after a quiet time.
    pub(crate) burst: u32,
}

/// The retries of one binding.
///
/// Invariant: retries never exceed `burst` + `percent` of the first tries, so a module that is down is not asked three
/// times as often as one that is up.
#[derive(Debug)]
pub(crate) struct Tries {
    limits: Limits,
    tokens: AtomicU64,
    dice: Dice,
}

/// One try that gave no answer.
pub(crate) struct Failed<R> {
    pub(crate) fault: Fault<R>,
    /// Is it worth asking again?
    pub(crate) again: bool,
}

impl<R> Failed<R> {
    /// Asking again would give the same.
    pub(crate) fn finally(fault: Fault<R>) -> Self {
        Self { fault, again: false }
    }
}

impl<R> From<Fault<R>> for Failed<R> {
    fn from(fault: Fault<R>) -> Self {
        let again = match &fault {
            Fault::Refused(_) => false,
            // Our own breaker and another owner answer the same for longer than any back-off.
            Fault::NotExecuted(fault) => {
                fault.reason.is_passing()
                    && !matches!(fault.reason, Reason::BreakerOpen | Reason::Moved)
            }
            Fault::Unknown(_) => true,
        };
        Self { fault, again }
    }
}

impl Tries {
    pub(crate) fn new(limits: Limits) -> Self {
        let tokens = AtomicU64::new(COST * u64::from(limits.burst));
        Self { limits, tokens, dice: Dice::fresh() }
    }

    /// Tries until there is an answer, no time, no budget or no sense in another try.
    pub(crate) async fn ask<X: Context, T, R, F: Future<Output = Result<T, Failed<R>>>>(
        &self,
        context: &X,
        mut attempt: impl FnMut() -> F,
    ) -> Answer<T, R> {
        self.deposit();
        let mut unanswered = false;
        let mut tries = 0;
        loop {
            tries += 1;
            let failed = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            unanswered |= matches!(failed.fault, Fault::Unknown(_));
            let wait = self.wait(tries, &failed.fault);
            let again = failed.again
                && tries < self.limits.tries_max
                && wait < context.call().deadline.remaining()
                && self.withdraw();
            if !again {
                return Err(settled(X::KIND, context, failed.fault, unanswered));
            }
            tracing::debug!(tries, wait = ?wait, "asks again");
            tokio::time::sleep(wait).await;
        }
    }

    /// Doubles with each try; half of it is chance, so that callers who failed together do not come back together.
    fn wait<R>(&self, tries: u32, fault: &Fault<R>) -> Duration {
        let doubled = self.limits.backoff.saturating_mul(1 << tries.saturating_sub(1).min(16));
        let most = doubled.min(self.limits.backoff_max);
        let told = match fault {
            Fault::NotExecuted(fault) => fault.retry_after.unwrap_or_default(),
            Fault::Refused(_) | Fault::Unknown(_) => Duration::ZERO,
        };
        self.dice.between(most / 2, most).max(told)
    }

    fn deposit(&self) {
        let most = COST * u64::from(self.limits.burst);
        let paid = |tokens: u64| Some((tokens + u64::from(self.limits.percent)).min(most));
        // The closure never refuses.
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).unwrap_or_default();
    }

    fn withdraw(&self) -> bool {
        let paid = |tokens: u64| tokens.checked_sub(COST);
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }
}

/// What all tries together mean. A command of which one try went unanswered may have had its effect, whatever became of
/// the later ones; a query never had one.
fn settled<X: Context, R>(kind: Kind, context: &X, last: Fault<R>, unanswered: bool) -> Fault<R> {
    match (kind, last) {
        (Kind::Command, Fault::NotExecuted(last)) if unanswered => {
            Fault::unknown(format!("an earlier try was not answered, the last one was {last}"))
        }
        (Kind::Query, Fault::Unknown(last)) => {
            let passed = context.call().deadline.passed();
            let reason = if passed { Reason::DeadlinePassed } else { Reason::Unavailable };
            Fault::not_executed(reason, last.detail)
        }
        (_, last) => last,
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, time::Duration};

    use super::{Failed, Limits, Tries};
    use crate::{Call, Caller, Deadline, Fault, Never, Reason};

    fn tries(percent: u32, burst: u32) -> Tries {
        Tries::new(Limits {
            tries_max: 3,
            backoff: Duration::from_micros(1),
            backoff_max: Duration::from_micros(1),
            percent,
            burst,
        })
    }

    fn failed(fault: Fault<Never>) -> Failed<Never> {
        fault.into()
    }

    #[tokio::test]
    async fn retries_are_bounded_by_the_budget() {
        let tries = tries(10, 5);
        let call = Call::new(Caller::module("m"), Deadline::within(Duration::from_secs(60)));
        let mut asked = 0;
        for _ in 0..100 {
            let answer = tries.ask(&call, || {
                asked += 1;
                ready(Err::<(), _>(failed(Fault::not_executed(Reason::Unavailable, "away"))))
            });
            assert!(answer.await.is_err());
        }
        // 100 first tries, 5 of the burst, 10 of the 10 %; a full bucket takes no deposit.
        assert!((110..=115).contains(&asked), "{asked}");
    }

    #[tokio::test]
    async fn an_unanswered_try_of_a_command_stays_unknown() {
        let tries = tries(100, 5);
        let call = Call::new(Caller::module("m"), Deadline::within(Duration::from_secs(60)));
        let command = call.command("k".parse().expect("a key"));
        let mut asked = 0;
        let answer = tries.ask(&command, || {
            asked += 1;
            ready(Err::<(), _>(failed(match asked {
                1 => Fault::unknown("the connection died"),
                _ => Fault::not_executed(Reason::Unavailable, "away"),
            })))
        });
        assert!(matches!(answer.await, Err(Fault::Unknown(_))));
        assert_eq!(asked, 3);
    }
}
