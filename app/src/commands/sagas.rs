//! `banyan sagas`.

use anyhow::{Context, Result};
use kernel_api::{Id, PAGE_LIMIT_MAX, PageRequest};
use ordering_api::{AbandonSaga, Abandonment, Saga, SagaStatus, SagaWish, SagasWish};

use super::tables::{json, say, table};
use crate::{
    cli::{Format, SagaArgs, SagasCommand, SagasListArgs},
    insist::{call, insist},
    modules::Modules,
    reach::reach,
    settings::Settings,
};

/// Does something about sagas.
pub async fn run(command: SagasCommand) -> Result<()> {
    match command {
        SagasCommand::List(wish) => list(&wish).await,
        SagasCommand::Show(saga) => show(&saga).await,
        SagasCommand::Retry(saga) => order(&saga, Order::Retry).await,
        SagasCommand::Abandon(wish) => {
            let how = match wish.close {
                None => Abandonment::Compensate,
                Some(note) => Abandonment::Close { note },
            };
            order(&wish.saga, Order::Abandon(how)).await
        }
    }
}

enum Order {
    Retry,
    Abandon(Abandonment),
}

async fn list(wish: &SagasListArgs) -> Result<()> {
    let reached = reach(&Settings::of(&wish.report.place)?.config).await?;
    let mut found = sagas(&reached.modules, Some(SagaStatus::Stuck)).await;
    if !wish.stuck
        && let Ok(stuck) = &mut found
    {
        stuck.extend(sagas(&reached.modules, Some(SagaStatus::Running)).await?);
    }
    reached.leave().await;
    let sagas = found?;
    match wish.report.format {
        Format::Json => json(&sagas),
        Format::Table if sagas.is_empty() => say("there are none"),
        Format::Table => {
            let mut shown = table(&["id", "kind", "status", "step", "tries", "reason", "since"]);
            for saga in sagas {
                shown.add_row([
                    saga.id.to_string(),
                    saga.kind,
                    format!("{:?}", saga.status),
                    saga.step,
                    saga.attempts.to_string(),
                    saga.reason.unwrap_or_default(),
                    saga.created_at.to_string(),
                ]);
            }
            say(shown)
        }
    }
}

async fn sagas(modules: &Modules, status: Option<SagaStatus>) -> Result<Vec<Saga>> {
    let operator = "operator".parse()?;
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = PageRequest { after: after.take(), limit: Some(PAGE_LIMIT_MAX) };
        let wish = SagasWish { status, page };
        let ordering = &modules.ordering;
        let page =
            insist("sagas", async || ordering.sagas(&call(&operator), wish.clone()).await).await?;
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

async fn show(wish: &SagaArgs) -> Result<()> {
    let reached = reach(&Settings::of(&wish.place)?.config).await?;
    let found = sagas(&reached.modules, None).await;
    reached.leave().await;
    let id: Id<Saga> = wish.id.parse()?;
    let saga = found?.into_iter().find(|saga| saga.id == id);
    json(&saga.with_context(|| format!("there is no saga {id}"))?)
}

async fn order(wish: &SagaArgs, order: Order) -> Result<()> {
    let saga: Id<Saga> = wish.id.parse()?;
    let reached = reach(&Settings::of(&wish.place)?.config).await?;
    let command = call(&"operator".parse()?).command(Id::<()>::fresh().to_string().parse()?);
    let ordering = &reached.modules.ordering;
    let done = match &order {
        Order::Retry => {
            let wish = SagaWish { saga };
            insist("the saga", async || ordering.retry_saga(&command, wish.clone()).await).await
        }
        Order::Abandon(how) => {
            let wish = AbandonSaga { saga, how: how.clone() };
            insist("the saga", async || ordering.abandon_saga(&command, wish.clone()).await).await
        }
    };
    reached.leave().await;
    json(&done?)
}
