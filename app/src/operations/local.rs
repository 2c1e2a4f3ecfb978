//! An operator's wishes, carried out in this process.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use async_trait::async_trait;
use contract::{Answer, Call, Caller, Deadline, Fault};
use events::letters::{self, Letter, LetterFilter};
use kernel_api::{PAGE_LIMIT_MAX, PageRequest};

use super::{
    CallCount, DeadLetter, LetterKey, LetterOrder, Operations, Resumption, SubscriptionState,
};
use crate::{
    backup::{self, Draft},
    shop::{Running, Shop},
};

/// How long each question may take.
const CALL_TIME: Duration = Duration::from_secs(10);

/// The shop of this process.
pub struct LocalOperations(pub Arc<Shop>);

fn call() -> Call {
    let operator: Caller = "operator".parse().expect("a fixed name is a caller");
    Call::new(operator, Deadline::within(CALL_TIME))
}

fn answered<T, R: fmt::Display>(answer: Answer<T, R>) -> Result<T> {
    answer.map_err(|fault| match fault {
        Fault::Refused(refusal) => anyhow!("{refusal}"),
        Fault::NotExecuted(fault) => anyhow!("{fault}"),
        Fault::Unknown(fault) => anyhow!("{fault}"),
    })
}

impl LocalOperations {
    fn module(&self, name: &str) -> Result<&Running> {
        self.0.owned().find(|running| running.name == name).with_context(|| {
            format!("{name} does not run in this process: ask the one that has it")
        })
    }
}

#[async_trait]
impl Operations for LocalOperations {
    async fn subscriptions(&self) -> Result<Vec<SubscriptionState>> {
        let mut all = Vec::new();
        for running in self.0.owned() {
            for subscription in running.subscriptions() {
                let status = subscription.status(&call()).await?;
                all.push(SubscriptionState {
                    module: running.name.to_owned(),
                    subscription: status.subscription,
                    source: status.source.unwrap_or_default(),
                    position: status.cursor,
                    head: status.head.unwrap_or(status.cursor),
                    parked: status.parked,
                    waiting: status.waiting,
                    dead: status.dead,
                    alarm: status.alarm,
                });
            }
        }
        Ok(all)
    }

    async fn resume(&self, wish: &Resumption) -> Result<u64> {
        let Resumption { module, subscription, at, reason } = wish;
        let subscriptions = self.module(module)?.subscriptions();
        let found = subscriptions.into_iter().find(|found| found.name() == subscription);
        let found =
            found.with_context(|| format!("{module} has no subscription {subscription}"))?;
        let position = answered(found.resume(&call(), *at).await)?;
        tracing::warn!(
            module,
            subscription,
            position,
            reason,
            "an operator resumed a subscription"
        );
        Ok(position)
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        let mut all = Vec::new();
        for running in self.0.owned() {
            let mut after = None;
            loop {
                let page = PageRequest { after: after.take(), limit: Some(PAGE_LIMIT_MAX) };
                let filter = LetterFilter { subscription: None, dead: Some(true) };
                let page = answered(letters::list(running.store(), &call(), filter, page).await)?;
                all.extend(
                    page.items.into_iter().map(|letter| shown(running.name, letter, Show::Line)),
                );
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(all)
    }

    async fn dead_letter(&self, key: &LetterKey) -> Result<DeadLetter> {
        let running = self.module(&key.module)?;
        let letter = letters::show(running.store(), &call(), &key.subscription, key.position).await;
        let letter = answered(letter)?;
        Ok(shown(running.name, letter, Show::Whole))
    }

    async fn order_letter(&self, key: &LetterKey, order: LetterOrder) -> Result<()> {
        let store = self.module(&key.module)?.store();
        let (subscription, position) = (&key.subscription, key.position);
        let done = match order {
            LetterOrder::Replay => letters::replay(store, &call(), subscription, position).await,
            LetterOrder::Discard => letters::discard(store, &call(), subscription, position).await,
        };
        answered(done).map(drop)
    }

    async fn calls(&self) -> Result<Vec<CallCount>> {
        Ok(self.0.graph.counts().into_iter().map(CallCount::from).collect())
    }

    async fn back_up(&self, directory: &Path, module: Option<&str>) -> Result<Vec<String>> {
        let mut chosen = Vec::new();
        for running in self.0.owned() {
            if module.is_none_or(|name| name == running.name) {
                chosen.push(running);
            }
        }
        if chosen.is_empty() {
            bail!("{} does not run in this process", module.unwrap_or("no module"));
        }
        let draft = Draft::begin(directory)?;
        let mut files = Vec::new();
        for running in chosen {
            let (location, name) = (running.store().location().clone(), running.name);
            let target = backup::file(draft.path(), name);
            let made = tokio::task::spawn_blocking(move || store::backup(name, &location, &target));
            let made = made.await.context("the backup was cut off")??;
            files.push(backup::line(&backup::file(directory, name), &made));
        }
        draft.finish()?;
        Ok(files)
    }
}

/// How much of a letter is shown.
#[derive(Clone, Copy)]
enum Show {
    Line,
    Whole,
}

fn shown(module: &str, letter: Letter, show: Show) -> DeadLetter {
    DeadLetter {
        module: module.to_owned(),
        subscription: letter.subscription,
        position: letter.position,
        kind: letter.event.kind.clone(),
        subject: letter.event.subject.clone(),
        attempts: u64::from(letter.attempts),
        error: letter.last_error,
        event: match show {
            Show::Line => None,
            Show::Whole => serde_json::to_value(&letter.event).ok(),
        },
    }
}
