//! Taking over many SKUs in one transaction.

use std::collections::HashSet;

use catalog_api::{Import, ImportRow, Imported, Product, RowOutcome, RowReport};
use contract::Never;
use diesel::QueryResult;
use kernel_api::{Id, Timestamp};

use ::store::{Abort, Connection, Tx};

use super::{editing, pricing};
use crate::{
    domain::{Known, RowPlan, plan, search_text},
    store::{self, PriceRow, ProductRow, VariantRow, from_text},
};

/// Rows of new products that wait to be written together: an import of new goods is three statements, not thousands.
#[derive(Default)]
struct New {
    products: Vec<ProductRow>,
    variants: Vec<VariantRow>,
    prices: Vec<PriceRow>,
}

/// Imports rows in their order.
pub(super) fn import(tx: &mut Tx<'_>, wish: &Import) -> Result<Imported, Abort<Never>> {
    let now = tx.now();
    let c = tx.connection();
    let skus: Vec<_> = wish.rows.iter().map(|row| row.sku.as_str()).collect();
    let mut known: HashSet<String> = store::known_skus(c, &skus)?.into_iter().collect();
    let mut new = New::default();
    let mut rows = Vec::with_capacity(wish.rows.len());
    for (number, row) in (0..).zip(wish.rows.iter()) {
        let outcome = if known.insert(row.sku.to_string()) {
            new.add(row, now);
            RowOutcome::Added
        } else {
            // A later row of the same SKU meets what the earlier one made.
            new.write(c)?;
            meet(c, wish, row, now)?
        };
        rows.push(RowReport { row: number, sku: row.sku.clone(), outcome });
    }
    new.write(c)?;
    Ok(Imported { rows })
}

/// What becomes of a row whose SKU is there already.
fn meet(
    c: &mut Connection,
    wish: &Import,
    row: &ImportRow,
    now: Timestamp,
) -> QueryResult<RowOutcome> {
    let Some((variant, mut product)) = found(c, row)? else { return Ok(RowOutcome::Unchanged) };
    let known = Known {
        title: product.title.clone(),
        description: product.description.clone(),
        published: product.published,
        currency: from_text(&variant.currency)?,
        in_force: pricing::of_variant(c, &variant, now)?.map(|price| price.micros),
        at_moment: match row.from {
            Some(from) => store::price_from(c, &variant.sku, from)?.map(|price| price.micros),
            None => None,
        },
    };
    let (words, price) = match plan(wish.existing, row, Some(&known), now) {
        RowPlan::Change { words, price } => (words, price),
        RowPlan::OtherCurrency => return Ok(RowOutcome::OtherCurrency),
        // Not for a SKU that is known.
        RowPlan::Add => return Ok(RowOutcome::Unchanged),
    };
    if words {
        product.title = row.title.to_string();
        row.description.as_str().clone_into(&mut product.description);
        product.published = row.published;
        editing::rewrite(c, &mut product, now)?;
    }
    if let Some(price) = price {
        pricing::set(c, &variant.sku, price.from, row.price.get().micros, now)?;
    }
    let changed = words || price.is_some();
    Ok(if changed { RowOutcome::Changed } else { RowOutcome::Unchanged })
}

/// The row's variant and product, locked in the order in which edits lock them.
fn found(c: &mut Connection, row: &ImportRow) -> QueryResult<Option<(VariantRow, ProductRow)>> {
    let Some(variant) = store::variant(c, &row.sku)? else { return Ok(None) };
    let Some(product) = store::product_to_change(c, &variant.product)? else { return Ok(None) };
    Ok(store::variant_to_change(c, &row.sku)?.map(|variant| (variant, product)))
}

impl New {
    fn add(&mut self, row: &ImportRow, now: Timestamp) {
        let id = Id::<Product>::fresh().to_string();
        let (sku, price) = (row.sku.to_string(), row.price.get());
        let from = row.from.unwrap_or(now);
        let in_force = from <= now;
        self.variants.push(VariantRow {
            sku: sku.clone(),
            product: id.clone(),
            number: 1,
            label: None,
            currency: price.currency.to_string(),
            price_micros: in_force.then_some(price.micros),
            next_at: (!in_force).then_some(from.micros()),
        });
        self.products.push(ProductRow {
            id,
            search: search_text(row.title.as_str(), [(sku.as_str(), None)].into_iter()),
            title: row.title.to_string(),
            description: row.description.as_str().to_owned(),
            published: row.published,
            version: 1,
            added_at: now.micros(),
            changed_at: now.micros(),
        });
        let (from_at, set_at) = (from.micros(), now.micros());
        self.prices.push(PriceRow { sku, from_at, micros: price.micros, set_at });
    }

    /// Writes what waits.
    fn write(&mut self, c: &mut Connection) -> QueryResult<()> {
        if self.products.is_empty() {
            return Ok(());
        }
        store::insert_products(c, &self.products)?;
        store::insert_variants(c, &self.variants)?;
        store::insert_prices(c, &self.prices)?;
        *self = Self::default();
        Ok(())
    }
}
