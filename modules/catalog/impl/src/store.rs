//! The queries of catalog: one function each, no decision in any.

mod availability;
mod prices;
mod products;
mod variants;

pub(crate) use availability::put_availability;
pub(crate) use prices::{
    PriceRow, insert_prices, next_price_at, price_at, price_from, price_points, put_price,
};
pub(crate) use products::{
    ProductRow, insert_products, product, product_to_change, products, products_after,
    update_product,
};
pub(crate) use variants::{
    VariantRow, insert_variants, keep_price, known_skus, quotes, variant, variant_to_change,
    variants_of,
};

use std::str::FromStr;

use diesel::{QueryResult, result::Error};

/// The most values of one IN list: bounds the statement's text.
const IN_LIST_MAX: usize = 500;

/// A column's text as the value that was written there.
pub(crate) fn from_text<T>(text: &str) -> QueryResult<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| Error::DeserializationError(Box::new(error)))
}
