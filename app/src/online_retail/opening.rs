//! The opening balance: the file has no goods receipts, so the stock that it sells must have been there before.

use std::collections::BTreeMap;

use kernel_api::Sku;

use super::document::{Document, Kind};

/// Follows the stock of every SKU through the documents and remembers its lowest point.
#[derive(Debug, Default, Clone)]
pub struct Balances {
    by_sku: BTreeMap<Sku, Balance>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Balance {
    now: i64,
    lowest: i64,
}

impl Balances {
    /// Books a document.
    pub fn book(&mut self, document: &Document) {
        for (sku, line) in document.goods() {
            let change = match document.kind {
                // A sale takes what it sells; a return has negative quantities and so gives back.
                Kind::Sale | Kind::Return => -line.quantity,
                Kind::StockAdjustment => line.quantity,
                Kind::BadDebt => 0,
            };
            if !self.by_sku.contains_key(sku) {
                self.by_sku.insert(sku.clone(), Balance::default());
            }
            if let Some(balance) = self.by_sku.get_mut(sku) {
                balance.now = balance.now.saturating_add(change);
                balance.lowest = balance.lowest.min(balance.now);
            }
        }
    }

    /// Per SKU of the file, the smallest quantity to begin with so that stock never falls below zero; may be 0.
    pub fn opening(&self) -> impl Iterator<Item = (&Sku, i64)> {
        self.by_sku.iter().map(|(sku, balance)| (sku, -balance.lowest))
    }

    /// How many SKUs the file names.
    pub fn skus(&self) -> usize {
        self.by_sku.len()
    }
}
