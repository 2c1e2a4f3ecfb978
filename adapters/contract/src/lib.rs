//! Contracts between modules: calls, outcomes, events and the four bindings that carry them.

mod binding;
mod call;
mod event;
mod graph;
mod local;
mod outcome;
mod ownership;

pub use binding::{Binding, Context, Contract, Kind, Method, Outcome, Visitor, Wire};
pub use call::{Call, CallError, Caller, Command, Deadline, IdempotencyKey, TraceContext};
pub use contract_macros::contract;
pub use event::{Envelope, Event};
pub use graph::{CallGraph, Edge, EdgeCount};
pub use local::local;
pub use outcome::{Answer, Fault, Never, NotExecuted, Reason, Unknown};
pub use ownership::Ownership;

// What the macro's output and the implementers of contracts need.
pub use async_trait::async_trait;
pub use futures_util::future::BoxFuture;
