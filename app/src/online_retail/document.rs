//! What an invoice means to the shop: a sale, a return, a stock adjustment, a bad debt.

use kernel_api::{Exact, Sku, Timestamp, UnitPrice};

use super::row::{Listed, Problem, Row};

/// The codes that name no product: postage, carriage, discount, manual, samples, bank charges, fees, donations, bad
/// debt. They are lines of an order that move money and no stock.
pub const SERVICE_CODES: [&str; 10] =
    ["POST", "DOT", "C2", "D", "M", "S", "BANK CHARGES", "AMAZONFEE", "CRUK", "B"];

/// The largest sum of one document: what payments take in one operation.
const TOTAL_MICROS_MAX: u64 = 1_000_000_000_000_000;

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its number, with its letter.
    pub invoice: String,
    /// The time of its first row.
    pub at: Timestamp,
    /// Who bought, where that is known.
    pub customer: Option<String>,
    /// Where to.
    pub country: String,
    /// What it means.
    pub kind: Kind,
    /// Its lines, in the order of the rows; never empty.
    pub lines: Vec<Line>,
}

/// What an invoice means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An order, paid. Quantities are positive; a price of 0 is a line for free.
    Sale,
    /// Goods that came back and services credited (`C`). Quantities are negative, as in the file.
    Return,
    /// A correction of stock without money. Quantities have their sign; the description is the reason.
    StockAdjustment,
    /// A correction of the books without goods (`A`).
    BadDebt,
}

/// A row of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line of the file.
    pub number: u64,
    /// What was sold.
    pub article: Article,
    /// Its name or the reason, with its spaces.
    pub description: String,
    /// Units, signed.
    pub quantity: i64,
    /// Per unit.
    pub price: UnitPrice,
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Article {
    /// A product, kept in stock.
    Goods(Sku),
    /// One of [`SERVICE_CODES`].
    Service(String),
}

impl Line {
    /// Quantity times price, unrounded. Fits: rows whose product does not fit are listed when they are read.
    pub fn exact(&self) -> Exact {
        Exact::new(self.price.micros.saturating_mul(self.quantity), self.price.currency)
    }

    /// The product, when it is one.
    pub fn sku(&self) -> Option<&Sku> {
        match &self.article {
            Article::Goods(sku) => Some(sku),
            Article::Service(_) => None,
        }
    }
}

impl Document {
    /// The lines of products, each with its SKU.
    pub fn goods(&self) -> impl Iterator<Item = (&Sku, &Line)> {
        self.lines.iter().filter_map(|line| line.sku().map(|sku| (sku, line)))
    }

    /// The lines of services, each with its code.
    pub fn services(&self) -> impl Iterator<Item = (&str, &Line)> {
        self.lines.iter().filter_map(|line| match &line.article {
            Article::Service(code) => Some((code.as_str(), line)),
            Article::Goods(_) => None,
        })
    }

    /// The unrounded sum of its lines in millionths; nothing when it does not fit.
    pub fn micros(&self) -> Option<i64> {
        self.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.exact().micros))
    }

    /// Makes the document of an invoice's rows, in their order; rows that contradict it are listed. Nothing when no row
    /// is left.
    pub fn of(rows: Vec<Row>, listed: &mut Vec<Listed>) -> Option<Self> {
        let first = rows.first()?;
        let kind = kind(first, &rows);
        let mut document = Self {
            invoice: first.invoice.clone(),
            at: first.at,
            customer: first.customer.clone(),
            country: first.country.clone(),
            kind,
            lines: Vec::with_capacity(rows.len()),
        };
        for row in rows {
            match contradiction(&document, &row) {
                None => document.lines.push(line(row)),
                Some(problem) => listed.push(row.listed(problem)),
            }
        }
        if let Some(excess) = excess(&document) {
            listed.extend(document.lines.iter().map(|line| Listed {
                number: line.number,
                invoice: document.invoice.clone(),
                problem: Problem::TooLarge(excess),
                micros: Some(line.exact().micros),
            }));
            return None;
        }
        (!document.lines.is_empty()).then_some(document)
    }
}

/// What of the document is beyond what the shop takes in one.
fn excess(document: &Document) -> Option<&'static str> {
    if document.lines.len() > ordering_api::LINES_MAX {
        return Some("more than 2,000 rows");
    }
    let fits = document.micros().is_some_and(|micros| micros.unsigned_abs() <= TOTAL_MICROS_MAX);
    (!fits).then_some("a sum beyond a thousand million")
}

/// An invoice is a sale when anyone paid for any of it, or a customer is known: a row for free among priced ones is
/// goods that left, not stock that was found. Only an invoice where nothing has a price corrects stock.
fn kind(first: &Row, rows: &[Row]) -> Kind {
    if first.invoice.starts_with('C') {
        Kind::Return
    } else if first.invoice.starts_with('A') {
        Kind::BadDebt
    } else if first.customer.is_none() && rows.iter().all(|row| row.price.micros == 0) {
        Kind::StockAdjustment
    } else {
        Kind::Sale
    }
}

fn contradiction(document: &Document, row: &Row) -> Option<Problem> {
    if row.customer != document.customer {
        return Some(Problem::Inconsistent { what: "customer" });
    }
    if row.country != document.country {
        return Some(Problem::Inconsistent { what: "country" });
    }
    let is_service = SERVICE_CODES.contains(&row.code.as_str());
    if !is_service && row.code.parse::<Sku>().is_err() {
        return Some(Problem::Cell {
            column: "StockCode",
            text: row.code.clone(),
            wants: "is no SKU (letters, digits, `_`, `-`, `.` or `/`)",
        });
    }
    match document.kind {
        Kind::Sale if row.quantity < 0 => Some(Problem::Sign("a negative quantity in a sale")),
        Kind::Sale if row.price.micros < 0 => Some(Problem::Sign("a negative price in a sale")),
        Kind::Return if row.quantity > 0 => Some(Problem::Sign("a positive quantity in a return")),
        Kind::Return if row.price.micros < 0 => Some(Problem::Sign("a negative price in a return")),
        Kind::StockAdjustment if is_service => Some(Problem::NoProduct { code: row.code.clone() }),
        Kind::BadDebt if !is_service => Some(Problem::Sign("goods in a bad-debt invoice")),
        Kind::Sale | Kind::Return | Kind::StockAdjustment | Kind::BadDebt => None,
    }
}

fn line(row: Row) -> Line {
    let article = match row.code.parse::<Sku>() {
        Ok(sku) if !SERVICE_CODES.contains(&row.code.as_str()) => Article::Goods(sku),
        Ok(_) | Err(_) => Article::Service(row.code),
    };
    Line {
        number: row.number,
        article,
        description: row.description,
        quantity: row.quantity,
        price: row.price,
    }
}
