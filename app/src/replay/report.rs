//! What a replay says when it ends.

use std::{collections::BTreeMap, time::Duration};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::{
    Ended,
    figures::{Count, Figures, Latency, Refusal, Requests},
    lane::Step,
    per_second,
    plan::Plan,
    prepare::Prepared,
};

/// What became of the file.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// SHA-256 of the file's text.
    pub hash: String,
    /// Was every document traded to its end?
    pub complete: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<String>,
    /// What was brought in first.
    pub prepared: Prepared,
    /// How many documents there are to trade.
    pub documents_wanted: u64,
    /// How they ended, by kind.
    pub documents: BTreeMap<&'static str, Count>,
    /// Rows of the file that no document can take.
    pub rows_listed: usize,
    /// The exact sum of all documents that settled, as a decimal: what they add to the shop's books.
    pub net: String,
    /// How long the trade took, without the preparation.
    pub seconds: f64,
    /// Sales that became orders, per second.
    pub orders_per_second: f64,
    /// Documents of all kinds, per second.
    pub documents_per_second: f64,
    /// Rows of the file, per second.
    pub rows_per_second: f64,
    /// From when a document was due to its end, in milliseconds.
    pub document_latency: Latency,
    /// Requests by what they asked for; times in milliseconds.
    pub requests: Vec<Requests>,
    /// What was refused, and why.
    pub refusals: Vec<Refusal>,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        prepared: Prepared,
        figures: &Figures,
        took: Duration,
        ended: Ended,
    ) -> Self {
        let cut_off = match ended {
            Ended::Complete => None,
            Ended::Interrupted => Some("interrupted; run it again to go on".to_owned()),
            Ended::Away(away) => Some(format!("{away}; run it again to go on")),
        };
        Self {
            hash: plan.hash.clone(),
            complete: cut_off.is_none(),
            cut_off,
            prepared,
            documents_wanted: plan.documents,
            documents: figures.kinds(),
            rows_listed: plan.listed,
            net: figures.net(),
            seconds: took.as_secs_f64(),
            orders_per_second: per_second(figures.orders(), took),
            documents_per_second: per_second(figures.documents(), took),
            rows_per_second: per_second(figures.rows(), took),
            document_latency: figures.document_latency(),
            requests: figures.requests(),
            refusals: figures.refusals(),
        }
    }

    /// Was everything traded, and nothing refused?
    pub fn is_clean(&self) -> bool {
        self.complete && self.refusals.is_empty()
    }

    /// The report for people.
    pub fn lines(&self) -> Vec<String> {
        let Prepared { products, customers, units } = self.prepared;
        let mut lines = vec![
            format!(
                "brought in: {products} products, {customers} customers, {units} units of opening stock"
            ),
            self.documents_line(),
            format!(
                "in {:.1} s: {:.1} orders/s, {:.1} documents/s, {:.0} rows/s; net {} GBP",
                self.seconds,
                self.orders_per_second,
                self.documents_per_second,
                self.rows_per_second,
                self.net
            ),
        ];
        if self.rows_listed > 0 {
            lines.push(format!("{} rows are no part of any document", self.rows_listed));
        }
        lines.push(self.latency_table().to_string());
        for requests in &self.requests {
            for (problem, count) in &requests.retries {
                lines.push(format!(
                    "asked again: {} {count} times after: {problem}",
                    name(requests.step)
                ));
            }
        }
        for refusal in &self.refusals {
            lines.push(format!("refused: {} {}: {}", refusal.count, refusal.kind, refusal.why));
            lines.extend(refusal.examples.iter().map(|example| format!("  {example}")));
        }
        lines.extend(self.cut_off.iter().map(|why| format!("not complete: {why}")));
        lines
    }

    fn documents_line(&self) -> String {
        let kinds = self.documents.iter().map(|(kind, count)| match count.refused {
            0 => format!("{} {kind}", count.settled),
            refused => format!("{} {kind} ({refused} refused)", count.settled),
        });
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        format!("documents: {kinds}; {} wanted", self.documents_wanted)
    }

    fn latency_table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(["ms", "count", "p50", "p90", "p99", "p99.9", "max"]);
        table.add_row(latency_row("document", &self.document_latency));
        for requests in &self.requests {
            table.add_row(latency_row(name(requests.step), &requests.latency));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn latency_row(name: &str, latency: &Latency) -> Vec<String> {
    let Latency { count, p50, p90, p99, p999, max } = latency;
    let times = [p50, p90, p99, p999, max].map(|millis| format!("{millis:.2}"));
    [name.to_owned(), count.to_string()].into_iter().chain(times).collect()
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Prepare => "prepare",
        Step::Cart => "cart",
        Step::Checkout => "checkout",
        Step::FollowCheckout => "follow checkout",
        Step::Return => "return",
        Step::FollowReturn => "follow return",
        Step::StockAdjustment => "stock adjustment",
        Step::BookAdjustment => "book adjustment",
    }
}
