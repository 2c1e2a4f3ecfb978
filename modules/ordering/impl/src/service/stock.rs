//! Lines as inventory wants them.

use inventory_api::{Line, Location, Quantity};
use kernel_api::Sku;

/// A line of the place that the shop sells from; nothing where the quantity is none of inventory's.
pub(super) fn line(sku: &Sku, quantity: i64) -> Option<Line> {
    let quantity = Quantity::new(quantity).ok()?;
    Some(Line { sku: sku.clone(), location: Location::MAIN, quantity })
}
