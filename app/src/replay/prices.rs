//! The catalog's prices, as they were when the replay began.

use std::collections::HashMap;

use kernel_api::{Sku, UnitPrice};

/// What each SKU costs in the catalog; one without a price in force is missing.
#[derive(Debug, Default, Clone)]
pub struct Prices(HashMap<Sku, UnitPrice>);

impl Prices {
    /// Does the SKU cost this?
    pub fn are(&self, sku: &Sku, price: UnitPrice) -> bool {
        self.0.get(sku) == Some(&price)
    }

    /// How many SKUs have a price.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl Extend<(Sku, UnitPrice)> for Prices {
    fn extend<T: IntoIterator<Item = (Sku, UnitPrice)>>(&mut self, prices: T) {
        self.0.extend(prices);
    }
}
