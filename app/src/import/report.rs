//! What an import says when it is done.

use std::{collections::BTreeMap, path::Path, time::Duration};

use kernel_api::{Currency, Exact};
use serde::Serialize;

use super::steps::Counts;
use crate::online_retail::{Kind, Listed, Scan};

/// What became of the file.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// SHA-256 of its text.
    pub hash: String,
    /// Its data rows.
    pub rows: u64,
    /// Its documents, by kind.
    pub documents: BTreeMap<&'static str, u64>,
    /// How many documents this run added.
    pub documents_new: u64,
    /// How many were there already.
    pub documents_known: u64,
    /// Customers added.
    pub customers_new: u64,
    /// Products added.
    pub products_new: u64,
    /// Units of opening stock added.
    pub opening_units_new: i64,
    /// The exact sum of all rows that are in the books, as a decimal string.
    pub net: String,
    /// The exact sum of the rows that are listed, as far as they can be read.
    pub listed_net: String,
    /// The rows that are not in the books, and why.
    pub listed: Vec<Listed>,
    /// How long it took.
    pub seconds: f64,
    /// Rows per second.
    pub rows_per_second: f64,
}

/// What a run added.
pub struct Booked {
    /// Products.
    pub products: u64,
    /// Customers.
    pub customers: u64,
    /// Units of opening stock.
    pub opened: i64,
    /// Documents.
    pub documents: Counts,
}

impl Report {
    /// The report of a run.
    pub fn new(path: &Path, scan: &Scan, booked: Booked, took: Duration) -> Self {
        let amount = |micros| Exact::new(micros, Currency::GBP).amount();
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rows = scan.rows as f64;
        Self {
            file: path.display().to_string(),
            hash: scan.hash.clone(),
            rows: scan.rows,
            documents: scan.documents.iter().map(|(kind, count)| (name(*kind), *count)).collect(),
            documents_new: booked.documents.new,
            documents_known: booked.documents.known,
            customers_new: booked.customers,
            products_new: booked.products,
            opening_units_new: booked.opened,
            net: amount(scan.net_micros),
            listed_net: amount(scan.listed_micros),
            listed: scan.listed.clone(),
            seconds: took.as_secs_f64(),
            rows_per_second: rows / took.as_secs_f64().max(f64::MIN_POSITIVE),
        }
    }

    /// The report in lines for people.
    pub fn lines(&self) -> Vec<String> {
        let kinds: Vec<_> =
            self.documents.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        let mut lines = vec![
            format!(
                "{}: {} rows in {:.1} s ({:.0} rows/s)",
                self.file, self.rows, self.seconds, self.rows_per_second
            ),
            format!(
                "documents: {kinds}; {} new, {} known",
                self.documents_new, self.documents_known
            ),
            format!(
                "new: {} products, {} customers, {} units of opening stock",
                self.products_new, self.customers_new, self.opening_units_new
            ),
            format!("net of all rows in the books: {} GBP", self.net),
        ];
        if !self.listed.is_empty() {
            lines.push(format!("not in the books ({} GBP):", self.listed_net));
            lines.extend(self.listed.iter().map(|listed| format!("  {listed}")));
        }
        lines
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sale => "sales",
        Kind::Return => "returns",
        Kind::StockAdjustment => "stock adjustments",
        Kind::BadDebt => "bad debts",
    }
}
