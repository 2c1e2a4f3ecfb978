//! `banyan bench`.

mod carves;
mod toggles;

use anyhow::{Result, ensure};
use futures_util::{StreamExt, stream};
use placement_api::Step;

use super::{
    Verdict,
    tables::{json, say, table},
};
use crate::{
    cli::{BenchCommand, FaultsArgs, Format},
    faults::{Cell, Fault, STEPS, Struck, Way, strike},
    shows::Seen,
};

/// Shows what is asked for.
pub async fn run(wish: &BenchCommand) -> Result<Verdict> {
    match wish {
        BenchCommand::Faults(wish) => faults(wish).await,
        BenchCommand::Toggles(wish) => toggles::run(wish).await,
        BenchCommand::Carves(wish) => carves::run(wish).await,
    }
}

/// Tells people what a show does; whoever reads JSON is told nothing.
fn teller(format: Format) -> impl Fn(&str) {
    move |line| {
        if format == Format::Table {
            // Whoever reads may have gone; the show goes on to its end, where it cleans up.
            drop(say(format!("- {line}")));
        }
    }
}

/// What clients saw, for people.
fn seen(seen: &Seen) -> Result<()> {
    let traded = &seen.traded;
    let rates: Vec<_> = traded.orders_per_second.iter().map(|rate| format!("{rate:.0}")).collect();
    say(format!(
        "the file, {} times: {} documents, {} requests answered, {} orders/s",
        traded.rounds,
        traded.documents,
        traded.answered,
        rates.join(", ")
    ))?;
    for (problem, count) in &traded.errors {
        say(format!("  ERROR {count} x {problem}"))?;
    }
    traded.told.iter().try_for_each(|refusal| say(format!("  REFUSED {refusal}")))?;
    traded.cut_off.iter().try_for_each(|why| say(format!("  CUT OFF {why}")))?;
    say(format!(
        "the buyers: {} requests answered, {} errors; {} orders acknowledged, {} lost, {} doubled; verify {}",
        seen.answered,
        seen.errors,
        seen.balance.acknowledged,
        seen.balance.lost,
        seen.balance.doubled,
        if seen.verified { "holds" } else { "IS BROKEN" }
    ))?;
    seen.told.iter().try_for_each(|error| say(format!("  ERROR {error}")))
}

/// Strikes carves at their steps.
async fn faults(args: &FaultsArgs) -> Result<Verdict> {
    let cells = cells(args)?;
    let struck = stream::iter(cells).map(|cell| strike(cell, &args.server));
    let mut struck = struck.buffered(args.at_once.max(1));
    let mut all = Vec::new();
    while let Some(struck) = struck.next().await {
        if args.format == Format::Table {
            say(line(&struck))?;
        }
        all.push(struck);
    }
    let well = all.iter().filter(|struck| struck.is_well()).count();
    let hit = all.iter().filter(|struck| struck.hit).count();
    match args.format {
        Format::Json => json(&all)?,
        Format::Table => {
            print(&all)?;
            say(format!("{well} of {} ended as they must; {hit} were struck", all.len()))?;
        }
    }
    Ok(if well == all.len() { Verdict::Well } else { Verdict::Broken })
}

fn steps(names: &[String]) -> Result<Vec<Step>> {
    if names.is_empty() {
        return Ok(STEPS.to_vec());
    }
    let mut steps = Vec::new();
    for name in names {
        let known = STEPS.into_iter().find(|step| step.as_str() == name);
        let all = STEPS.map(Step::as_str).join(", ");
        ensure!(known.is_some(), "there is no step `{name}`; there are {all}");
        steps.extend(known);
    }
    Ok(steps)
}

fn cells(args: &FaultsArgs) -> Result<Vec<Cell>> {
    let faults = if args.faults.is_empty() { Fault::ALL.to_vec() } else { args.faults.clone() };
    let ways = if args.ways.is_empty() { Way::ALL.to_vec() } else { args.ways.clone() };
    let mut cells = Vec::new();
    for step in steps(&args.steps)? {
        for way in &ways {
            for fault in &faults {
                let cell = |turn| Cell { pair: args.pair, way: *way, step, fault: *fault, turn };
                cells.extend((0..args.times).map(cell));
            }
        }
    }
    Ok(cells)
}

fn word(struck: &Struck) -> &'static str {
    match (struck.is_well(), struck.hit) {
        (false, _) => "WRONG",
        (true, true) => "ok",
        (true, false) => "-",
    }
}

fn name(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn line(struck: &Struck) -> String {
    let Cell { way, step, fault, .. } = &struck.cell;
    let (word, seconds) = (word(struck), struck.seconds);
    format!(
        "{word:5} {} x {} on the way {} ({seconds:.1} s)",
        step.as_str(),
        name(fault),
        name(way)
    )
}

fn print(all: &[Struck]) -> Result<()> {
    let columns = ["", "way", "step", "struck at", "fault", "ended", "owner", "orders", "lost"];
    let mut shown = table(&[&columns[..], &["doubled", "verify", "doctor", "trouble"]].concat());
    for struck in all {
        let yes = |is: bool| if is { "ok" } else { "WRONG" }.to_owned();
        let Cell { way, step, fault, .. } = &struck.cell;
        shown.add_row([
            word(struck).to_owned(),
            name(way),
            step.as_str().to_owned(),
            struck.struck_at.map_or("", Step::as_str).to_owned(),
            name(fault),
            struck.outcome.map(name).unwrap_or_default(),
            struck.owner.clone(),
            struck.balance.acknowledged.to_string(),
            struck.balance.lost.to_string(),
            struck.balance.doubled.to_string(),
            yes(struck.verified),
            yes(struck.healthy),
            struck.trouble.clone().unwrap_or_default(),
        ]);
    }
    say(shown)
}
