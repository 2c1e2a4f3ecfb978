//! `banyan demo`.

use anyhow::Result;

use super::{
    Verdict,
    tables::{json, say},
};
use crate::{
    cli::{DemoArgs, Format},
    demo,
};

/// Shows a carve under load, from nothing.
pub async fn run(args: &DemoArgs) -> Result<Verdict> {
    let quiet = args.format == Format::Json;
    let tell = |line: &str| {
        if !quiet {
            // Whoever reads may have gone; the demonstration ends all the same.
            drop(say(format!("- {line}")));
        }
    };
    let shown = demo::show(tell).await?;
    if quiet {
        json(&shown)?;
    } else {
        let pause = shown.certificate.pointer("/switches/0/pause/total_us");
        let pause = pause.and_then(serde_json::Value::as_u64).unwrap_or_default();
        say(format!(
            "\n{} requests answered, {} errors seen by clients, the slowest took {} ms",
            shown.answered, shown.errors, shown.longest_ms
        ))?;
        say(format!(
            "inventory's writes stood still for {:.1} ms; {} of {} acknowledged orders lost, {} doubled; verify {}",
            micros(pause),
            shown.balance.lost,
            shown.balance.acknowledged,
            shown.balance.doubled,
            if shown.verified { "holds" } else { "IS BROKEN" }
        ))?;
        shown.told.iter().try_for_each(|error| say(format!("  ERROR {error}")))?;
        say(format!(
            "{} in {:.1} s; the certificate: banyan demo --format json",
            if shown.clean { "nothing was lost" } else { "SOMETHING WENT WRONG" },
            shown.seconds
        ))?;
    }
    Ok(if shown.clean { Verdict::Well } else { Verdict::Broken })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a pause is far below 2^52 µs, and is shown with one digit"
)]
fn micros(us: u64) -> f64 {
    us as f64 / 1000.0
}
