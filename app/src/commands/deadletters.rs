//! `banyan deadletters`.

use anyhow::Result;

use super::tables::{json, say, table};
use crate::{
    cli::{DeadletterArgs, DeadlettersCommand, Format, PlaceArgs, ReportArgs},
    operations::{LetterKey, LetterOrder},
    reach::{Reached, reach},
    settings::Settings,
};

/// Does something about dead letters.
pub async fn run(command: DeadlettersCommand) -> Result<()> {
    match command {
        DeadlettersCommand::List(report) => list(&report).await,
        DeadlettersCommand::Show(letter) => show(&letter).await,
        DeadlettersCommand::Replay(letter) => order(&letter, LetterOrder::Replay).await,
        DeadlettersCommand::Discard(letter) => order(&letter, LetterOrder::Discard).await,
    }
}

async fn shop(place: &PlaceArgs) -> Result<Reached> {
    reach(&Settings::of(place)?.config).await
}

async fn list(report: &ReportArgs) -> Result<()> {
    let reached = shop(&report.place).await?;
    let found = reached.operations.dead_letters().await;
    reached.leave().await;
    let letters = found?;
    match report.format {
        Format::Json => json(&letters),
        Format::Table if letters.is_empty() => say("there are no dead letters"),
        Format::Table => {
            let mut shown =
                table(&["module", "subscription", "position", "event", "key", "tries", "error"]);
            for letter in letters {
                shown.add_row([
                    letter.module,
                    letter.subscription,
                    letter.position.to_string(),
                    letter.kind,
                    letter.subject,
                    letter.attempts.to_string(),
                    letter.error,
                ]);
            }
            say(shown)
        }
    }
}

fn key(letter: &DeadletterArgs) -> LetterKey {
    LetterKey {
        module: letter.module.clone(),
        subscription: letter.subscription.clone(),
        position: letter.position,
    }
}

async fn show(letter: &DeadletterArgs) -> Result<()> {
    let reached = shop(&letter.place).await?;
    let found = reached.operations.dead_letter(&key(letter)).await;
    reached.leave().await;
    json(&found?)
}

async fn order(letter: &DeadletterArgs, order: LetterOrder) -> Result<()> {
    let reached = shop(&letter.place).await?;
    let done = reached.operations.order_letter(&key(letter), order).await;
    reached.leave().await;
    done?;
    say(match order {
        LetterOrder::Replay => {
            "it is tried again now; `banyan deadletters list` shows whether it failed again"
        }
        LetterOrder::Discard => "given up; what waited behind it goes on",
    })
}
