//! Calls over the local binding are counted per edge and method.

use std::{sync::Arc, time::Duration};

use contract::{Call, CallGraph, Caller, Deadline, Reason};

use crate::depot::{Depot, Service, call, command, reason, take};

#[tokio::test]
async fn calls_are_counted_by_edge_method_and_end() {
    let graph = CallGraph::default();
    let service: Arc<dyn Depot> = Service::new();
    let depot = contract::local::<dyn Depot>(service, graph.edge("shop", "depot"));
    assert_eq!(depot.stock(&call(), "TEAPOT".to_owned()).await, Ok(100));
    assert!(depot.take(&command("k"), take(1000)).await.is_err());
    let late = Call::new(Caller::module("shop"), Deadline::within(Duration::ZERO));
    assert_eq!(reason(depot.stock(&late, String::new()).await), Reason::DeadlinePassed);

    let counts = graph.counts();
    let shown: Vec<_> = counts
        .iter()
        .map(|c| (c.from.as_str(), c.to.as_str(), c.method, c.calls, c.refused, c.not_executed))
        .collect();
    assert_eq!(shown, [("shop", "depot", "stock", 2, 0, 1), ("shop", "depot", "take", 1, 1, 0)]);
}
