//! The sweeper: forgets carts that nobody has bought for a long time, so that opening carts cannot fill the disk.

use std::{sync::Arc, time::Duration};

use contract::{Call, Caller, Deadline, Fault, Ownership, Reason};
use tokio::sync::watch;

use crate::service::Service;

/// How long one sweep may take.
const SWEEP_TIME: Duration = Duration::from_secs(10);

/// Sweeps every so often for as long as the module is here. Several processes may sweep at once. Ends when `ownership`
/// has no sender any more.
pub(crate) async fn run(
    service: Arc<Service>,
    every: Duration,
    mut ownership: watch::Receiver<Ownership>,
) {
    loop {
        if ownership.wait_for(Ownership::is_here).await.is_err() {
            return;
        }
        let call = Call::new(Caller::module("ordering"), Deadline::within(SWEEP_TIME));
        match service.sweep(&call).await {
            Ok(true) => continue,
            Ok(false) => {}
            // It will be said who owns the module now.
            Err(Fault::NotExecuted(moved)) if moved.reason == Reason::Moved => {}
            // Nothing is lost: what is old stays old until a later sweep.
            Err(fault) => tracing::warn!(%fault, "abandoned carts were not swept"),
        }
        tokio::time::sleep(every).await;
    }
}
