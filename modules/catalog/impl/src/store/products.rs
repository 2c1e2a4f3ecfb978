//! Queries on products.

use diesel::{
    AsChangeset, EscapeExpressionMethods, ExpressionMethods, Insertable, OptionalExtension,
    QueryDsl, QueryResult, Queryable, RunQueryDsl, TextExpressionMethods,
    dsl::sql,
    sql_types::{BigInt, Bool, Text},
};

use ::store::{Connection, cached, on};

use crate::schema::products as table;

/// A row of `products`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable, AsChangeset)]
#[diesel(table_name = crate::schema::products)]
pub(crate) struct ProductRow {
    pub id: String,
    pub title: String,
    pub description: String,
    pub published: bool,
    pub version: i64,
    pub search: String,
    pub added_at: i64,
    pub changed_at: i64,
}

/// Adds products.
pub(crate) fn insert_products(c: &mut Connection, rows: &[ProductRow]) -> QueryResult<()> {
    on!(c, |c| diesel::insert_into(table::table).values(rows).execute(c))?;
    Ok(())
}

/// Writes a product over what stood there.
pub(crate) fn update_product(c: &mut Connection, row: &ProductRow) -> QueryResult<()> {
    on!(c, |c| diesel::update(table::table.find(&row.id)).set(row).execute(c))?;
    Ok(())
}

/// One product.
pub(crate) fn product(c: &mut Connection, id: &str) -> QueryResult<Option<ProductRow>> {
    on!(c, |c| table::table.find(id).get_result(c).optional())
}

/// One product, locked until the transaction ends.
pub(crate) fn product_to_change(c: &mut Connection, id: &str) -> QueryResult<Option<ProductRow>> {
    type Columns = (Text, Text, Text, Bool, BigInt, Text, BigInt, BigInt);
    const READ: &str = "SELECT id, title, description, published, version, search, added_at, \
        changed_at FROM products WHERE id = ";
    // The single writer of SQLite needs no lock.
    let lock = if c.is_postgres() { " FOR UPDATE" } else { "" };
    on!(c, |c| cached(sql::<Columns>(READ).bind::<Text, _>(id).sql(lock)).get_result(c).optional())
}

/// The products after one, at most `limit`, by id: those that the public sees or all, with `text` in their search text
/// or any.
pub(crate) fn products(
    c: &mut Connection,
    after: &str,
    published_only: Option<bool>,
    text: Option<&str>,
    limit: i64,
) -> QueryResult<Vec<ProductRow>> {
    let pattern = text.map(|text| format!("%{}%", escaped(&text.to_lowercase())));
    on!(c, |c| {
        let mut found =
            table::table.filter(table::id.gt(after)).order(table::id).limit(limit).into_boxed();
        if let Some(published) = published_only {
            found = found.filter(table::published.eq(published));
        }
        if let Some(pattern) = &pattern {
            found = found.filter(table::search.like(pattern).escape('\\'));
        }
        found.load(c)
    })
}

/// The ids of the products after one, at most `limit`.
pub(crate) fn products_after(
    c: &mut Connection,
    after: &str,
    limit: i64,
) -> QueryResult<Vec<String>> {
    on!(c, |c| table::table
        .filter(table::id.gt(after))
        .order(table::id)
        .limit(limit)
        .select(table::id)
        .load(c))
}

/// The text with the signs that LIKE reads otherwise taken literally.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
