//! Batches: documents as the modules take them, cut at the same places in every run.

use std::collections::HashMap;

use inventory_api::{Change, Location, Movement, MovementKind};
use kernel_api::{Currency, Exact, Id, Timestamp};
use ordering_api::{
    Customer, ImportedAdjustment, ImportedDocument, ImportedOrder, ImportedReturn, LineKind,
    ServiceKind,
};
use payments_api::HistoryRecord;

use crate::online_retail::{Article, Document, Kind, Line, derived};

/// The most documents of a batch: a fraction of a second of each module's writer.
const DOCUMENTS_MAX: usize = 200;

/// The most rows of a batch, unless one document has more.
const ROWS_MAX: usize = 3_000;

/// The customers whom the shop knows by another id than [`customer_id`], for they were registered before the file came;
/// by their references.
pub type Known = HashMap<String, Id<Customer>>;

/// Some documents, ready for each module.
pub struct Batch {
    /// Its number, from 1.
    pub number: u64,
    /// How many rows of the file it stands for.
    pub rows: u64,
    /// For inventory, in order; may be empty.
    pub movements: Vec<Movement>,
    /// For ordering; may be empty.
    pub documents: Vec<ImportedDocument>,
    /// For payments: the charges of its orders.
    pub charges: Vec<HistoryRecord>,
    /// When the returns among the documents were made, by their number.
    pub returned_at: HashMap<String, Timestamp>,
}

/// Cuts documents into batches.
pub struct Batches {
    source: String,
    known: Known,
    number: u64,
    batch: Batch,
}

impl Batches {
    /// Batches of this source.
    pub fn new(source: String, known: Known) -> Self {
        Self { source, known, number: 1, batch: Batch::empty(1) }
    }

    /// Takes a document; gives the batch that ends before it.
    pub fn take(&mut self, document: Document) -> Option<Batch> {
        let rows = u64::try_from(document.lines.len()).unwrap_or(0);
        let rows_after = self.batch.rows.saturating_add(rows);
        let is_full = self.batch.documents.len() >= DOCUMENTS_MAX
            || usize::try_from(rows_after).unwrap_or(usize::MAX) > ROWS_MAX;
        let ended = (is_full && self.batch.rows > 0).then(|| self.next());
        self.batch.add(&self.source, &self.known, document);
        self.batch.rows += rows;
        ended
    }

    /// The last batch, unless it is empty.
    pub fn rest(mut self) -> Option<Batch> {
        (self.batch.rows > 0).then(|| self.next())
    }

    fn next(&mut self) -> Batch {
        self.number += 1;
        std::mem::replace(&mut self.batch, Batch::empty(self.number))
    }
}

impl Batch {
    fn empty(number: u64) -> Self {
        Self {
            number,
            rows: 0,
            movements: Vec::new(),
            documents: Vec::new(),
            charges: Vec::new(),
            returned_at: HashMap::new(),
        }
    }

    fn add(&mut self, source: &str, known: &Known, document: Document) {
        let kind = match document.kind {
            Kind::Sale => Some((MovementKind::Sold, -1)),
            Kind::Return => Some((MovementKind::Returned, -1)),
            Kind::StockAdjustment => Some((MovementKind::Adjusted, 1)),
            Kind::BadDebt => None,
        };
        if let Some((kind, sign)) = kind {
            self.movements.extend(movements(&document, kind, sign));
        }
        let by_reference =
            |reference| known.get(reference).copied().unwrap_or_else(|| customer_id(reference));
        let customer = document.customer.as_deref().map(by_reference);
        let rows = i64::try_from(document.lines.len()).unwrap_or(i64::MAX);
        let (reference, at, currency) = (document.invoice.clone(), document.at, Currency::GBP);
        let lines = || document.lines.iter().map(line).collect();
        let facts = ["online-retail", source, &document.invoice];
        match document.kind {
            Kind::Sale => {
                let id = order_id(source, &document.invoice);
                let total = Exact::new(document.micros().unwrap_or_default(), currency).rounded();
                if total.minor > 0 {
                    let (payment, order) = (id.cast(), id.cast());
                    self.charges.push(HistoryRecord::Charge { payment, order, amount: total, at });
                }
                let order =
                    ImportedOrder { id, reference, customer, currency, lines: lines(), rows, at };
                self.documents.push(ImportedDocument::Order(order));
            }
            Kind::Return => {
                self.returned_at.insert(reference.clone(), at);
                let id = derived::id(&facts);
                let note =
                    ImportedReturn { id, reference, customer, currency, lines: lines(), rows, at };
                self.documents.push(ImportedDocument::Return(note));
            }
            Kind::BadDebt => {
                let id = derived::id(&facts);
                let lines = lines();
                let change =
                    ImportedAdjustment { id, reference, customer, currency, lines, rows, at };
                self.documents.push(ImportedDocument::Adjustment(change));
            }
            Kind::StockAdjustment => {}
        }
    }
}

/// The id that a customer gets who is new: the same from every file, since the retailer's numbers are.
pub fn customer_id(customer: &str) -> Id<Customer> {
    derived::id(&["online-retail", "customer", customer])
}

/// An order's id.
pub fn order_id(source: &str, invoice: &str) -> Id<ordering_api::Order> {
    derived::id(&["online-retail", source, invoice])
}

fn movements(document: &Document, kind: MovementKind, sign: i64) -> impl Iterator<Item = Movement> {
    document.goods().filter_map(move |(sku, line)| {
        let reason = match kind {
            MovementKind::Adjusted => line.description.trim().parse().ok(),
            MovementKind::Opening
            | MovementKind::Received
            | MovementKind::Sold
            | MovementKind::Returned => None,
        };
        Some(Movement {
            sku: sku.clone(),
            location: Location::MAIN,
            kind,
            // Within limits: the reader lists rows beyond what a line of the shop may have.
            quantity: Change::new(line.quantity * sign).ok()?,
            reason,
            reference: document.invoice.parse().ok()?,
            at: document.at,
        })
    })
}

fn line(line: &Line) -> ordering_api::Line {
    let kind = match &line.article {
        Article::Goods(sku) => LineKind::Goods { sku: sku.clone(), price_overridden: false },
        Article::Service(code) => {
            LineKind::Service { service: service_kind(code), code: code.clone() }
        }
    };
    ordering_api::Line {
        kind,
        title: line.description.clone(),
        quantity: line.quantity,
        unit_price: line.price,
    }
}

/// What a service code of the file stands for.
pub fn service_kind(code: &str) -> ServiceKind {
    match code {
        "POST" | "DOT" | "C2" => ServiceKind::Postage,
        "D" => ServiceKind::Discount,
        "S" => ServiceKind::Sample,
        "B" => ServiceKind::BadDebt,
        "BANK CHARGES" | "AMAZONFEE" | "CRUK" => ServiceKind::Fee,
        _ => ServiceKind::Manual,
    }
}
