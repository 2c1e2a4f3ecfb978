//! What inventory's events mean for what is shown.

use catalog_api::Availability;
use contract::Envelope;
use inventory_api::{Location, StockDepleted, StockLow, StockReplenished};
use kernel_api::Sku;

/// A SKU's availability, as inventory told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The SKU.
    pub sku: Sku,
    /// How it stands.
    pub availability: Availability,
}

/// What an event says of what the shop can sell; nothing where it is about something else, or about stock that lies
/// where the shop does not sell from.
pub(crate) fn told(event: &Envelope) -> Result<Option<Told>, serde_json::Error> {
    let (sku, location, availability) = if let Some(low) = event.read::<StockLow>() {
        let low = low?;
        (low.sku, low.location, Availability::Low)
    } else if let Some(depleted) = event.read::<StockDepleted>() {
        let depleted = depleted?;
        (depleted.sku, depleted.location, Availability::SoldOut)
    } else if let Some(replenished) = event.read::<StockReplenished>() {
        let replenished = replenished?;
        (replenished.sku, replenished.location, Availability::InStock)
    } else {
        return Ok(None);
    };
    Ok((location == Location::MAIN).then_some(Told { sku, availability }))
}
