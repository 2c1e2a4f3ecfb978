//! What the shop has said of itself before the first document: its prices and its names for the customers.

use std::collections::HashMap;

use kernel_api::{Id, Sku, UnitPrice};
use ordering_api::Customer;

/// Prices and customers.
#[derive(Debug, Default, Clone)]
pub struct Known {
    /// What each SKU costs in the catalog; one without a price in force is missing.
    pub prices: HashMap<Sku, UnitPrice>,
    /// The shop's ids, by the retailer's numbers.
    pub customers: HashMap<String, Id<Customer>>,
}

impl Known {
    /// Does the SKU cost this?
    pub fn costs(&self, sku: &Sku, price: UnitPrice) -> bool {
        self.prices.get(sku) == Some(&price)
    }
}
