//! Rows as what the contract shows.

use std::collections::HashMap;

use catalog_api::{
    Audited, Availability, Browse, PageError, PricePoint, Prices, PricesError, Product,
    ProductError, Quote, Shown, Variant, Violation, Which,
};
use diesel::{QueryResult, result::Error};
use kernel_api::{Id, Page, Sku, Timestamp, UnitPrice};

use ::store::{Abort, Connection};

use super::pricing;
use crate::{
    domain::display_title,
    store::{self, ProductRow, VariantRow, from_text},
};

/// One product, by its id or by one of its SKUs.
pub(super) fn product(
    c: &mut Connection,
    which: &Which,
    now: Timestamp,
) -> Result<Product, Abort<ProductError>> {
    let unknown = || Abort::Refused(ProductError::UnknownProduct);
    let id = match which {
        Which::Id(id) => id.to_string(),
        Which::Sku(sku) => store::variant(c, sku)?.ok_or_else(unknown)?.product,
    };
    let row = store::product(c, &id)?.ok_or_else(unknown)?;
    Ok(shown(c, row, now)?)
}

/// A product's row with its variants.
pub(super) fn shown(c: &mut Connection, row: ProductRow, now: Timestamp) -> QueryResult<Product> {
    let mut products = all_shown(c, vec![row], now)?;
    products.pop().ok_or(Error::NotFound)
}

/// A page of products.
pub(super) fn products(
    c: &mut Connection,
    wish: &Browse,
    after: &str,
    now: Timestamp,
) -> QueryResult<Page<Product>> {
    let published = match wish.shown {
        Shown::Published => Some(true),
        Shown::All => None,
    };
    let limit = wish.page.limit();
    let text = wish.text.as_ref().map(|text| text.as_str());
    let rows = store::products(c, after, published, text, i64::from(limit) + 1)?;
    let page = Page::of(rows, limit, |row| row.id.clone());
    Ok(Page { items: all_shown(c, page.items, now)?, next: page.next })
}

/// What these SKUs cost, in the order asked.
pub(super) fn quote(c: &mut Connection, skus: &[Sku], now: Timestamp) -> QueryResult<Vec<Quote>> {
    let mut quotes = HashMap::with_capacity(skus.len());
    for row in store::quotes(c, skus)? {
        let micros = pricing::now(c, (&row.sku, row.price_micros, row.next_at), now)?;
        let currency = from_text(&row.currency)?;
        let label = row.label.as_deref().map(from_text).transpose()?;
        let quote = Quote {
            sku: from_text(&row.sku)?,
            product: from_text(&row.product)?,
            title: display_title(&from_text(&row.title)?, label.as_ref()),
            price: micros.map(|micros| UnitPrice::new(micros, currency)),
            published: row.published,
        };
        quotes.insert(quote.sku.clone(), quote);
    }
    Ok(skus.iter().filter_map(|sku| quotes.get(sku).cloned()).collect())
}

/// A page of a SKU's prices.
pub(super) fn price_history(
    c: &mut Connection,
    wish: &Prices,
    after: Option<i64>,
) -> Result<Page<PricePoint>, Abort<PricesError>> {
    let variant = store::variant(c, &wish.sku)?.ok_or(Abort::Refused(PricesError::UnknownSku))?;
    let currency = from_text(&variant.currency)?;
    let limit = wish.page.limit();
    let rows = store::price_points(c, &wish.sku, after, i64::from(limit) + 1)?;
    let page = Page::of(rows, limit, |row| row.from_at.to_string());
    Ok(page.map(|row| PricePoint {
        sku: wish.sku.clone(),
        from: Timestamp::from_micros(row.from_at),
        price: UnitPrice::new(row.micros, currency),
        set_at: Timestamp::from_micros(row.set_at),
    }))
}

/// A page of products with what is wrong with them.
pub(super) fn audit(
    c: &mut Connection,
    after: &str,
    limit: u32,
    now: Timestamp,
) -> QueryResult<Page<Audited>> {
    let ids = store::products_after(c, after, i64::from(limit) + 1)?;
    let page = Page::of(ids, limit, Clone::clone);
    let mut variants = by_product(store::variants_of(c, &page.items)?);
    let mut audited = Vec::with_capacity(page.items.len());
    for id in &page.items {
        let rows = variants.remove(id).unwrap_or_default();
        let mut violations = Vec::new();
        if rows.is_empty() {
            violations.push(Violation::NoVariant);
        }
        let mut skus = Vec::with_capacity(rows.len());
        for (row, _) in &rows {
            let sku: Sku = from_text(&row.sku)?;
            violations.extend(price_violation(c, row, &sku, now)?);
            skus.push(sku);
        }
        audited.push(Audited { product: from_text(id)?, skus, violations });
    }
    Ok(Page { items: audited, next: page.next })
}

fn price_violation(
    c: &mut Connection,
    row: &VariantRow,
    sku: &Sku,
    now: Timestamp,
) -> QueryResult<Option<Violation>> {
    let history = (store::price_at(c, &row.sku, now)?, store::next_price_at(c, &row.sku, now)?);
    if history == (None, None) {
        return Ok(Some(Violation::NoPrice { sku: sku.clone() }));
    }
    // A planned price that has come since is read from the history: what is kept is allowed to be old then.
    let overtaken = row.next_at.is_some_and(|next| next <= now.micros());
    let agrees = overtaken || history == (row.price_micros, row.next_at);
    Ok((!agrees).then(|| Violation::PriceIsNotHistory { sku: sku.clone() }))
}

/// The cursor of a list of products.
pub(super) fn product_after(after: Option<&str>) -> Result<String, PageError> {
    let Some(after) = after else { return Ok(String::new()) };
    let id: Id<Product> = after.parse().map_err(|_bad| PageError::BadCursor)?;
    Ok(id.to_string())
}

/// The cursor of a list of prices.
pub(super) fn price_after(after: Option<&str>) -> Result<Option<i64>, PricesError> {
    after.map(str::parse).transpose().map_err(|_bad| PricesError::BadCursor)
}

type WithStock = (VariantRow, Option<String>);

fn by_product(variants: Vec<WithStock>) -> HashMap<String, Vec<WithStock>> {
    let mut found: HashMap<String, Vec<WithStock>> = HashMap::new();
    for variant in variants {
        found.entry(variant.0.product.clone()).or_default().push(variant);
    }
    found
}

fn all_shown(
    c: &mut Connection,
    rows: Vec<ProductRow>,
    now: Timestamp,
) -> QueryResult<Vec<Product>> {
    let ids: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
    let mut variants = by_product(store::variants_of(c, &ids)?);
    rows.into_iter()
        .map(|row| {
            let variants = variants.remove(&row.id).unwrap_or_default();
            let variants = variants.iter().map(|(row, state)| {
                Ok(Variant {
                    sku: from_text(&row.sku)?,
                    label: row.label.as_deref().map(from_text).transpose()?,
                    price: pricing::of_variant(c, row, now)?,
                    availability: availability(state.as_deref()),
                })
            });
            Ok(Product {
                id: from_text(&row.id)?,
                title: from_text(&row.title)?,
                description: from_text(&row.description)?,
                published: row.published,
                version: row.version,
                variants: variants.collect::<QueryResult<_>>()?,
                added_at: Timestamp::from_micros(row.added_at),
                changed_at: Timestamp::from_micros(row.changed_at),
            })
        })
        .collect()
}

fn availability(state: Option<&str>) -> Availability {
    let named = |one: &Availability| Some(one.as_str()) == state;
    Availability::ALL.into_iter().find(named).unwrap_or(Availability::Unknown)
}
