//! The coordinator: takes the lease of each carve that nobody works at, and does what the domain's `Drive` says.

mod hands;
mod journal;
mod reading;
mod steps;
mod switching;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use contract::{Fault, Ownership, Reason};
use kernel_api::{Id, Timestamp};
use placement_api::Carve;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    coordinator::hands::Hands,
    desk::Desk,
    domain::{Do, Drive, Event, limits::LOOK_EVERY},
    store,
};

/// How long a look at the journal may take.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// Works at carves for as long as placement is here. Several processes may: a carve's lease is one's. Ends when
/// `ownership` has no sender any more; it may be ended anywhere, like the process.
pub(crate) async fn run(desk: Arc<Desk>, mut ownership: watch::Receiver<Ownership>) {
    let mut hands = AtWork::default();
    loop {
        if ownership.wait_for(Ownership::is_here).await.is_err() {
            return;
        }
        match free(&desk).await {
            Ok(ids) => ids.into_iter().for_each(|id| hands.take(&desk, id)),
            Err(Fault::NotExecuted(moved)) if moved.reason == Reason::Moved => {}
            // What is under way goes on; what is free stays free until a later look.
            Err(fault) => tracing::warn!(%fault, "carves were not looked for"),
        }
        tokio::select! {
            () = desk.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn free(desk: &Desk) -> Result<Vec<Id<Carve>>, Fault<contract::Never>> {
    let now = desk.leases_over().unwrap_or(desk.store.clock().now());
    desk.store.read(&desk.call(LOOK_TIME), move |c| Ok(store::free_carves(c, now)?)).await
}

/// The carves that this process works at. Dropping it ends the work.
#[derive(Default)]
struct AtWork(BTreeMap<Id<Carve>, JoinHandle<()>>);

impl AtWork {
    fn take(&mut self, desk: &Arc<Desk>, id: Id<Carve>) {
        self.0.retain(|_, work| !work.is_finished());
        let desk = Arc::clone(desk);
        self.0.entry(id).or_insert_with(|| tokio::spawn(Box::pin(work(desk, id))));
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.values().for_each(JoinHandle::abort);
    }
}

/// Works at one carve until it is over or another's.
async fn work(desk: Arc<Desk>, id: Id<Carve>) {
    let mut drive = Drive::new();
    let mut hands = match Hands::of(Arc::clone(&desk), id).await {
        Ok(hands) => hands,
        Err(why) => {
            tracing::warn!(carve = %id, why, "a carve was not taken on");
            return;
        }
    };
    let mut event = Event::Found;
    loop {
        let doing = drive.on(event, hands.plan(), desk.store.clock().now());
        hands.notice(drive.state());
        event = match (doing, drive.state()) {
            (Do::Leave, _) => return,
            (Do::Take, _) | (_, None) => hands.take().await,
            (Do::Write, Some(state)) => hands.write(state).await,
            (Do::Record, Some(state)) => hands.record(state).await,
            (Do::Perform(action), Some(state)) => hands.perform(action, &state).await,
            (Do::Sleep(until), _) => {
                rest(&desk, until).await;
                Event::Slept
            }
        };
    }
}

/// Until then, or until somebody wants something.
async fn rest(desk: &Desk, until: Timestamp) {
    let wait = until.since(desk.store.clock().now());
    tokio::select! {
        () = desk.wake.notified() => {}
        () = tokio::time::sleep(wait) => {}
    }
}
