//! Rows to invoices: an invoice may span two minutes, and another's rows may stand between its own.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use kernel_api::Timestamp;

use super::{Item, document::Document, row::Problem, row::Row};

/// How long an invoice stays open after its last row. The real ones end within a minute; the bound is what lets a file
/// of any length be read in little memory.
const OPEN_MINUTES: i64 = 10;
const OPEN_MICROS: i64 = OPEN_MINUTES * 60 * 1_000_000;

/// The invoices that are open, in the order of their first rows.
#[derive(Default)]
pub struct Grouping {
    open: BTreeMap<u64, Vec<Row>>,
    by_invoice: HashMap<String, u64>,
    /// The numbers of what was closed, to tell a late row from a new invoice.
    closed: HashSet<String>,
    next: u64,
    latest: Timestamp,
}

impl Grouping {
    /// Takes a row; gives out the invoices that ended before it.
    pub fn take(&mut self, row: Row, out: &mut VecDeque<Item>) {
        if row.at > self.latest {
            self.latest = row.at;
            self.close_before(row.at.micros().saturating_sub(OPEN_MICROS), out);
        }
        if self.closed.contains(&row.invoice) {
            out.push_back(Item::Listed(row.listed(Problem::Late { minutes: OPEN_MINUTES })));
            return;
        }
        let place = *self.by_invoice.entry(row.invoice.clone()).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.open.entry(place).or_default().push(row);
    }

    /// Gives out everything that is still open.
    pub fn end(&mut self, out: &mut VecDeque<Item>) {
        self.close_before(i64::MAX, out);
    }

    /// Closes from the front only, so that documents come in the order of their first rows.
    fn close_before(&mut self, limit: i64, out: &mut VecDeque<Item>) {
        while let Some(first) = self.open.first_entry() {
            let is_over = first.get().iter().all(|row| row.at.micros() < limit);
            if !is_over {
                return;
            }
            let rows = first.remove();
            if let Some(row) = rows.first() {
                self.by_invoice.remove(&row.invoice);
                self.closed.insert(row.invoice.clone());
            }
            let mut listed = Vec::new();
            let document = Document::of(rows, &mut listed);
            out.extend(document.map(Item::Document));
            out.extend(listed.into_iter().map(Item::Listed));
        }
    }
}
