//! Feeds, delivery and dead letters: how what one module tells has its effect in another, exactly once.
//!
//! A module tells facts with [`emit`](::store::Tx::emit), in the transaction that makes them true. Its [`Feed`] shows them in
//! the order of dense positions: [`LocalFeed`] in the same process, [`HttpFeed`] from another one, which serves it with
//! [`FeedServer`], and [`FeedSwitch`] where the module may move from one to the other. A module that wants to hear calls [`subscribe`] with a [`Handler`]; events and cursor are committed in
//! one transaction of the **hearing** module's store.
//!
//! Invariants:
//! - An event has its effect exactly once. The cursor moves by compare-and-set in the transaction of the effects, so of
//!   several processes, and of a process and its own ghost after a crash, one commits and the others roll back. A lease
//!   in the same row only keeps them from trying in vain.
//! - Nothing is skipped. Positions are dense, so a page either goes on where the cursor stands or the subscription
//!   stops with a [`Gap`] as its alarm until an operator says where it goes on ([`Subscription::resume`]).
//! - Order per key is kept. While one event of a key is parked or dead, the later ones of that key wait behind it; all
//!   other keys go on. Only the first of a key is ever tried.
//! - An event that fails is tried again with growing waits and then becomes a dead letter, which an operator replays or
//!   discards ([`letters`]). A database that is away, a lost answer or a module that moved is no event's fault and
//!   costs no try.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod attempt;
mod delivery;
mod feed;
mod handler;
mod http;
pub mod letters;
mod limits;
mod local;
mod readers;
mod retention;
mod serve;
mod status;
mod store;
mod subscriber;
mod switch;
mod worker;

pub use ::store::FeedPage;
pub use feed::{EVENTS_PER_PAGE_MAX, Feed, FeedRead, Gap, Reader, WAIT_MAX, follows};
pub use handler::{ApplyError, Handler};
pub use http::HttpFeed;
pub use limits::Limits;
pub use local::{LocalFeed, sequence};
pub use readers::Readers;
pub use retention::{Forgotten, Retention, forget, retain};
pub use serve::FeedServer;
pub use status::{NotSettled, ResumeAt, ResumeError, Status, status};
pub use subscriber::Counters;
pub use switch::FeedSwitch;
pub use worker::{Start, SubscriberConfig, Subscription, subscribe};
