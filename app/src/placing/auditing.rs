//! The books of a module, for a carve's certificate: what `banyan verify` says.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use anyhow::Result;
use async_trait::async_trait;
use placement_api::{Auditor, Invariant, Module, PortError};
use tokio::runtime::Handle;

use crate::{
    operations::{Everywhere, LocalOperations, Operations, others},
    shop::Shop,
    verify::{Pace, verify},
};

/// How long work in flight is waited for: a shop that trades all the time never rests.
const PATIENCE: Duration = Duration::from_secs(2);

/// The books, read through the modules' contracts, wherever the modules are.
pub struct Books {
    control: String,
    /// Set once the shop is open. It holds this, so this does not hold it.
    shop: OnceLock<Weak<Shop>>,
}

impl Books {
    /// Those of a shop that is not open yet, and of the processes that this control token opens.
    pub fn new(control: String) -> Arc<Self> {
        Arc::new(Self { control, shop: OnceLock::new() })
    }

    /// The shop is open.
    pub fn open(&self, shop: &Arc<Shop>) {
        // Once per process.
        drop(self.shop.set(Arc::downgrade(shop)));
    }
}

#[async_trait]
impl Auditor for Books {
    async fn audit(&self, _module: &Module) -> Result<Vec<Invariant>, PortError> {
        let shop = self.shop.get().and_then(Weak::upgrade);
        let shop = shop.ok_or_else(|| PortError("the shop is not open".to_owned()))?;
        let (control, runtime) = (self.control.clone(), Handle::current());
        // On a thread of its own: what reads the books is not made to wander between threads.
        let read = tokio::task::spawn_blocking(move || runtime.block_on(read(&shop, &control)));
        let found = read.await.map_err(|error| PortError(error.to_string()))?;
        found.map_err(|error| PortError(format!("{error:#}")))
    }
}

async fn read(shop: &Arc<Shop>, control: &str) -> Result<Vec<Invariant>> {
    let mut operations: Vec<Arc<dyn Operations>> =
        vec![Arc::new(LocalOperations(Arc::clone(shop)))];
    let ours = shop.ways.deployment().0;
    operations.extend(others(shop.placement.as_ref(), ours, control).await?);
    let found = verify(&shop.modules, &Everywhere(operations), (PATIENCE, Pace::Beside)).await?;
    // Between two modules a fact is a moment younger in one of them: what a shop that trades shows to differ is no
    // finding, and what holds even so is.
    let told = found.checks.into_iter().filter(|check| check.holds || found.settled);
    Ok(told
        .map(|check| Invariant {
            name: check.invariant.to_owned(),
            checked: check.broken.max(1),
            broken: check.findings,
        })
        .collect())
}
