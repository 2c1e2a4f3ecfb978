//! Which route a request takes and which side of it: a table made from the configuration, and one pure function.
//!
//! Reading order: [`pattern`] (what a path or host must look like), [`table`] (finding the first route in the file's
//! order without looking at all of them), [`bucket`] (who is in the canary), [`replica`] (whose
//! reads may move ahead), [`decide()`] (the decision).

pub mod bucket;
pub mod condition;
pub mod decide;
pub mod facts;
pub mod jwt;
pub mod overlap;
pub mod pattern;
pub mod replica;
pub mod stage;
pub mod table;
pub mod template;

pub use bucket::{Bucket, KeySource, Sticky};
pub use condition::Condition;
pub use decide::{Act, Decision, Side, State, Why, decide};
pub use facts::{Facts, Headers};
pub use replica::{Replica, Writers};
pub use stage::{Stage, Weight};
pub use table::{RouteId, Table};

/// An upstream, by its place in [`Snapshot::upstreams`](crate::config::Snapshot).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u16);
