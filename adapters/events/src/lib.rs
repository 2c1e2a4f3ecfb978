//! Feeds, delivery and dead letters.
