//! A module that is nobody knows where, for now: who calls or hears it is told `Moved`, and waits for news.

use std::sync::Arc;

use async_trait::async_trait;
use contract::{Binding, Contract, Fault, Method, NotExecuted, Outcome, Reason};
use events::{Feed, FeedPage, FeedRead};

/// A binding that leads nowhere.
pub fn service<C: Contract + ?Sized>() -> Arc<C> {
    C::bind(Nowhere)
}

/// A feed that is nowhere.
pub fn feed(module: &'static str) -> Arc<dyn Feed> {
    Arc::new(NoFeed(module))
}

fn unknown(module: &str) -> NotExecuted {
    NotExecuted::new(Reason::Moved, format!("no process with {module} is known"))
}

struct Nowhere;

impl<C: Contract + ?Sized> Binding<C> for Nowhere {
    async fn carry<M: Method<C>>(
        &self,
        _context: &M::Context,
        _argument: M::Argument,
    ) -> Outcome<C, M> {
        Err(Fault::NotExecuted(unknown(C::MODULE)))
    }
}

struct NoFeed(&'static str);

#[async_trait]
impl Feed for NoFeed {
    fn source(&self) -> &str {
        self.0
    }
    async fn read(&self, _ask: FeedRead) -> Result<FeedPage, NotExecuted> {
        Err(unknown(self.0))
    }
}
