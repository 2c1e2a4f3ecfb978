//! `banyan replay`.

use anyhow::Result;

use super::{
    Verdict,
    history::bar,
    tables::{json, say},
};
use crate::{
    cli::{Format, ReplayArgs},
    replay::{self, Options, patience::Patience, plan::Days},
    settings::Settings,
};

/// Drives a file through the public HTTP API of a running shop.
pub fn replay(args: ReplayArgs) -> Result<Verdict> {
    let token = token(&args)?;
    let options = Options {
        file: args.file,
        target: args.target,
        token,
        run: args.run,
        days: Days { from: args.from, to: args.to, documents: args.first },
        rate: args.rate,
        concurrency: args.concurrency,
        patience: Patience { limit: args.patience.get(), ..Patience::default() },
    };
    let progress = bar();
    let done = replay::run(&options, &progress);
    progress.finish_and_clear();
    let report = done?;
    match args.format {
        Format::Json => json(&report)?,
        Format::Table => report.lines().iter().try_for_each(say)?,
    }
    Ok(if report.is_clean() { Verdict::Well } else { Verdict::Broken })
}

/// The operator's token: as given, as the settings say, or as a server has left it in the data directory.
fn token(args: &ReplayArgs) -> Result<String> {
    if let Some(token) = &args.operator_token {
        return Ok(token.clone());
    }
    let settings = Settings::of(&args.place)?.config;
    match &settings.operator.token {
        Some(token) => Ok(token.expose().clone()),
        None => Ok(settings.data_dir().operator_token()?.as_str().to_owned()),
    }
}
