//! How long a client is waited for while a body is under way: an idle time that bytes earn back, at a least rate.
//!
//! An idle time alone begins anew with each byte, so that whoever sends one byte within each holds a connection, and one to
//! an upstream, for ever. Here waiting uses the time up and a byte gives back what it may take at the least rate, but never
//! more than the whole: over any time a client has brought (or taken) at least what the rate says, but for one idle time.
//! Only the time counts in which the client is waited for: a slow upstream uses up no client's patience.

use std::time::Duration;

use super::timers::Tick;
use crate::config::Client;

/// The patience with one direction of a message.
#[derive(Debug)]
pub struct Patience {
    whole: Duration,
    left: Duration,
    /// Bytes in a second; 0: any byte gives back the whole.
    rate: u64,
    /// Since when the client is waited for; [`Tick::NEVER`] while it is not.
    since: Tick,
    /// Bytes that have been counted.
    moved: u64,
}

impl Patience {
    /// None of it is used up.
    pub fn new(client: &Client) -> Self {
        let (whole, rate) = (client.body_idle, client.body_rate_min);
        Self { whole, left: whole, rate, since: Tick::NEVER, moved: 0 }
    }

    /// The client is waited for, and has moved so many bytes in all: so long it may still be.
    pub fn left(&mut self, now: Tick, moved: u64) -> Duration {
        self.rest(now);
        self.since = now;
        let more = moved.saturating_sub(self.moved);
        self.moved = moved;
        let earned = match (more, self.rate) {
            (0, _) => Duration::ZERO,
            (_, 0) => self.whole,
            (more, rate) => Duration::from_millis(more.saturating_mul(1000) / rate),
        };
        self.left = self.left.saturating_add(earned).min(self.whole);
        self.left
    }

    /// The client is not waited for any more.
    pub fn rest(&mut self, now: Tick) {
        self.left = self.left.saturating_sub(self.since.until(now));
        self.since = Tick::NEVER;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Patience, Tick};

    fn patience(rate: u64) -> Patience {
        let whole = Duration::from_secs(30);
        Patience { whole, left: whole, rate, since: Tick::NEVER, moved: 0 }
    }

    fn at(seconds: u64) -> Tick {
        Tick::of(seconds * 1000)
    }

    #[test]
    fn a_byte_now_and_then_does_not_hold_it_up() {
        let mut patience = patience(500);
        assert_eq!(patience.left(at(0), 0), Duration::from_secs(30));
        assert_eq!(patience.left(at(20), 1), Duration::from_millis(10_002));
        assert_eq!(patience.left(at(40), 2), Duration::from_millis(2));
    }

    #[test]
    fn a_pause_is_forgiven_to_who_keeps_up() {
        let mut patience = patience(500);
        patience.left(at(0), 0);
        assert_eq!(patience.left(at(29), 5000), Duration::from_secs(11));
        assert_eq!(patience.left(at(30), 1 << 30), Duration::from_secs(30), "never more than that");
        for second in 31..1000 {
            assert_eq!(
                patience.left(at(second), (1 << 30) + second * 500),
                Duration::from_secs(30)
            );
        }
    }

    #[test]
    fn time_in_which_somebody_else_is_waited_for_is_not_used_up() {
        let mut patience = patience(500);
        patience.left(at(0), 0);
        patience.rest(at(10));
        assert_eq!(patience.left(at(1000), 0), Duration::from_secs(20));
    }

    #[test]
    fn without_a_rate_each_byte_gives_back_the_whole() {
        let mut patience = patience(0);
        assert_eq!(patience.left(at(0), 1), Duration::from_secs(30));
        assert_eq!(patience.left(at(29), 2), Duration::from_secs(30));
        assert_eq!(patience.left(at(30), 2), Duration::from_secs(29));
    }
}
