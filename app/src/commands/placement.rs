//! `banyan placement` and `banyan rehearse`.

use std::{io::Write, time::Duration};

use anyhow::{Context, Result};
use contract::Caller;
use http::Method;
use placement_api::{Ahead, Carve, Carves, Placed, Process, Readiness};
use serde::Serialize;

use super::tables::{json, say, table};
use crate::{
    cli::{Format, PlacementArgs, RehearseArgs},
    insist::{call, insist},
    placing::Rehearse,
    reach::{Reached, reach, server_client},
    settings::Settings,
};

/// How often `--watch` shows it anew.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Where everything is.
#[derive(Debug, Serialize)]
struct Placement {
    placed: Vec<Placed>,
    carves: Vec<Carve>,
    processes: Vec<Process>,
}

/// Shows where modules are, and what moves.
pub async fn show(args: &PlacementArgs) -> Result<()> {
    let settings = Settings::of(&args.report.place)?.config;
    // What only a running server can be asked.
    server_client(&settings)?;
    let reached = reach(&settings).await?;
    loop {
        let found = look(&reached).await?;
        match args.report.format {
            Format::Json => json(&found)?,
            Format::Table => {
                if args.watch {
                    // The top of an empty screen.
                    write!(std::io::stdout(), "\x1b[2J\x1b[H")?;
                }
                print(&found)?;
            }
        }
        if !args.watch {
            reached.leave().await;
            return Ok(());
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

async fn look(reached: &Reached) -> Result<Placement> {
    let placement = reached.placement.as_ref();
    let caller: Caller = "operator".parse().context("a caller")?;
    let ask = async || placement.placed(&call(&caller), ()).await;
    let placed = insist("where modules are", ask).await?.placed;
    let ask = async || placement.processes(&call(&caller), ()).await;
    let processes = insist("the processes", ask).await?;
    let ask = async || placement.carves(&call(&caller), Carves::default()).await;
    let carves = insist("the carves", ask).await?.items;
    Ok(Placement { placed, carves, processes })
}

fn print(found: &Placement) -> Result<()> {
    let mut modules = table(&["module", "owner", "epoch", "at", "moves"]);
    for placed in &found.placed {
        let moves = placed
            .moving
            .as_ref()
            .map(|moving| format!("{} -> {}: {}", moving.from, moving.to, moving.step.as_str()));
        modules.add_row([
            placed.module.to_string(),
            placed.owner.to_string(),
            placed.epoch.to_string(),
            placed.url.as_ref().map_or_else(|| "away".to_owned(), ToString::to_string),
            moves.unwrap_or_default(),
        ]);
    }
    say(modules)?;
    if !found.carves.is_empty() {
        let mut carves = table(&[
            "carve", "from", "to", "step", "rows", "rows/s", "lag", "reads", "eta", "says",
        ]);
        for carve in &found.carves {
            let progress = &carve.progress;
            let outcome = carve.outcome.map(|outcome| format!("{outcome:?}").to_lowercase());
            let paused = if carve.paused && outcome.is_none() { "paused; " } else { "" };
            carves.add_row([
                carve.module.to_string(),
                carve.from.to_string(),
                carve.to.to_string(),
                outcome.unwrap_or_else(|| carve.step.as_str().to_owned()),
                format!("{} of {}", progress.rows_copied, progress.rows),
                progress.rows_per_s.to_string(),
                progress.lag_rows.to_string(),
                progress.ahead.map(ahead).unwrap_or_default(),
                progress.eta_s.map(|s| format!("{s} s")).unwrap_or_default(),
                format!("{paused}{}", carve.says),
            ]);
        }
        say(carves)?;
    }
    let mut processes = table(&["process of", "internal", "public", "has open"]);
    for process in &found.processes {
        let open: Vec<_> = process.modules.iter().map(|housed| housed.module.to_string()).collect();
        processes.add_row([
            process.deployment.to_string(),
            process.url.to_string(),
            process.public_url.as_ref().map(ToString::to_string).unwrap_or_default(),
            open.join(", "),
        ]);
    }
    say(processes)
}

/// Reads that move ahead, for people.
fn ahead(ahead: Ahead) -> String {
    let Ahead { percent, answered } = ahead;
    if percent > 0 { format!("{percent} %, {answered}") } else { answered.to_string() }
}

/// What a carve would meet, for people.
pub fn print_readiness(found: &Readiness) -> Result<()> {
    let ready = if found.ready { "nothing stands in the way" } else { "NOT READY" };
    say(format!("{} from {} to {}: {ready}", found.module, found.from, found.to))?;
    for blocker in &found.blockers {
        say(format!("  {} ({}): {}", blocker.kind, blocker.about, blocker.detail))?;
    }
    let copy = found.copy_s.map(|s| format!(", about {s} s to copy")).unwrap_or_default();
    let (rows, bytes) = (found.size.rows, found.size.bytes);
    say(format!("  {rows} rows in {} tables, {bytes} bytes{copy}", found.size.tables.len()))?;
    if let Some(us) = found.added_us {
        say(format!(
            "  a call will take about {us} µs longer, measured over this machine's loopback or to --to"
        ))?;
    }
    let mut calls = table(&["caller", "callee", "calls", "a second"]);
    for count in &found.calls {
        let (number, per_s) = (count.calls.to_string(), count.per_s.to_string());
        calls.add_row([&count.caller, &count.callee.to_string(), &number, &per_s]);
    }
    if found.calls.is_empty() { Ok(()) } else { say(calls) }
}

/// Rehearses an extraction on live calls.
pub async fn rehearse(args: &RehearseArgs) -> Result<()> {
    let client = server_client(&Settings::of(&args.place)?.config)?;
    let wish = Rehearse {
        module: args.module.clone(),
        percent: args.calls,
        latency_us: u64::try_from(args.latency.get().as_micros()).unwrap_or(u64::MAX),
        loss_percent: args.loss,
    };
    let path = "/ops/seats/rehearse";
    let () = client.json(Method::POST, path, Some(&wish)).await.context("the rehearsal")?;
    let module = &args.module;
    if args.calls == 0 {
        return say(format!("{module}: no call is rehearsed any more"));
    }
    say(format!(
        "{module}: {} of 100 calls go as over a wire, {} µs each way, {} of 100 lost and asked again; until the server stops, \
         or `banyan rehearse {module} --calls 0%`",
        args.calls, wish.latency_us, args.loss
    ))?;
    say("compare http_request_duration of /metrics before and after: that is what callers will see")
}
