//! The local binding counts, checks the deadline and hands everything else through.

use std::{sync::Arc, time::Duration};

use contract::{
    Answer, Call, CallGraph, Caller, Command, Deadline, Fault, Never, Reason, async_trait, contract,
};

/// A contract with one of each kind.
#[contract("depot")]
pub trait Depot: Send + Sync + 'static {
    /// Gives back what it is told.
    #[query]
    async fn echo(&self, call: &Call, text: String) -> Answer<String, Never>;
    /// Adds one.
    #[command]
    async fn add(&self, command: &Command, number: u32) -> Answer<u32, String>;
}

struct Service;

#[async_trait]
impl Depot for Service {
    async fn echo(&self, _call: &Call, text: String) -> Answer<String, Never> {
        Ok(text)
    }
    async fn add(&self, _command: &Command, number: u32) -> Answer<u32, String> {
        number.checked_add(1).ok_or_else(|| Fault::Refused("too many".to_owned()))
    }
}

#[tokio::test]
async fn calls_are_counted_per_edge_and_method() {
    let graph = CallGraph::default();
    let depot = contract::local::<dyn Depot>(Arc::new(Service), graph.edge("shop", "depot"));
    let caller = Caller::module("shop");
    let call = Call::new(caller.clone(), Deadline::within(Duration::from_secs(5)));
    assert_eq!(depot.echo(&call, "hi".to_owned()).await, Ok("hi".to_owned()));
    let command = call.command("k".parse().unwrap());
    assert_eq!(depot.add(&command, u32::MAX).await, Err(Fault::Refused("too many".to_owned())));
    let late = Call::new(caller, Deadline::within(Duration::ZERO));
    let Err(Fault::NotExecuted(fault)) = depot.echo(&late, String::new()).await else {
        panic!("the deadline has passed")
    };
    assert_eq!(fault.reason, Reason::DeadlinePassed);

    let counts = graph.counts();
    let shown: Vec<_> = counts
        .iter()
        .map(|c| (c.from.as_str(), c.to.as_str(), c.method, c.calls, c.refused, c.not_executed))
        .collect();
    assert_eq!(shown, [("shop", "depot", "add", 1, 1, 0), ("shop", "depot", "echo", 2, 0, 1)]);
}
