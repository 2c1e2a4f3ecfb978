//! `banyan bench toggles`.

use anyhow::Result;

use super::{
    super::{
        Verdict,
        tables::{json, say, table},
    },
    seen, teller,
};
use crate::{
    cli::{Format, ShowArgs},
    shows::toggles::{Shown, show},
};

/// Flips every toggle while a file is traded.
pub async fn run(args: &ShowArgs) -> Result<Verdict> {
    let shown = show(&args.wish(), teller(args.format)).await?;
    match args.format {
        Format::Json => json(&shown)?,
        Format::Table => print(&shown)?,
    }
    Ok(if shown.clean { Verdict::Well } else { Verdict::Broken })
}

fn print(shown: &Shown) -> Result<()> {
    let columns = ["group", "old side", "new side", "errors", "refused", "agreed", "differed"];
    let mut groups = table(&columns);
    for (group, asked) in &shown.groups {
        let counts = [asked.old, asked.new, asked.errors, asked.refused];
        let shadows = [asked.shadow_agreed, asked.shadow_differed];
        let counts = counts.into_iter().chain(shadows).map(|count| count.to_string());
        groups.add_row(std::iter::once(group.clone()).chain(counts));
    }
    say(groups)?;
    seen(&shown.seen)?;
    say(format!(
        "{} toggles, {} reloads, {} edits of the file in {:.1} s: {}",
        shown.flips,
        shown.reloads,
        shown.edits,
        shown.seconds,
        if shown.clean { "nobody noticed" } else { "SOMETHING WENT WRONG" }
    ))
}
