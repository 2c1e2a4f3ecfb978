//! The rehearsal binding: some of the calls in a process go as if the module were in another one.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;

use crate::{
    Binding, Call, Context, Contract, Dispatch, Fault, Method, Outcome, Parts, Reason, RpcError,
    dice::Dice,
    dispatch::{dispatcher, written},
    tries::{Failed, Limits, Tries},
};

/// How bad the wire is that is rehearsed. The same seed gives the same fortune to the same sequence of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// So many of 100 calls are rehearsed; the others are plain local calls.
    pub percent: u8,
    /// The least and the most time that a request spends on its way.
    pub latency: (Duration, Duration),
    /// So many of 100 requests never arrive, and the caller knows it.
    pub loss_before_percent: u8,
    /// So many of 100 answers never arrive: the caller cannot know whether it was done.
    pub loss_after_percent: u8,
    /// So many of 100 requests arrive twice.
    pub duplicate_percent: u8,
    /// Tries per call, as the remote binding would make them; 1 shows every loss to the caller.
    pub tries_max: u32,
    /// Where the numbers start.
    pub seed: u64,
}

impl Default for Rehearsal {
    /// Everything is serialised, nothing is lost.
    fn default() -> Self {
        Self {
            percent: 100,
            latency: (Duration::ZERO, Duration::ZERO),
            loss_before_percent: 0,
            loss_after_percent: 0,
            duplicate_percent: 0,
            tries_max: 1,
            seed: 0,
        }
    }
}

/// `service`, in this process, as if it were behind a wire: what is rehearsed is serialised both ways, delayed, lost and
/// repeated.
pub fn rehearsal<C: Contract + ?Sized>(service: Arc<C>, rehearsal: Rehearsal) -> Arc<C> {
    let tries = Tries::new(Limits {
        tries_max: rehearsal.tries_max,
        backoff: Duration::from_millis(20),
        backoff_max: Duration::from_millis(500),
        percent: 100,
        burst: 100,
    });
    let dice = Dice::seeded(rehearsal.seed);
    let dispatch = dispatcher::<C>(Arc::clone(&service));
    C::bind(Rehearsed { service, dispatch, rehearsal, dice, tries })
}

struct Rehearsed<C: ?Sized> {
    service: Arc<C>,
    dispatch: Arc<dyn Dispatch>,
    rehearsal: Rehearsal,
    dice: Dice,
    tries: Tries,
}

impl<C: Contract + ?Sized> Rehearsed<C> {
    /// One request over the imagined wire.
    async fn attempt<M: Method<C>>(
        &self,
        context: &M::Context,
        params: &RawValue,
    ) -> Result<M::Answer, Failed<M::Refusal>> {
        let (least, most) = self.rehearsal.latency;
        let latency = self.dice.between(least, most);
        // All numbers are drawn before anything can wait, so that a sequence of calls has one fortune.
        let lost_before = self.dice.hits(self.rehearsal.loss_before_percent);
        let lost_after = self.dice.hits(self.rehearsal.loss_after_percent);
        let duplicated = self.dice.hits(self.rehearsal.duplicate_percent);
        if !latency.is_zero() {
            tokio::time::sleep(latency.min(context.call().deadline.remaining())).await;
        }
        if context.call().deadline.passed() {
            let detail = "the deadline passed before the call";
            return Err(Fault::not_executed(Reason::DeadlinePassed, detail).into());
        }
        if lost_before {
            let detail = "rehearsal: the request is lost";
            return Err(Fault::not_executed(Reason::Unavailable, detail).into());
        }
        // Nobody waits for the second answer; it only must not change anything.
        let _duplicate = duplicated.then(|| self.arrive::<M>(context, params));
        let answer = self.arrive::<M>(context, params);
        let answer = tokio::time::timeout(context.call().deadline.remaining(), answer).await;
        if lost_after {
            return Err(Fault::unknown("rehearsal: the answer is lost").into());
        }
        match answer {
            Err(_elapsed) => Err(Fault::unknown("no answer before the deadline").into()),
            Ok(Err(_panicked)) => Err(Fault::unknown("the module failed while it answered").into()),
            Ok(Ok(Err(error))) => Err(error.into_fault().into()),
            Ok(Ok(Ok(result))) => serde_json::from_str(result.get()).map_err(|error| {
                Failed::finally(Fault::unknown(format!("the answer cannot be read: {error}")))
            }),
        }
    }

    /// The request at the other end: from here on it goes its way, even if the caller gives up.
    fn arrive<M: Method<C>>(
        &self,
        context: &M::Context,
        params: &RawValue,
    ) -> tokio::task::JoinHandle<Result<Box<RawValue>, RpcError>> {
        let call = context.call();
        let call = Call { trace: call.trace.child(), ..call.clone() };
        let parts = Parts { call, key: context.key().cloned() };
        let (dispatch, params) = (Arc::clone(&self.dispatch), params.to_owned());
        tokio::spawn(async move { dispatch.dispatch(M::NAME, parts, &params).await })
    }
}

impl<C: Contract + ?Sized> Binding<C> for Rehearsed<C> {
    async fn carry<M: Method<C>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> Outcome<C, M> {
        if !self.dice.hits(self.rehearsal.percent) {
            if context.call().deadline.passed() {
                let detail = "the deadline passed before the call";
                return Err(Fault::not_executed(Reason::DeadlinePassed, detail));
            }
            return M::call(&self.service, context, argument).await;
        }
        let params = written::<C, M>(&argument)?;
        drop(argument);
        self.tries.ask(context, || self.attempt::<M>(context, &params)).await
    }
}
