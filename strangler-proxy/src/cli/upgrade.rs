//! `upgrade`: this binary in the place of the one that serves.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{
    arguments::UpgradeArgs,
    client::{file, source},
    print::say,
};
use crate::{config::load, handover::ask_to_upgrade};

/// Upgrades.
pub fn upgrade(wish: &UpgradeArgs) -> Result<()> {
    let begun = Instant::now();
    let shown = file(&wish.place);
    // With the eyes of this binary: it may know more keys than the one that serves, or fewer.
    let loaded = load(&source(&wish.place)).with_context(|| {
        format!("the one that serves goes on; for this binary {} is wrong", shown.display())
    })?;
    let binary = std::env::current_exe().context("where is this binary?")?;
    let path = &loaded.snapshot.files.handover;
    let by = ask_to_upgrade(path, binary).with_context(|| {
        format!("not upgraded, and what serves goes on (by {})", path.display())
    })?;
    let Some(by) = by else {
        bail!("no proxy runs by {}: nobody answers at {}", shown.display(), path.display());
    };
    say(format!(
        "version {} serves (pid {}), {:.0} ms after it was asked for; the one before ends its last requests, for at most {:?}",
        by.version,
        by.pid,
        begun.elapsed().as_secs_f64() * 1000.0,
        loaded.snapshot.client.drain
    ))
}
