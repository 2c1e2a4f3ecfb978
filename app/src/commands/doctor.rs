//! `banyan doctor`.

use anyhow::Result;

use super::{
    Verdict,
    tables::{json, say, table},
};
use crate::{
    cli::{DoctorArgs, Format},
    doctor::{Diagnosis, Mend, examine},
    reach::{reach, server_client, server_secret},
    settings::Settings,
};

/// Says what disagrees, and mends it if it is asked to.
pub async fn run(args: &DoctorArgs) -> Result<Verdict> {
    let settings = Settings::of(&args.report.place)?.config;
    // What only a running server can be asked.
    server_client(&settings)?;
    let reached = reach(&settings).await?;
    let mend = if args.repair { Mend::Yes } else { Mend::No };
    let control = server_secret(&settings)?.derive("control");
    let data = settings.data_dir();
    let found = examine(reached.placement.as_ref(), (&control, &data), mend).await;
    reached.leave().await;
    let found = found?;
    match args.report.format {
        Format::Json => json(&found)?,
        Format::Table => print(&found)?,
    }
    Ok(if found.healthy { Verdict::Well } else { Verdict::Broken })
}

fn print(found: &Diagnosis) -> Result<()> {
    if found.findings.is_empty() {
        let (processes, modules) = (found.processes, found.modules);
        return say(format!(
            "{modules} modules, {processes} processes: rows, placement and seats agree, and no carve has left anything"
        ));
    }
    let mut shown = table(&["", "what", "module", "at", "detail"]);
    for finding in &found.findings {
        let word = if finding.mended { "mended" } else { "WRONG" };
        shown.add_row([word, finding.kind, &finding.module, &finding.at, &finding.detail]);
    }
    say(shown)?;
    let repairs = found.findings.iter().any(|finding| !finding.mended && finding.kind != "away");
    if repairs {
        say("banyan doctor --repair mends what can be mended without a decision")
    } else {
        Ok(())
    }
}
