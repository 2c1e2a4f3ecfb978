//! Feeds: a module's events in the order of their positions, read by cursor.

use std::time::Duration;

use async_trait::async_trait;
use contract::{NotExecuted, Reason};
use serde::{Deserialize, Serialize};
use store::FeedPage;

/// The most events that one read gives: bounds the memory of a page and the length of a subscriber's transaction.
pub const EVENTS_PER_PAGE_MAX: u32 = 500;

/// The longest that a read waits for news: under the idle time-outs of the usual proxies and load balancers.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// A module's feed, wherever the module lives.
///
/// Invariant: positions are dense and start at 1; a position is given after the commit of its event, so that no
/// event ever appears before one that has been read.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// The module that tells these events.
    fn source(&self) -> &str;

    /// The events after a position, in order. When there are none it waits for some, at most as long as asked, and
    /// then gives an empty page. Reading changes nothing and may be repeated.
    async fn read(&self, ask: FeedRead) -> Result<FeedPage, NotExecuted>;
}

/// What is wanted of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRead {
    /// Events after this position; 0 for the first.
    pub after: u64,
    /// At most so many, up to [`EVENTS_PER_PAGE_MAX`].
    pub limit: u32,
    /// How long to wait for the first of them, up to [`WAIT_MAX`].
    pub wait: Duration,
    /// Who reads and what it will never ask for again, so that the source may forget it one day.
    pub reader: Option<Reader>,
    /// Wires that the question has come over: a process that has no such feed passes it on, once.
    pub hops: u8,
}

/// A reader that the source remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Its name, `payments/ordering`.
    pub name: String,
    /// The position up to which everything has had its effect.
    pub done: u64,
}

impl FeedRead {
    /// What stands after `after` now, without waiting.
    pub fn after(after: u64) -> Self {
        Self { after, limit: EVENTS_PER_PAGE_MAX, wait: Duration::ZERO, reader: None, hops: 0 }
    }

    /// No events, only where the feed ends: with everything in it that was told before this was asked.
    pub fn head() -> Self {
        Self { limit: 0, ..Self::after(0) }
    }
}

/// A feed that is in none of the states that a reader can go on from: never a reason to skip anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "alarm", rename_all = "snake_case")]
pub enum Gap {
    /// Events after the cursor are gone from the feed.
    #[error("events {} to {} are no longer in the feed", after + 1, oldest - 1)]
    Forgotten {
        /// The cursor.
        after: u64,
        /// The lowest position that is still kept.
        oldest: u64,
    },
    /// The feed ends before the cursor: its database is older than what was read from it (a backup was restored).
    #[error("the cursor stands at {after}, but the feed ends at {head}")]
    Ahead {
        /// The cursor.
        after: u64,
        /// The feed's head.
        head: u64,
    },
    /// The page does not go on where the cursor stands or has a hole.
    #[error("event {expected} is missing: the feed gave {found}")]
    Hole {
        /// The position that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
}

/// Checks that a page is what follows `after`, with nothing left out.
///
/// The events decide: what is older may have been forgotten since they were read, and newer ones told.
pub fn follows(page: &FeedPage, after: u64) -> Result<(), Gap> {
    if page.head < after {
        return Err(Gap::Ahead { after, head: page.head });
    }
    let forgotten = page.oldest > after + 1;
    if page.events.is_empty() && forgotten {
        return Err(Gap::Forgotten { after, oldest: page.oldest });
    }
    for (expected, event) in (after + 1..).zip(&page.events) {
        if event.position != expected {
            return Err(if forgotten && expected == after + 1 {
                Gap::Forgotten { after, oldest: page.oldest }
            } else {
                Gap::Hole { expected, found: event.position }
            });
        }
    }
    Ok(())
}

/// A feed that cannot be read for now.
pub(crate) fn away(detail: impl Into<String>) -> NotExecuted {
    NotExecuted::new(Reason::Unavailable, detail)
}

#[cfg(test)]
mod tests {
    use contract::Envelope;
    use kernel_api::Timestamp;
    use serde_json::value::RawValue;

    use super::*;

    fn page(positions: impl IntoIterator<Item = u64>, head: u64, oldest: u64) -> FeedPage {
        let event = |position: u64| Envelope {
            specversion: "1.0".into(),
            id: position.to_string(),
            source: "test".into(),
            kind: "test.happened".into(),
            dataversion: 1,
            subject: "k".into(),
            time: Timestamp::from_micros(0),
            position,
            traceparent: None,
            data: RawValue::from_string("{}".into()).unwrap(),
        };
        FeedPage { events: positions.into_iter().map(event).collect(), head, oldest }
    }

    #[test]
    fn a_page_follows_only_without_a_gap() {
        assert_eq!(follows(&page([], 0, 0), 0), Ok(()));
        assert_eq!(follows(&page([1, 2, 3], 9, 1), 0), Ok(()));
        assert_eq!(follows(&page([8, 9], 9, 8), 7), Ok(()));
        assert_eq!(follows(&page([], 9, 9), 9), Ok(()), "all read, all but the newest forgotten");
        assert_eq!(follows(&page([], 9, 9), 7), Err(Gap::Forgotten { after: 7, oldest: 9 }));
        assert_eq!(follows(&page([5], 9, 5), 3), Err(Gap::Forgotten { after: 3, oldest: 5 }));
        assert_eq!(follows(&page([], 6, 1), 7), Err(Gap::Ahead { after: 7, head: 6 }));
        assert_eq!(follows(&page([1, 3], 9, 1), 0), Err(Gap::Hole { expected: 2, found: 3 }));
        assert_eq!(follows(&page([4, 5], 9, 5), 3), Ok(()), "deleted after they were read");
        assert_eq!(follows(&page([], 4, 1), 3), Ok(()), "told after they were read");
        assert_eq!(follows(&page([5], 9, 1), 3), Err(Gap::Hole { expected: 4, found: 5 }));
    }
}
