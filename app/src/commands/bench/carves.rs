//! `banyan bench carves`.

use anyhow::Result;
use comfy_table::{CellAlignment, Table};

use super::{
    super::{
        Verdict,
        tables::{json, say, table},
    },
    seen, teller,
};
use crate::{
    cli::{CarvesArgs, Format},
    shows::carves::{Felt, MODULES, Moved, PAUSE_P99_MS, Shown, millis, show},
};

/// Moves modules to a server and back while a file is traded.
pub async fn run(args: &CarvesArgs) -> Result<Verdict> {
    let tell = teller(args.show.format);
    let modules = match args.modules.as_slice() {
        [] => MODULES.map(str::to_owned).to_vec(),
        modules => modules.to_vec(),
    };
    let course = (modules.as_slice(), args.cycles);
    let shown = show(&args.show.wish(), course, &tell, |moved| tell(&line(moved))).await?;
    match args.show.format {
        Format::Json => json(&shown)?,
        Format::Table => print(&shown)?,
    }
    Ok(if shown.clean { Verdict::Well } else { Verdict::Broken })
}

fn line(moved: &Moved) -> String {
    let word = if moved.clean { "ok" } else { "WRONG" };
    let (module, to, pause) = (&moved.module, &moved.to, moved.pause_ms());
    format!("{word} {module} to {to} ({:.1} s, {pause:.1} ms of pause)", moved.seconds)
}

fn print(shown: &Shown) -> Result<()> {
    say(moves(&shown.moves))?;
    say(pauses(&shown.moves))?;
    say(felt(&shown.others_by_step))?;
    for moved in &shown.moves {
        let what = format!("{} to {}", moved.module, moved.to);
        moved.faults.iter().try_for_each(|fault| say(format!("  FAULT {what}: {fault}")))?;
    }
    for (problem, count) in &shown.probes_failed {
        say(format!("  ERROR {count} x {problem}"))?;
    }
    seen(&shown.seen)?;
    let pause = &shown.pause_ms;
    say(format!(
        "pause of {} moves: p50 {:.1}, p99 {:.1} (target {PAUSE_P99_MS:.0}), max {:.1} ms; p99 of other modules' requests: \
         to the switch {:.2} of before, from the switch on {:.2} of after; doctor {}",
        shown.moves.len(),
        pause.p50,
        pause.p99,
        pause.max,
        shown.others_ratio.0,
        shown.others_ratio.1,
        if shown.healthy { "finds nothing" } else { "FINDS SOMETHING" }
    ))?;
    let word = if shown.clean { "nobody noticed" } else { "SOMETHING WENT WRONG" };
    say(format!("{word}, in {:.1} s", shown.seconds))
}

fn moves(all: &[Moved]) -> Table {
    let columns = ["", "module", "to", "rows", "MB", "copy s", "rows/s", "pause ms", "tries"];
    let others = ["others p99 ms: before", "to switch", "from switch", "after", "s"];
    let mut shown = table(&[&columns[..], &others].concat());
    for moved in all {
        shown.add_row([
            if moved.clean { "ok" } else { "WRONG" }.to_owned(),
            moved.module.clone(),
            moved.to.clone(),
            moved.rows.to_string(),
            megabytes(moved.bytes),
            format!("{:.2}", moved.copy_seconds),
            format!("{:.0}", moved.rows_per_second()),
            format!("{:.1}", moved.pause_ms()),
            moved.tries.to_string(),
            format!("{:.1}", moved.others.before_ms),
            format!("{:.1}", moved.others.leaving_ms),
            format!("{:.1}", moved.others.arriving_ms),
            format!("{:.1}", moved.others.after_ms),
            format!("{:.1}", moved.seconds),
        ]);
    }
    to_the_right(&mut shown, 3);
    shown
}

/// Where the time of each pause went.
fn pauses(all: &[Moved]) -> Table {
    let parts =
        ["hold", "near", "lock", "follow", "commit", "flip", "record", "release", "in all, ms"];
    let mut shown = table(&[&["module", "to"][..], &parts].concat());
    for moved in all {
        let pause = &moved.pause;
        let parts = [pause.hold_us, pause.near_us, pause.lock_us, pause.follow_us];
        let rest =
            [pause.commit_us, pause.flip_us, pause.record_us, pause.release_us, pause.total_us];
        let parts = parts.into_iter().chain(rest).map(|us| format!("{:.1}", millis(us)));
        shown.add_row([moved.module.clone(), moved.to.clone()].into_iter().chain(parts));
    }
    to_the_right(&mut shown, 2);
    shown
}

/// What modules that did not move felt of each step.
fn felt(all: &[Felt]) -> Table {
    let mut shown = table(&["step", "s, all moves", "requests to others", "p99 ms"]);
    for felt in all {
        shown.add_row([
            felt.step.as_str().to_owned(),
            format!("{:.2}", felt.seconds),
            felt.requests.to_string(),
            format!("{:.1}", felt.p99_ms),
        ]);
    }
    to_the_right(&mut shown, 1);
    shown
}

fn to_the_right(table: &mut Table, words: usize) {
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
