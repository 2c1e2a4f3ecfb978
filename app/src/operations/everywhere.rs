//! An operator's wishes over all processes of a deployment.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Result, anyhow, bail};
use async_trait::async_trait;
use contract::{Call, Caller, Deadline};
use placement_api::Placement;

use super::{
    CallCount, DeadLetter, LetterKey, LetterOrder, Operations, RemoteOperations, Resumption,
    SubscriptionState,
};
use crate::http_client::HttpClient;

/// How long placement may take to say who is there.
const WHO_TIME: Duration = Duration::from_secs(5);

/// The operations of a process of every other deployment than `ours` that owns a module and told placement of itself of
/// late. One that owns none has nothing to say of feeds and letters, and may have ended a moment ago.
pub async fn others(
    placement: &dyn Placement,
    ours: &str,
    control: &str,
) -> Result<Vec<Arc<dyn Operations>>> {
    let operator: Caller = "operator".parse().expect("a fixed name is a caller");
    let call = Call::new(operator, Deadline::within(WHO_TIME));
    let processes = placement.processes(&call, ()).await.map_err(|fault| anyhow!("{fault}"))?;
    let placed = placement.placed(&call, ()).await.map_err(|fault| anyhow!("{fault}"))?.placed;
    let owners: BTreeSet<_> = placed.into_iter().map(|placed| placed.owner).collect();
    let mut found = BTreeMap::new();
    for process in processes {
        let deployment = process.deployment;
        if deployment.as_str() != ours && owners.contains(&deployment) {
            let client = HttpClient::new(process.url.as_str(), control, 2)?;
            found.entry(deployment).or_insert(client);
        }
    }
    let remote = |client| Arc::new(RemoteOperations(client)) as Arc<dyn Operations>;
    Ok(found.into_values().map(remote).collect())
}

/// The operations of every process: lists are put together, a wish about one
/// thing goes to the process that has it.
pub struct Everywhere(pub Vec<Arc<dyn Operations>>);

#[async_trait]
impl Operations for Everywhere {
    async fn subscriptions(&self) -> Result<Vec<SubscriptionState>> {
        let mut all = Vec::new();
        for operations in &self.0 {
            all.extend(operations.subscriptions().await?);
        }
        Ok(all)
    }

    async fn resume(&self, wish: &Resumption) -> Result<u64> {
        let mut done = nobody();
        for operations in &self.0 {
            done = operations.resume(wish).await;
            if done.is_ok() {
                break;
            }
        }
        done
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        let mut all = Vec::new();
        for operations in &self.0 {
            all.extend(operations.dead_letters().await?);
        }
        Ok(all)
    }

    async fn dead_letter(&self, key: &LetterKey) -> Result<DeadLetter> {
        let mut found = nobody();
        for operations in &self.0 {
            found = operations.dead_letter(key).await;
            if found.is_ok() {
                break;
            }
        }
        found
    }

    async fn order_letter(&self, key: &LetterKey, order: LetterOrder) -> Result<()> {
        let mut done = nobody();
        for operations in &self.0 {
            done = operations.order_letter(key, order).await;
            if done.is_ok() {
                break;
            }
        }
        done
    }

    async fn calls(&self) -> Result<Vec<CallCount>> {
        let mut all = Vec::new();
        for operations in &self.0 {
            all.extend(operations.calls().await?);
        }
        Ok(all)
    }

    async fn back_up(&self, directory: &Path, module: Option<&str>) -> Result<Vec<String>> {
        let [only] = self.0.as_slice() else {
            bail!("the modules run in several processes: back each one up with its own --data");
        };
        only.back_up(directory, module).await
    }
}

fn nobody<T>() -> Result<T> {
    Err(anyhow!("no process of the shop is known"))
}
