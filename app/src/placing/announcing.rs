//! How a process tells placement that it is there, and learns where every module is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contract::{Call, Caller, Deadline};
use placement_api::{Announce, Table};
use tokio::task::JoinHandle;

use super::{Front, Oneself};
use crate::shop::Shop;

/// How often: a switch that nobody told a process of is learnt within it, doubt aside.
const EVERY: Duration = Duration::from_secs(1);

/// How long placement may take.
const CALL_TIME: Duration = Duration::from_secs(2);

/// However often doubt is raised: an answer this old is not asked for again. It is shorter than a switch takes.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// A process that tells of itself until it ends.
pub struct Announcing {
    shop: Arc<Shop>,
    oneself: Arc<Oneself>,
    front: Front,
    task: JoinHandle<()>,
}

impl Announcing {
    /// Begins. The proxy in front learns which modules move.
    pub fn start(shop: &Arc<Shop>, oneself: &Arc<Oneself>, front: Front) -> Self {
        let (shop, oneself) = (Arc::clone(shop), Arc::clone(oneself));
        let task = tokio::spawn(run(Arc::clone(&shop), Arc::clone(&oneself), front.clone()));
        Self { shop, oneself, front, task }
    }

    /// Says that this process leaves, and ends.
    pub async fn stop(self) {
        self.task.abort();
        tell(&self.shop, (&self.oneself, &self.front), true).await;
    }
}

async fn run(shop: Arc<Shop>, oneself: Arc<Oneself>, front: Front) {
    let mut next = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {
                next = tokio::time::Instant::now() + EVERY;
                tell(&shop, (&oneself, &front), false).await;
            }
            () = shop.ways.doubt().raised() => {
                // One's own row tells the most, and soonest; then who owns it now.
                learn(&shop, None).await;
                let placed = shop.placement.placed(&call(), ()).await;
                learn(&shop, placed.ok().as_ref()).await;
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

fn call() -> Call {
    Call::new(Caller::module("placement"), Deadline::within(CALL_TIME))
}

/// Tells placement of this process and takes up what it answers. Without an answer the rows of one's own data count.
async fn tell(shop: &Shop, (oneself, front): (&Oneself, &Front), leaving: bool) {
    let mut modules = Vec::new();
    for seat in shop.seats.values() {
        modules.extend(seat.housed().await);
    }
    let wish = Announce {
        process: oneself.process,
        deployment: oneself.deployment.clone(),
        url: oneself.url.clone(),
        public_url: oneself.public_url.clone(),
        modules,
        leaving,
    };
    let asked = Instant::now();
    let key = format!("announce-{}", oneself.process).parse().expect("an id is a key");
    match shop.placement.announce(&call().command(key), wish).await {
        Ok(table) => {
            front.reserve(&table);
            learn(shop, Some(&table)).await;
            front.follow(&table, asked).await;
        }
        Err(fault) => {
            tracing::debug!(%fault, "placement was not told");
            learn(shop, None).await;
        }
    }
}

async fn learn(shop: &Shop, table: Option<&Table>) {
    for seat in shop.seats.values() {
        // Where placement is, the settings say: who lost it could not ask anybody.
        let table = table.filter(|_| seat.module() != "placement");
        let placed = table.and_then(|table| {
            table.placed.iter().find(|placed| placed.module.as_str() == seat.module())
        });
        seat.learn(placed).await;
    }
}
