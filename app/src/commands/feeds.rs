//! `banyan feeds`.

use anyhow::Result;

use super::tables::{json, say, table};
use crate::{
    cli::{FeedsCommand, Format, ReportArgs, ResumeArgs},
    operations::Resumption,
    reach::reach,
    settings::Settings,
};

/// Does something about feeds.
pub async fn run(command: FeedsCommand) -> Result<()> {
    match command {
        FeedsCommand::List(report) => list(&report).await,
        FeedsCommand::Resume(wish) => resume(wish).await,
    }
}

async fn list(report: &ReportArgs) -> Result<()> {
    let reached = reach(&Settings::of(&report.place)?.config).await?;
    let found = reached.operations.subscriptions().await;
    reached.leave().await;
    let subscriptions = found?;
    if report.format == Format::Json {
        return json(&subscriptions);
    }
    let columns =
        ["module", "subscription", "hears", "position", "head", "lag", "parked", "dead", "alarm"];
    let mut shown = table(&columns);
    for subscription in subscriptions {
        shown.add_row([
            subscription.module,
            subscription.subscription,
            subscription.source,
            subscription.position.to_string(),
            subscription.head.to_string(),
            subscription.head.saturating_sub(subscription.position).to_string(),
            subscription.parked.to_string(),
            subscription.dead.to_string(),
            subscription.alarm.unwrap_or_default(),
        ]);
    }
    say(shown)
}

async fn resume(wish: ResumeArgs) -> Result<()> {
    let ResumeArgs { place, module, subscription, at, reason } = wish;
    let reached = reach(&Settings::of(&place)?.config).await?;
    let wish = Resumption { module, subscription, at, reason };
    let done = reached.operations.resume(&wish).await;
    reached.leave().await;
    say(format!("{} goes on after position {}", wish.subscription, done?))
}
