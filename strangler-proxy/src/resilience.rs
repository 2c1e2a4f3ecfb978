//! What keeps one failing part from taking the rest with it: which endpoint is asked, when a side is left alone, who is
//! asked a second time, and who is turned away.
//!
//! Reading order: [`fleet`] (the endpoints of an upstream and how they are), [`balance`] (which of them is asked),
//! [`health`] (asking how they are), [`breaker`], [`budget`], then [`rate`], [`bulkhead`] and [`shed`] (who is let in),
//! [`registry`] (what all workers share).
//!
//! Whatever a request touches is an atomic or belongs to its worker; locks are taken when something has failed, when
//! somebody has to wait, and for a rate's table, which only routes with a rate have.

pub mod balance;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
pub mod collect;
pub mod fleet;
pub mod health;
pub mod moment;
pub mod rate;
pub mod registry;
pub mod shed;

pub use moment::Tick;
pub use registry::{Registry, RouteGuards};
