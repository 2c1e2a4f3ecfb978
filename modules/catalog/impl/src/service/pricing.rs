//! Prices: set one, keep what is in force beside the SKU, say what is in force.

use catalog_api::{PricePoint, Reprice, RepriceError};
use diesel::QueryResult;
use kernel_api::{Currency, Timestamp, UnitPrice};

use ::store::{Abort, Connection, Tx};

use crate::{
    domain::{InForce, in_force_now},
    store::{self, PriceRow, VariantRow, from_text},
};

/// Sets a price from a moment on.
pub(super) fn reprice(tx: &mut Tx<'_>, wish: &Reprice) -> Result<PricePoint, Abort<RepriceError>> {
    let now = tx.now();
    let c = tx.connection();
    // Locked first: two that price one SKU at once would each keep what they alone see.
    let variant =
        store::variant_to_change(c, &wish.sku)?.ok_or(Abort::Refused(RepriceError::UnknownSku))?;
    let price = wish.price.get();
    if from_text::<Currency>(&variant.currency)? != price.currency {
        return Err(Abort::Refused(RepriceError::OtherCurrency));
    }
    let from = wish.from.unwrap_or(now);
    let set_at = set(c, &variant.sku, from, price.micros, now)?;
    Ok(PricePoint { sku: wish.sku.clone(), from, price, set_at })
}

/// Writes a price down and keeps the one in force; when it was set first, if it stood there already.
pub(super) fn set(
    c: &mut Connection,
    sku: &str,
    from: Timestamp,
    micros: i64,
    now: Timestamp,
) -> QueryResult<Timestamp> {
    if let Some(there) = store::price_from(c, sku, from)?
        && there.micros == micros
    {
        return Ok(Timestamp::from_micros(there.set_at));
    }
    let (sku, from_at, set_at) = (sku.to_owned(), from.micros(), now.micros());
    let row = PriceRow { sku, from_at, micros, set_at };
    store::put_price(c, &row)?;
    let kept = InForce {
        micros: store::price_at(c, &row.sku, now)?,
        next_at: store::next_price_at(c, &row.sku, now)?.map(Timestamp::from_micros),
    };
    store::keep_price(c, &row.sku, kept)?;
    Ok(now)
}

/// The price of a SKU now, by what is kept beside it where that still stands.
pub(super) fn now(
    c: &mut Connection,
    (sku, micros, next_at): (&str, Option<i64>, Option<i64>),
    now: Timestamp,
) -> QueryResult<Option<i64>> {
    let kept = InForce { micros, next_at: next_at.map(Timestamp::from_micros) };
    match in_force_now(kept, now) {
        Ok(micros) => Ok(micros),
        Err(_read_history) => store::price_at(c, sku, now),
    }
}

/// The same for a row of `variants`, as a unit price.
pub(super) fn of_variant(
    c: &mut Connection,
    row: &VariantRow,
    at: Timestamp,
) -> QueryResult<Option<UnitPrice>> {
    let currency = from_text(&row.currency)?;
    let micros = now(c, (&row.sku, row.price_micros, row.next_at), at)?;
    Ok(micros.map(|micros| UnitPrice::new(micros, currency)))
}
