//! Contracts between modules: calls, outcomes, events and the four bindings that carry them.

mod binding;
mod call;
mod credential;
mod dice;
mod dispatch;
mod event;
mod gate;
mod graph;
mod lent;
mod local;
mod openrpc;
mod outcome;
mod ownership;
mod rehearsal;
mod remote;
pub mod rpc;
mod schema;
mod switch;
mod tries;

pub use binding::{Binding, Context, Contract, Kind, Method, Outcome, Visitor, Wire};
pub use call::{Call, CallError, Caller, Command, Deadline, IdempotencyKey, TraceContext};
pub use contract_macros::contract;
pub use credential::{Keyring, Secret, SecretError};
pub use dispatch::{Dispatch, Parts, RpcError, code, dispatcher};
pub use event::{Envelope, Event};
pub use gate::GateLimits;
pub use graph::{CallGraph, Edge, EdgeCount};
pub use lent::Lent;
pub use local::local;
pub use openrpc::openrpc;
pub use outcome::{Answer, Fault, Never, NotExecuted, Reason, Unknown};
pub use ownership::{Doubt, Ownership};
pub use rehearsal::{Rehearsal, rehearsal};
pub use remote::{Client, Remote, RemoteError, RemoteLimits, remote};
pub use schema::{Descriptor, Handshake, MethodDescriptor};
pub use switch::{Place, StaleEpoch, Switch, Target, forwarding, switchable};

// What the macro's output and the implementers of contracts need.
pub use async_trait::async_trait;
pub use futures_util::future::BoxFuture;
