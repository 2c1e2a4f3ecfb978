//! How long a carve waits for what, and how often it tries.

use std::time::Duration;

/// A coordinator that has not renewed its lease for this long is taken for dead: several renewals may fail, and a
/// carve stands still no longer than people wait without asking.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// How often it renews it: four times before it runs out.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(1);

/// How often a carve that waits looks whether somebody wants something of it.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the source is followed when all that was known is followed: the lag is then what comes in this time.
pub(crate) const FOLLOW_EVERY: Duration = Duration::from_millis(100);

/// The same for the old side after a switch, as long as nobody wants to go back: nothing is led to it, and what follows takes
/// its time from the shop. Whoever goes back follows closely first.
pub(crate) const OBSERVE_EVERY: Duration = Duration::from_millis(500);

/// How old a copy may be that answers reads: ten times what it is when nothing is in the way, and less than the longest that
/// people take for a moment.
pub(crate) const FRESH_WITHIN: Duration = Duration::from_secs(1);

/// The most rows that may be left to follow when the gates close: they are followed inside the pause, at 36,000 rows a
/// second at least, so 3 ms of it.
pub(crate) const LAG_MAX: u64 = 100;

/// The longest pause of a module's writes. A switch that would take longer gives up before the fence.
pub(crate) const PAUSE_MAX: Duration = Duration::from_millis(150);

/// How long commands under way are waited for at closed gates. Not needed for what is right: what comes too late is
/// told that the module moved, and asks again. Most commands end in this time; for those that do not, on a busy machine
/// or because they ask other modules, all others would wait longer than 99 of 100 switches may take.
pub(crate) const DRAIN: Duration = Duration::from_millis(10);

/// How long the source's fence is waited for: writers queue behind whoever waits for it.
pub(crate) const LOCK: Duration = Duration::from_millis(40);

/// What the rest of a switch takes, by experience: follow 100 rows, two commits, tell placement, tell the processes.
/// When less of [`PAUSE_MAX`] is left before the fence, it is not begun.
pub(crate) const SWITCH_REST: Duration = Duration::from_millis(40);

/// The part of it after the source's commit: the target's commit, placement and the processes are told. So much of
/// [`PAUSE_MAX`] must be left at the point of no return.
pub(crate) const TELL: Duration = Duration::from_millis(30);

/// A closed gate opens by itself after this long: several pauses, and shorter than a caller's patience.
pub(crate) const HOLD_TTL: Duration = Duration::from_secs(1);

/// Between tries of the switch: the first soon, since most obstacles are one transaction; later ones seldom, since
/// each holds callers for a moment.
pub(crate) const SWITCH_AGAIN: Backoff =
    Backoff { first: Duration::from_millis(250), most: Duration::from_secs(30) };

/// After each so many tries of the switch the carve pauses itself and waits for somebody: half an hour of them.
pub(crate) const SWITCH_TRIES_MAX: u32 = 60;

/// Between tries of a step before the switch.
pub(crate) const STEP_AGAIN: Backoff =
    Backoff { first: Duration::from_millis(200), most: Duration::from_secs(5) };

/// The most failures in a row of a step before the switch, after which the carve ends where it began: two minutes of
/// a database that is away. What waits for a lock is no failure.
pub(crate) const TRIES_MAX: u8 = 30;

/// Between tries of a step while nobody can write: as soon as it makes sense.
pub(crate) const URGENT_AGAIN: Backoff =
    Backoff { first: Duration::from_millis(20), most: Duration::from_secs(1) };

/// The most failures in a row of a step that only cleans up or only eases the way; then it is told as left over.
pub(crate) const COURTESY_TRIES_MAX: u8 = 5;

/// A wait that doubles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// How long to wait after this many failures; at least one.
    pub fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }
}
