//! Products and variants: add, edit, publish.

use catalog_api::{
    Add, AddError, AddVariant, AddVariantError, Edit, EditError, NewVariant, Product, Publish,
    PublishError, VARIANTS_MAX,
};
use diesel::QueryResult;
use kernel_api::{Id, Timestamp};

use ::store::{Abort, Connection, Tx};

use super::{pricing, reading};
use crate::{
    domain::{expect_version, search_text, taken_twice},
    store::{self, PriceRow, ProductRow, VariantRow, from_text},
};

/// Adds a product.
pub(super) fn add(tx: &mut Tx<'_>, wish: &Add) -> Result<Product, Abort<AddError>> {
    let now = tx.now();
    let c = tx.connection();
    let twice = taken_twice(wish.variants.iter().map(|variant| &variant.sku));
    if !twice.is_empty() {
        return Err(Abort::Refused(AddError::SkuTaken { skus: twice }));
    }
    let skus: Vec<_> = wish.variants.iter().map(|variant| variant.sku.as_str()).collect();
    let taken = store::known_skus(c, &skus)?;
    if !taken.is_empty() {
        let skus = taken.iter().map(|sku| from_text(sku)).collect::<QueryResult<_>>()?;
        return Err(Abort::Refused(AddError::SkuTaken { skus }));
    }
    let names = wish.variants.iter().map(names_of);
    let row = ProductRow {
        id: Id::<Product>::fresh().to_string(),
        title: wish.title.to_string(),
        description: wish.description.as_str().to_owned(),
        published: false,
        version: 1,
        search: search_text(wish.title.as_str(), names),
        added_at: now.micros(),
        changed_at: now.micros(),
    };
    let numbered = (1..).zip(wish.variants.iter());
    let variants: Vec<_> =
        numbered.map(|(number, new)| variant_row(&row.id, number, new)).collect();
    let prices: Vec<_> = wish.variants.iter().map(|new| price_row(new, now)).collect();
    store::insert_products(c, std::slice::from_ref(&row))?;
    store::insert_variants(c, &variants)?;
    store::insert_prices(c, &prices)?;
    Ok(reading::shown(c, row, now)?)
}

/// Changes what is said of a product.
pub(super) fn edit(tx: &mut Tx<'_>, wish: &Edit) -> Result<Product, Abort<EditError>> {
    let now = tx.now();
    let c = tx.connection();
    let mut row = store::product_to_change(c, &wish.product.to_string())?
        .ok_or(Abort::Refused(EditError::UnknownProduct))?;
    expect_version(wish.expected, row.version)
        .map_err(|version| Abort::Refused(EditError::VersionMismatch { version }))?;
    let before = row.clone();
    if let Some(title) = &wish.title {
        row.title = title.to_string();
    }
    if let Some(description) = &wish.description {
        row.description = description.as_str().to_owned();
    }
    if row != before {
        rewrite(c, &mut row, now)?;
    }
    Ok(reading::shown(c, row, now)?)
}

/// Adds a variant to a product.
pub(super) fn add_variant(
    tx: &mut Tx<'_>,
    wish: &AddVariant,
) -> Result<Product, Abort<AddVariantError>> {
    let now = tx.now();
    let c = tx.connection();
    let mut row = store::product_to_change(c, &wish.product.to_string())?
        .ok_or(Abort::Refused(AddVariantError::UnknownProduct))?;
    expect_version(wish.expected, row.version)
        .map_err(|version| Abort::Refused(AddVariantError::VersionMismatch { version }))?;
    if store::variant(c, &wish.variant.sku)?.is_some() {
        return Err(Abort::Refused(AddVariantError::SkuTaken));
    }
    let there = store::variants_of(c, std::slice::from_ref(&row.id))?;
    if there.len() >= VARIANTS_MAX {
        return Err(Abort::Refused(AddVariantError::TooManyVariants));
    }
    let number = there.last().map_or(1, |(last, _)| last.number + 1);
    store::insert_variants(c, &[variant_row(&row.id, number, &wish.variant)])?;
    store::insert_prices(c, &[price_row(&wish.variant, now)])?;
    rewrite(c, &mut row, now)?;
    Ok(reading::shown(c, row, now)?)
}

/// Shows a product to the public.
pub(super) fn publish(tx: &mut Tx<'_>, wish: &Publish) -> Result<Product, Abort<PublishError>> {
    let now = tx.now();
    let c = tx.connection();
    let row = to_publish(c, wish)?;
    let mut skus = Vec::new();
    for (variant, _) in store::variants_of(c, std::slice::from_ref(&row.id))? {
        if pricing::of_variant(c, &variant, now)?.is_none() {
            skus.push(from_text(&variant.sku)?);
        }
    }
    if !skus.is_empty() {
        return Err(Abort::Refused(PublishError::NoPrice { skus }));
    }
    Ok(set_published(c, row, true, now)?)
}

/// Takes a product from the public's eyes.
pub(super) fn unpublish(tx: &mut Tx<'_>, wish: &Publish) -> Result<Product, Abort<PublishError>> {
    let now = tx.now();
    let c = tx.connection();
    let row = to_publish(c, wish)?;
    Ok(set_published(c, row, false, now)?)
}

fn to_publish(c: &mut Connection, wish: &Publish) -> Result<ProductRow, Abort<PublishError>> {
    let row = store::product_to_change(c, &wish.product.to_string())?
        .ok_or(Abort::Refused(PublishError::UnknownProduct))?;
    expect_version(wish.expected, row.version)
        .map_err(|version| Abort::Refused(PublishError::VersionMismatch { version }))?;
    Ok(row)
}

fn set_published(
    c: &mut Connection,
    mut row: ProductRow,
    published: bool,
    now: Timestamp,
) -> QueryResult<Product> {
    if row.published != published {
        row.published = published;
        rewrite(c, &mut row, now)?;
    }
    reading::shown(c, row, now)
}

/// Writes a changed product down as its next version.
pub(super) fn rewrite(c: &mut Connection, row: &mut ProductRow, now: Timestamp) -> QueryResult<()> {
    let variants = store::variants_of(c, std::slice::from_ref(&row.id))?;
    let names = variants.iter().map(|(v, _)| (v.sku.as_str(), v.label.as_deref()));
    row.search = search_text(&row.title, names);
    row.version += 1;
    row.changed_at = now.micros();
    store::update_product(c, row)
}

fn names_of(new: &NewVariant) -> (&str, Option<&str>) {
    (new.sku.as_str(), new.label.as_ref().map(|label| label.as_str()))
}

fn variant_row(product: &str, number: i64, new: &NewVariant) -> VariantRow {
    let price = new.price.get();
    VariantRow {
        sku: new.sku.to_string(),
        product: product.to_owned(),
        number,
        label: new.label.as_ref().map(ToString::to_string),
        currency: price.currency.to_string(),
        price_micros: Some(price.micros),
        next_at: None,
    }
}

fn price_row(new: &NewVariant, now: Timestamp) -> PriceRow {
    PriceRow {
        sku: new.sku.to_string(),
        from_at: now.micros(),
        micros: new.price.get().micros,
        set_at: now.micros(),
    }
}
