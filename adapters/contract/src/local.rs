//! The local binding: a plain trait call with a span, a count and the deadline's check.

use std::sync::Arc;

use tracing::Instrument;

use crate::{
    Binding, Contract, Edge, Fault, Method, Outcome, Reason, Visitor, binding::Context,
    graph::Counters,
};

/// `service`, in this process. `service` may itself be bound (switchable, remote): then this adds the edge's count.
pub fn local<C: Contract + ?Sized>(service: Arc<C>, edge: Edge) -> Arc<C> {
    let mut counted = Counted { edge, counters: Vec::new() };
    C::methods(&mut counted);
    C::bind(Local { service, counters: counted.counters })
}

struct Local<C: ?Sized> {
    service: Arc<C>,
    /// One per method, at the method's index.
    counters: Vec<Arc<Counters>>,
}

struct Counted {
    edge: Edge,
    counters: Vec<Arc<Counters>>,
}

impl<C: ?Sized> Visitor<C> for Counted {
    fn method<M: Method<C>>(&mut self) {
        self.counters.push(self.edge.counters(M::NAME));
    }
}

impl<C: Contract + ?Sized> Binding<C> for Local<C> {
    async fn carry<M: Method<C>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> Outcome<C, M> {
        let counters = self.counters.get(M::INDEX).expect("the visitor saw every method");
        counters.begin();
        let call = context.call();
        let answer = if call.deadline.passed() {
            Err(Fault::not_executed(Reason::DeadlinePassed, "the deadline passed before the call"))
        } else {
            // DEBUG: at the default level a span costs one comparison.
            let span = tracing::debug_span!(
                "call",
                module = C::MODULE,
                method = M::NAME,
                caller = %call.caller,
                trace = %call.trace,
                key = context.key().map(tracing::field::display),
            );
            M::call(&self.service, context, argument).instrument(span).await
        };
        counters.end(&answer);
        answer
    }
}
