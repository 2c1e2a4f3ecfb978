//! The bodies of the requests, written straight from the file's documents.

use bytes::{BufMut, Bytes, BytesMut};
use kernel_api::{Currency, Id, Sku, UnitPrice};
use ordering_api::{Customer, ServiceKind};
use serde::{Serialize, Serializer};

use super::known::Known;
use crate::{
    import::service_kind,
    online_retail::{Article, Document, Line},
};

/// The longest reason that inventory keeps, in characters.
const REASON_LENGTH_MAX: usize = 200;

/// What adjusts stock without saying why.
const NO_REASON: &str = "stock adjustment";

/// `POST /v1/carts`, filled at once.
#[derive(Serialize)]
struct Cart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Id<Customer>>,
    reference: &'a str,
    currency: Currency,
    lines: Each<'a, Goods<'a>>,
    services: Each<'a, Service<'a>>,
}

/// `POST /v1/returns` where nobody names the sale.
#[derive(Serialize)]
struct Return<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Id<Customer>>,
    reference: &'a str,
    currency: Currency,
    lines: Each<'a, Goods<'a>>,
    services: Each<'a, Service<'a>>,
}

/// `POST /v1/adjustments`.
#[derive(Serialize)]
struct BookAdjustment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Id<Customer>>,
    reference: &'a str,
    currency: Currency,
    lines: Each<'a, Service<'a>>,
}

/// `POST /v1/stock/adjustments`.
#[derive(Serialize)]
struct StockAdjustment<'a> {
    reference: &'a str,
    reason: &'a str,
    lines: Each<'a, Change<'a>>,
}

#[derive(Serialize)]
struct Goods<'a> {
    sku: &'a Sku,
    quantity: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<UnitPrice>,
}

#[derive(Serialize)]
struct Service<'a> {
    kind: ServiceKind,
    code: &'a str,
    title: &'a str,
    quantity: i64,
    unit_price: UnitPrice,
}

#[derive(Serialize)]
struct Change<'a> {
    sku: &'a Sku,
    change: i64,
}

/// What a document's lines become, one by one.
struct Each<'a, T> {
    document: &'a Document,
    of: &'a dyn Fn(&'a Line) -> Option<T>,
}

impl<T: Serialize> Serialize for Each<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.document.lines.iter().filter_map(self.of))
    }
}

/// A body that is written again and again into the same memory.
#[derive(Debug, Default)]
pub struct Body(BytesMut);

impl Body {
    /// The cart of a sale: a row's price where it is not the catalog's.
    pub fn cart(&mut self, document: &Document, known: &Known) -> Bytes {
        self.write(&Cart {
            customer: customer(document, known),
            reference: &document.invoice,
            currency: Currency::GBP,
            lines: Each {
                document,
                of: &|line| {
                    let sku = line.sku()?;
                    let unit_price = (!known.costs(sku, line.price)).then_some(line.price);
                    Some(Goods { sku, quantity: line.quantity, unit_price })
                },
            },
            services: Each { document, of: &|line| service(line, Sign::Kept) },
        })
    }

    /// A return: each row gives back its own price, whatever sale it is matched to.
    pub fn give_back(&mut self, document: &Document, known: &Known) -> Bytes {
        self.write(&Return {
            customer: customer(document, known),
            reference: &document.invoice,
            currency: Currency::GBP,
            lines: Each {
                document,
                of: &|line| {
                    let unit_price = Some(line.price);
                    Some(Goods { sku: line.sku()?, quantity: -line.quantity, unit_price })
                },
            },
            services: Each { document, of: &|line| service(line, Sign::Turned) },
        })
    }

    /// A correction of stock.
    pub fn stock_adjustment(&mut self, document: &Document) -> Bytes {
        let reason = reason(document);
        self.write(&StockAdjustment {
            reference: &document.invoice,
            reason: &reason,
            lines: Each {
                document,
                of: &|line| Some(Change { sku: line.sku()?, change: line.quantity }),
            },
        })
    }

    /// A correction of the books.
    pub fn book_adjustment(&mut self, document: &Document, known: &Known) -> Bytes {
        self.write(&BookAdjustment {
            customer: customer(document, known),
            reference: &document.invoice,
            currency: Currency::GBP,
            lines: Each { document, of: &|line| service(line, Sign::Kept) },
        })
    }

    /// Any value.
    pub fn write(&mut self, value: &impl Serialize) -> Bytes {
        serde_json::to_writer((&mut self.0).writer(), value)
            .expect("memory takes what is written, and no map has odd keys");
        self.0.split().freeze()
    }
}

/// What becomes of a row's sign.
#[derive(Clone, Copy)]
enum Sign {
    Kept,
    Turned,
}

/// A service of the document. The shop wants quantities above zero and takes prices of either sign.
fn service(line: &Line, sign: Sign) -> Option<Service<'_>> {
    let Article::Service(code) = &line.article else { return None };
    let negative = (line.quantity < 0) == matches!(sign, Sign::Kept);
    let micros = if negative { -line.price.micros } else { line.price.micros };
    Some(Service {
        kind: service_kind(code),
        code,
        title: line.description.trim(),
        quantity: line.quantity.abs(),
        unit_price: UnitPrice::new(micros, line.price.currency),
    })
}

fn customer(document: &Document, known: &Known) -> Option<Id<Customer>> {
    known.customers.get(document.customer.as_ref()?).copied()
}

/// The reasons of a document's rows, each once.
fn reason(document: &Document) -> String {
    let mut reasons: Vec<&str> = Vec::new();
    for line in &document.lines {
        let text = line.description.trim();
        if !text.is_empty() && !reasons.contains(&text) {
            reasons.push(text);
        }
    }
    if reasons.is_empty() {
        return NO_REASON.to_owned();
    }
    reasons.join("; ").chars().take(REASON_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests;
