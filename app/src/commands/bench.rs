//! `banyan bench`.

mod carves;
mod toggles;

use anyhow::{Result, ensure};

use super::{
    Verdict,
    tables::{json, say, table},
};
use crate::{
    cli::{BenchCommand, FaultsArgs, Format},
    faults::{Fault, STEPS, Struck, strike},
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
    let known = |name: &str| STEPS.into_iter().find(|step| step.as_str() == name);
    let mut steps = Vec::new();
    for name in &args.steps {
        let all = STEPS.map(placement_api::Step::as_str).join(", ");
        ensure!(known(name).is_some(), "there is no step `{name}`; there are {all}");
        steps.extend(known(name));
    }
    if steps.is_empty() {
        steps = STEPS.to_vec();
    }
    let faults = if args.faults.is_empty() { Fault::ALL.to_vec() } else { args.faults.clone() };
    let mut all = Vec::new();
    for step in steps {
        for fault in &faults {
            let struck = strike(step, *fault).await;
            if args.format == Format::Table {
                say(line(&struck))?;
            }
            all.push(struck);
        }
    }
    let well = all.iter().filter(|struck| struck.is_well()).count();
    match args.format {
        Format::Json => json(&all)?,
        Format::Table => {
            print(&all)?;
            say(format!("{well} of {} ended as they must", all.len()))?;
        }
    }
    Ok(if well == all.len() { Verdict::Well } else { Verdict::Broken })
}

fn line(struck: &Struck) -> String {
    let word = if struck.is_well() { "ok" } else { "WRONG" };
    let (step, fault, seconds) = (struck.step.as_str(), struck.fault, struck.seconds);
    format!("{word:5} {step} x {fault:?} ({seconds:.1} s)")
}

fn print(all: &[Struck]) -> Result<()> {
    let columns = ["", "step", "struck at", "fault", "ended", "owner", "orders", "lost", "doubled"];
    let mut shown = table(&[&columns[..], &["verify", "doctor", "trouble"]].concat());
    for struck in all {
        let yes = |is: bool| if is { "ok" } else { "WRONG" }.to_owned();
        shown.add_row([
            yes(struck.is_well()),
            struck.step.as_str().to_owned(),
            struck.struck_at.as_str().to_owned(),
            format!("{:?}", struck.fault),
            struck.outcome.map(|outcome| format!("{outcome:?}").to_lowercase()).unwrap_or_default(),
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
