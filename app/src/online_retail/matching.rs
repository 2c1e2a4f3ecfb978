//! Returns to sales: a cancellation carries no link to its sale, so the oldest sale of the same customer and product
//! that still has units out is taken to be meant.

use std::collections::{HashMap, VecDeque};

use kernel_api::Sku;

use super::document::{Document, Kind};

/// What customers hold, oldest first.
#[derive(Debug, Default)]
pub struct Sales {
    held: HashMap<(String, Sku), VecDeque<Held>>,
}

#[derive(Debug)]
struct Held {
    invoice: String,
    /// The index among the sale's lines.
    line: usize,
    units: i64,
}

/// A part of a return line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// The index among the return's lines.
    pub line: usize,
    /// The sale that it undoes; none where no sale of the customer has units left.
    pub sale: Option<SaleLine>,
    /// How many units, positive.
    pub units: i64,
}

/// A line of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleLine {
    /// The invoice.
    pub invoice: String,
    /// The index among its lines.
    pub line: usize,
}

impl Sales {
    /// Books a document: a sale is remembered, a return is divided over the sales before it. Each goods line of a return
    /// is covered by portions whose units add up to its own.
    pub fn book(&mut self, document: &Document) -> Vec<Portion> {
        match document.kind {
            Kind::Sale => {
                self.sold(document);
                Vec::new()
            }
            Kind::Return => self.returned(document),
            Kind::StockAdjustment | Kind::BadDebt => Vec::new(),
        }
    }

    fn sold(&mut self, document: &Document) {
        let Some(customer) = &document.customer else { return };
        for (line, sold) in document.lines.iter().enumerate() {
            let Some(sku) = sold.sku() else { continue };
            let held = self.held.entry((customer.clone(), sku.clone())).or_default();
            held.push_back(Held { invoice: document.invoice.clone(), line, units: sold.quantity });
        }
    }

    fn returned(&mut self, document: &Document) -> Vec<Portion> {
        let mut portions = Vec::new();
        for (line, back) in document.lines.iter().enumerate() {
            let Some(sku) = back.sku() else { continue };
            let mut left = -back.quantity;
            let held = document
                .customer
                .as_ref()
                .and_then(|customer| self.held.get_mut(&(customer.clone(), sku.clone())));
            if let Some(held) = held {
                while left > 0
                    && let Some(oldest) = held.front_mut()
                {
                    let units = left.min(oldest.units);
                    let sale = SaleLine { invoice: oldest.invoice.clone(), line: oldest.line };
                    portions.push(Portion { line, sale: Some(sale), units });
                    oldest.units -= units;
                    left -= units;
                    if oldest.units == 0 {
                        held.pop_front();
                    }
                }
            }
            if left > 0 {
                portions.push(Portion { line, sale: None, units: left });
            }
        }
        portions
    }
}
