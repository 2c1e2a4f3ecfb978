//! How long and how often something is asked again.

use std::time::{Duration, Instant};

/// How patient the client is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the first failure to giving up: a server that is restarted is back long before.
    pub limit: Duration,
    /// The pause before the second try; each later one is twice as long.
    pub pause_first: Duration,
    /// The longest pause, whatever the server asks for.
    pub pause_longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(120),
            pause_first: Duration::from_millis(20),
            pause_longest: Duration::from_secs(2),
        }
    }
}

impl Patience {
    /// The tries of one thing.
    pub fn tries(&self) -> Tries {
        Tries { patience: *self, began: None, pause: self.pause_first }
    }
}

/// The tries of one thing, from its first failure on.
#[derive(Debug, Clone)]
pub struct Tries {
    patience: Patience,
    began: Option<Instant>,
    pause: Duration,
}

impl Tries {
    /// How long to wait after a failure at `now`; nothing when patience is at its end.
    pub fn pause(&mut self, now: Instant, asked: Option<Duration>) -> Option<Duration> {
        let began = *self.began.get_or_insert(now);
        let pause = asked.unwrap_or(self.pause).min(self.patience.pause_longest);
        self.pause = (self.pause * 2).min(self.patience.pause_longest);
        (now.duration_since(began) + pause <= self.patience.limit).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end_at_the_limit() {
        let millis = Duration::from_millis;
        let patience =
            Patience { limit: millis(100), pause_first: millis(10), pause_longest: millis(30) };
        let (mut tries, begin) = (patience.tries(), Instant::now());
        let pauses = [0, 10, 30, 60].map(|at| tries.pause(begin + millis(at), None));
        assert_eq!(pauses, [10, 20, 30, 30].map(|pause| Some(millis(pause))));
        assert_eq!(tries.pause(begin + millis(70), Some(millis(5))), Some(millis(5)));
        assert_eq!(tries.pause(begin + millis(70), Some(millis(5000))), Some(millis(30)));
        assert_eq!(tries.pause(begin + millis(71), None), None);
    }
}
