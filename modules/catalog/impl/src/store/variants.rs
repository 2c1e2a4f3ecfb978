//! Queries on variants.

use diesel::{
    ExpressionMethods, Insertable, JoinOnDsl, NullableExpressionMethods, OptionalExtension,
    QueryDsl, QueryResult, Queryable, RunQueryDsl,
    dsl::sql,
    result::{DatabaseErrorKind, Error},
    sql_types::{BigInt, Bool, Nullable, Text},
};
use kernel_api::Sku;

use ::store::{Connection, cached, on, prepared};

use super::IN_LIST_MAX;
use crate::{
    domain::InForce,
    schema::{availability, variants as table},
};

/// A row of `variants`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = crate::schema::variants)]
pub(crate) struct VariantRow {
    pub sku: String,
    pub product: String,
    pub number: i64,
    pub label: Option<String>,
    pub currency: String,
    pub price_micros: Option<i64>,
    pub next_at: Option<i64>,
}

/// What a quote needs of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub(crate) struct QuoteRow {
    pub sku: String,
    pub product: String,
    pub title: String,
    pub label: Option<String>,
    pub currency: String,
    pub price_micros: Option<i64>,
    pub next_at: Option<i64>,
    pub published: bool,
}

/// Adds variants. Where another transaction took a SKU since it was looked up, the transaction starts again and sees
/// it: a collision, not a failure.
pub(crate) fn insert_variants(c: &mut Connection, rows: &[VariantRow]) -> QueryResult<()> {
    let added = match c {
        // The single writer has no one to collide with.
        Connection::Sqlite(c) => diesel::insert_into(table::table).values(rows).execute(c)?,
        Connection::Postgres(c) => diesel::insert_into(table::table)
            .values(rows)
            .on_conflict(table::sku)
            .do_nothing()
            .execute(c)?,
    };
    if added < rows.len() {
        let what = Box::new("a SKU was taken in the meantime".to_owned());
        return Err(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, what));
    }
    Ok(())
}

/// Keeps a SKU's price in force beside it.
pub(crate) fn keep_price(c: &mut Connection, sku: &str, kept: InForce) -> QueryResult<()> {
    let kept = (
        table::price_micros.eq(kept.micros),
        table::next_at.eq(kept.next_at.map(|at| at.micros())),
    );
    on!(c, |c| prepared!(diesel::update(table::table.find(sku)).set(kept)).execute(c))?;
    Ok(())
}

/// One variant.
pub(crate) fn variant(c: &mut Connection, sku: &Sku) -> QueryResult<Option<VariantRow>> {
    on!(c, |c| table::table.find(sku.as_str()).get_result(c).optional())
}

/// One variant, locked until the transaction ends.
pub(crate) fn variant_to_change(c: &mut Connection, sku: &Sku) -> QueryResult<Option<VariantRow>> {
    type Columns = (Text, Text, BigInt, Nullable<Text>, Text, Nullable<BigInt>, Nullable<BigInt>);
    const READ: &str = "SELECT sku, product, number, label, currency, price_micros, next_at \
        FROM variants WHERE sku = ";
    // The single writer of SQLite needs no lock.
    let lock = if c.is_postgres() { " FOR UPDATE" } else { "" };
    on!(c, |c| cached(sql::<Columns>(READ).bind::<Text, _>(sku.as_str()).sql(lock))
        .get_result(c)
        .optional())
}

/// Those of these SKUs that are variants already.
pub(crate) fn known_skus(c: &mut Connection, skus: &[&str]) -> QueryResult<Vec<String>> {
    let mut found = Vec::new();
    for some in skus.chunks(IN_LIST_MAX) {
        let known: Vec<String> = on!(c, |c| table::table
            .filter(table::sku.eq_any(some))
            .order(table::sku)
            .select(table::sku)
            .load(c))?;
        found.extend(known);
    }
    Ok(found)
}

/// The variants of these products with what inventory told of them, by product and place.
pub(crate) fn variants_of(
    c: &mut Connection,
    products: &[String],
) -> QueryResult<Vec<(VariantRow, Option<String>)>> {
    let mut found = Vec::new();
    for some in products.chunks(IN_LIST_MAX) {
        let variants: Vec<(VariantRow, Option<String>)> = on!(c, |c| table::table
            .left_join(availability::table.on(availability::sku.eq(table::sku)))
            .filter(table::product.eq_any(some))
            .order((table::product, table::number))
            .select((table::all_columns, availability::state.nullable()))
            .load(c))?;
        found.extend(variants);
    }
    Ok(found)
}

/// What quotes need of these SKUs, in no order. The SKUs travel as one JSON parameter, so that the statement is the
/// same whatever their number and stays prepared.
pub(crate) fn quotes(c: &mut Connection, skus: &[Sku]) -> QueryResult<Vec<QuoteRow>> {
    type Columns =
        (Text, Text, Text, Nullable<Text>, Text, Nullable<BigInt>, Nullable<BigInt>, Bool);
    const READ: &str = "SELECT variants.sku, variants.product, products.title, variants.label, \
        variants.currency, variants.price_micros, variants.next_at, products.published FROM ";
    const JOIN: &str = "JOIN variants ON variants.sku = line.value \
        JOIN products ON products.id = variants.product";
    let (open, close) = if c.is_postgres() {
        ("jsonb_array_elements_text(", "::jsonb) AS line(value) ")
    } else {
        ("json_each(", ") AS line ")
    };
    let skus =
        serde_json::to_string(skus).map_err(|error| Error::SerializationError(Box::new(error)))?;
    on!(c, |c| cached(sql::<Columns>(READ).sql(open).bind::<Text, _>(&skus).sql(close).sql(JOIN))
        .load(c))
}
