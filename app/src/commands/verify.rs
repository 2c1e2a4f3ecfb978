//! `banyan verify`.

use anyhow::Result;

use super::{
    Verdict,
    tables::{json, say, table},
};
use crate::{
    cli::{Format, ReportArgs},
    reach::reach,
    settings::Settings,
    verify::{self, Pace, Verification},
};

/// Checks the invariants over all modules.
pub async fn verify(args: &ReportArgs) -> Result<Verdict> {
    let settings = Settings::of(&args.place)?.config;
    let reached = reach(&settings).await?;
    let patience = settings.verify.patience.get();
    let found =
        verify::verify(&reached.modules, reached.operations.as_ref(), (patience, Pace::Full)).await;
    reached.leave().await;
    let found = found?;
    match args.format {
        Format::Json => json(&found)?,
        Format::Table => print(&found)?,
    }
    Ok(if found.holds { Verdict::Well } else { Verdict::Broken })
}

fn print(found: &Verification) -> Result<()> {
    let mut checks = table(&["", "invariant", "broken"]);
    for check in &found.checks {
        let broken = match check.broken {
            0 => String::new(),
            count => format!("{count}: {}", check.findings.join("\n")),
        };
        checks.add_row([if check.holds { "ok" } else { "BROKEN" }, check.invariant, &broken]);
    }
    say(checks)?;

    let mut figures = table(&["figure", "value"]);
    for (name, value) in lines(found) {
        figures.add_row([name, value]);
    }
    say(figures)?;
    let verdict = match (found.holds, found.settled) {
        (true, _) => "every invariant holds",
        (false, true) => "an invariant is broken",
        // Between two modules a fact is a moment younger in one of them: only a shop at rest can be judged.
        (false, false) => {
            "no verdict: the shop trades, and a difference may be work in flight; \
             ask again when it rests, or raise verify.patience"
        }
    };
    say(format!("{verdict} ({:.1} s)", found.seconds))
}

fn lines(found: &Verification) -> Vec<(String, String)> {
    let (books, stock) = (&found.books, &found.stock);
    let (orders, payments) = (&found.orders, &found.payments);
    let mut lines = vec![
        (format!("books: net ({})", books.currency), books.net.clone()),
        (
            "  of orders, returns, corrections".into(),
            format!("{} {} {}", books.orders, books.returns, books.adjustments),
        ),
        ("  rounded by document, rounding".into(), format!("{} {}", books.rounded, books.rounding)),
        (
            "  ledger: net, rounding account".into(),
            format!("{} {}", books.ledger_net, books.ledger_rounding),
        ),
    ];
    for source in &books.sources {
        lines.push((
            format!("file {}: net, in books", source.name),
            format!("{} {}", source.net, source.net_in_books),
        ));
        let rows = format!(
            "{} = {} in documents + {} stock only + {} listed",
            source.rows, source.document_rows, source.stock_rows, source.listed_rows
        );
        lines.push(("  rows".into(), rows));
    }
    lines.extend([
        (
            "stock: on hand, reserved".into(),
            format!("{} {} in {} levels", stock.on_hand, stock.reserved, stock.levels),
        ),
        (
            "  opening + received - sold + returned ± adjusted".into(),
            format!(
                "{} + {} - {} + {} ± {}",
                stock.opening, stock.received, -stock.sold, stock.returned, stock.adjusted
            ),
        ),
        (
            "orders: live, history, cancelled".into(),
            format!("{} {} {}", orders.live, orders.history, orders.cancelled),
        ),
        ("returns, corrections".into(), format!("{} {}", orders.returns, orders.adjustments)),
        ("payments: charges, credits".into(), format!("{} {}", payments.charges, payments.credits)),
        ("  captured, given back".into(), format!("{} {}", payments.captured, payments.refunded)),
        ("  ledger entries".into(), payments.ledger_entries.to_string()),
        ("sagas: running, stuck".into(), format!("{} {}", found.sagas.running, found.sagas.stuck)),
    ]);
    for feed in &found.feeds {
        lines.push((
            format!("feed: {} hears {}", feed.module, feed.source),
            format!(
                "{} of {}, {} parked, {} dead",
                feed.position, feed.head, feed.parked, feed.dead
            ),
        ));
    }
    lines
}
