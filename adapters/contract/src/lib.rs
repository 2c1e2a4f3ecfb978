//! Contracts between modules: calls, outcomes, events and the four bindings that carry them.

mod call;
mod event;
mod outcome;
mod ownership;

pub use call::{Call, CallError, Caller, Command, Deadline, IdempotencyKey, TraceContext};
pub use event::{Envelope, Event};
pub use outcome::{Answer, Fault, Never, NotExecuted, Reason, Unknown};
pub use ownership::Ownership;

// What the macro's output and the implementers of contracts need.
pub use async_trait::async_trait;
