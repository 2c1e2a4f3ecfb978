//! What `#[contract]` gives to a trait, and what a binding makes of it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Answer, Call, Command, IdempotencyKey};

/// A contract between modules: `dyn Trait` of a trait with `#[contract]`. Nobody implements it by hand.
pub trait Contract: Send + Sync + 'static {
    /// The module whose contract it is.
    const MODULE: &'static str;

    /// Shows each method to the visitor, in the trait's order.
    fn methods<V: Visitor<Self>>(visitor: &mut V);

    /// The contract, carried by `binding`.
    fn bind<B: Binding<Self>>(binding: B) -> Arc<Self>;
}

/// Looks at each method of a contract, with its types.
pub trait Visitor<C: ?Sized> {
    /// Called once per method.
    fn method<M: Method<C>>(&mut self);
}

/// One method of a contract, as a type.
pub trait Method<C: ?Sized>: 'static {
    /// Its name.
    const NAME: &'static str;
    /// Its place in the trait, from 0.
    const INDEX: usize;
    /// The name of its argument.
    const ARGUMENT: &'static str;
    /// Its doc comment.
    const SUMMARY: &'static str;
    /// [`Call`] for a query, [`Command`] for a command.
    type Context: Context;
    /// The one argument.
    type Argument: Wire;
    /// What it gives back.
    type Answer: Wire;
    /// How its own rule says no.
    type Refusal: Wire;

    /// Calls it.
    fn call<'a>(
        service: &'a C,
        context: &'a Self::Context,
        argument: Self::Argument,
    ) -> BoxFuture<'a, Outcome<C, Self>>;
}

/// How method `M` of contract `C` ends.
pub type Outcome<C, M> = Answer<<M as Method<C>>::Answer, <M as Method<C>>::Refusal>;

/// A way for calls to reach a module.
pub trait Binding<C: Contract + ?Sized>: Send + Sync + 'static {
    /// Carries one call to the module and its outcome back.
    fn carry<M: Method<C>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> impl Future<Output = Outcome<C, M>> + Send;
}

/// A value that can travel: arguments, answers and refusals. It can be sent twice, so it can be cloned.
pub trait Wire: Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {}
impl<T: Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static> Wire for T {}

/// Does the method only ask, or does it change something?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Has no effect: it may be asked as often as one likes.
    Query,
    /// Has one effect per key.
    Command,
}

/// What travels beside the argument: [`Call`] or [`Command`], and nothing else.
pub trait Context: Clone + Send + Sync + sealed::Sealed + 'static {
    /// The kind of method that takes it.
    const KIND: Kind;

    /// The call.
    fn call(&self) -> &Call;

    /// The key of a command.
    fn key(&self) -> Option<&IdempotencyKey>;

    /// Puts it together again at the other end; `None` when a command comes without its key.
    fn from_parts(call: Call, key: Option<IdempotencyKey>) -> Option<Self>;
}

impl Context for Call {
    const KIND: Kind = Kind::Query;
    fn call(&self) -> &Call {
        self
    }
    fn key(&self) -> Option<&IdempotencyKey> {
        None
    }
    fn from_parts(call: Call, _key: Option<IdempotencyKey>) -> Option<Self> {
        Some(call)
    }
}

impl Context for Command {
    const KIND: Kind = Kind::Command;
    fn call(&self) -> &Call {
        &self.call
    }
    fn key(&self) -> Option<&IdempotencyKey> {
        Some(&self.key)
    }
    fn from_parts(call: Call, key: Option<IdempotencyKey>) -> Option<Self> {
        key.map(|key| Self { call, key })
    }
}

mod sealed {
    //! Keeps [`super::Context`] to the two types that calls are made with.

    /// Implemented for `Call` and `Command` only.
    pub trait Sealed {}
    impl Sealed for crate::Call {}
    impl Sealed for crate::Command {}
}
