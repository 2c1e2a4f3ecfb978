//! What becomes of a row of an import.

use catalog_api::{Existing, ImportRow};
use kernel_api::{Currency, Timestamp};

/// What is known of a row's SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// The product's title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// Does the public see it?
    pub published: bool,
    /// What the SKU is priced in.
    pub currency: Currency,
    /// The price in force.
    pub in_force: Option<i64>,
    /// The price that begins exactly at the row's moment.
    pub at_moment: Option<i64>,
}

/// What is to be done for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowPlan {
    /// A new product.
    Add,
    /// Changes of a known one, perhaps none.
    Change {
        /// Write the row's words and publication over the product's.
        words: bool,
        /// What becomes of the price.
        price: Option<PricePlan>,
    },
    /// Nothing: the SKU is priced in another currency.
    OtherCurrency,
}

/// A price to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PricePlan {
    /// From when.
    pub from: Timestamp,
}

/// Decides. Doing what it says and deciding again gives `Change` of nothing.
pub(crate) fn plan(
    existing: Existing,
    row: &ImportRow,
    known: Option<&Known>,
    now: Timestamp,
) -> RowPlan {
    let Some(known) = known else { return RowPlan::Add };
    let price = row.price.get();
    if known.currency != price.currency {
        return RowPlan::OtherCurrency;
    }
    let overwrite = match existing {
        Existing::Keep => false,
        Existing::Overwrite => true,
    };
    let differs = known.title != row.title.as_str()
        || known.description != row.description.as_str()
        || known.published != row.published;
    let from = match (row.from, known.at_moment) {
        (Some(from), None) => Some(from),
        (Some(from), Some(there)) => (overwrite && there != price.micros).then_some(from),
        (None, _) => (overwrite && known.in_force != Some(price.micros)).then_some(now),
    };
    RowPlan::Change { words: overwrite && differs, price: from.map(|from| PricePlan { from }) }
}
