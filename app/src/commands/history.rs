//! `banyan import`.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tables::{json, say};
use crate::{
    cli::{Format, ImportArgs},
    import,
    reach::reach_or_make,
    settings::Settings,
};

/// Loads a file as history.
pub async fn import(args: &ImportArgs) -> Result<()> {
    let settings = Settings::of(&args.place)?.config;
    // Before anything is made: a mistyped file makes no shop.
    let file = &args.file;
    std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let reached = reach_or_make(&settings).await?;
    let progress = bar();
    let done = import::online_retail(&reached.modules, file, &progress).await;
    progress.finish_and_clear();
    reached.leave().await;
    let report = done?;
    match args.format {
        Format::Json => json(&report),
        Format::Table => report.lines().iter().try_for_each(say),
    }
}

/// A bar on standard error, where someone is there to see it.
pub fn bar() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr_with_hz(8)
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} {eta}");
    let bar = ProgressBar::with_draw_target(Some(0), target);
    bar.set_style(style.unwrap_or_else(|_bad| ProgressStyle::default_bar()));
    bar
}
