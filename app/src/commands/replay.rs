//! `banyan replay`.

use anyhow::Result;

use super::{Verdict, tables::json};
use crate::{
    cli::{Format, ReplayArgs},
    replay,
};

/// Drives a file's invoices through the public API of a running shop.
pub fn run(args: &ReplayArgs) -> Result<Verdict> {
    let report = replay::run(args)?;
    match args.format {
        Format::Json => json(&report)?,
        Format::Table => report.lines().iter().for_each(|line| println!("{line}")),
    }
    Ok(if report.is_clean() { Verdict::Well } else { Verdict::Broken })
}
