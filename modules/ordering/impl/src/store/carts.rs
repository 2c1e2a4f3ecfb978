//! Queries on carts.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryResult, Queryable, RunQueryDsl,
};
use kernel_api::{Currency, Exact, Id, Money, Timestamp};
use ordering_api::{Cart, CartStatus, Checkout, SecretHash, Sum};

use ::store::{Connection, cached, on, prepared};

use super::{from_json, from_text, lines_from_text};
use crate::schema::cart as table;

/// A cart's row.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::schema::cart, treat_none_as_default_value = false)]
pub(crate) struct CartRow {
    pub id: String,
    pub version: i64,
    pub checkout: Option<String>,
    pub customer: Option<String>,
    pub reference: Option<String>,
    pub currency: String,
    pub secret_hash: String,
    pub lines: String,
    pub line_count: i64,
    pub goods: bool,
    pub parts: String,
    pub net_micros: i64,
    pub total_minor: i64,
    pub priced_at: i64,
    pub created_at: i64,
}

impl CartRow {
    pub fn id(&self) -> QueryResult<Id<Cart>> {
        from_text(&self.id)
    }

    pub fn currency(&self) -> QueryResult<Currency> {
        from_text(&self.currency)
    }

    pub fn checkout(&self) -> QueryResult<Option<Id<Checkout>>> {
        self.checkout.as_deref().map(from_text).transpose()
    }

    pub fn sum(&self) -> QueryResult<Sum> {
        let currency = self.currency()?;
        Ok(Sum {
            parts: from_json(&self.parts)?,
            net: Exact::new(self.net_micros, currency),
            total: Money::new(self.total_minor, currency),
        })
    }

    /// The cart as it is shown.
    pub fn cart(&self, status: CartStatus) -> QueryResult<Cart> {
        Ok(Cart {
            id: self.id()?,
            version: self.version,
            status,
            customer: self.customer.as_deref().map(from_text).transpose()?,
            reference: self.reference.clone(),
            lines: lines_from_text(&self.lines, self.currency()?)?,
            sum: self.sum()?,
            checkout: self.checkout()?,
            priced_at: Timestamp::from_micros(self.priced_at),
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

/// Adds a cart.
pub(crate) fn insert_cart(c: &mut Connection, row: &CartRow) -> QueryResult<()> {
    on!(c, |c| cached(diesel::insert_into(table::table).values(row)).execute(c))?;
    Ok(())
}

/// A cart.
pub(crate) fn cart(c: &mut Connection, id: Id<Cart>) -> QueryResult<Option<CartRow>> {
    on!(c, |c| table::table.find(id.to_string()).get_result(c).optional())
}

/// What a cart's door needs: the hash of its secret and its currency.
pub(crate) fn cart_access(
    c: &mut Connection,
    id: Id<Cart>,
) -> QueryResult<Option<(SecretHash, Currency)>> {
    let row: Option<(String, String)> = on!(c, |c| table::table
        .find(id.to_string())
        .select((table::secret_hash, table::currency))
        .get_result(c)
        .optional())?;
    row.map(|(hash, currency)| Ok((SecretHash(hash), from_text(&currency)?))).transpose()
}

/// A cart's version and checkout now.
pub(crate) fn cart_version(
    c: &mut Connection,
    id: Id<Cart>,
) -> QueryResult<Option<(i64, Option<String>)>> {
    on!(c, |c| table::table
        .find(id.to_string())
        .select((table::version, table::checkout))
        .get_result(c)
        .optional())
}

/// Replaces the content of an open cart, at this version where one is named; the version that it has then, nothing when
/// it is not open or not at that version. The row's own version is not looked at.
pub(crate) fn replace_cart(
    c: &mut Connection,
    row: &CartRow,
    expected: Option<i64>,
) -> QueryResult<Option<i64>> {
    let open = table::table.find(&row.id).filter(table::checkout.is_null());
    let content = (
        table::version.eq(table::version + 1),
        table::lines.eq(&row.lines),
        table::line_count.eq(row.line_count),
        table::goods.eq(row.goods),
        table::parts.eq(&row.parts),
        table::net_micros.eq(row.net_micros),
        table::total_minor.eq(row.total_minor),
        table::priced_at.eq(row.priced_at),
    );
    match expected {
        Some(version) => on!(c, |c| prepared!(
            diesel::update(open.filter(table::version.eq(version)))
                .set(content)
                .returning(table::version)
        )
        .get_result(c)
        .optional()),
        None => on!(c, |c| prepared!(diesel::update(open).set(content).returning(table::version))
            .get_result(c)
            .optional()),
    }
}

/// Binds an open cart of this version to a checkout; `false` when it is not that.
pub(crate) fn begin_checkout(
    c: &mut Connection,
    id: &str,
    version: i64,
    checkout: Id<Checkout>,
) -> QueryResult<bool> {
    let changed = on!(c, |c| prepared!(
        diesel::update(
            table::table
                .find(id)
                .filter(table::version.eq(version))
                .filter(table::checkout.is_null())
        )
        .set(table::checkout.eq(checkout.to_string()))
    )
    .execute(c))?;
    Ok(changed == 1)
}

/// Opens a cart again whose checkout has failed; `false` when it is not at that checkout.
pub(crate) fn reopen_cart(
    c: &mut Connection,
    id: Id<Cart>,
    checkout: Id<Checkout>,
) -> QueryResult<bool> {
    let changed = on!(c, |c| prepared!(
        diesel::update(
            table::table.find(id.to_string()).filter(table::checkout.eq(checkout.to_string()))
        )
        .set(table::checkout.eq(None::<String>))
    )
    .execute(c))?;
    Ok(changed == 1)
}

/// Carts that are in no checkout and were last priced before a moment, at most `limit`, the oldest first.
pub(crate) fn abandoned(
    c: &mut Connection,
    before: Timestamp,
    limit: i64,
) -> QueryResult<Vec<String>> {
    on!(c, |c| table::table
        .filter(table::checkout.is_null())
        .filter(table::priced_at.lt(before.micros()))
        .order(table::id)
        .select(table::id)
        .limit(limit)
        .load(c))
}

/// Forgets a cart that is still as [`abandoned`] found it.
pub(crate) fn delete_abandoned(c: &mut Connection, id: &str, before: Timestamp) -> QueryResult<()> {
    on!(c, |c| prepared!(diesel::delete(
        table::table
            .find(id)
            .filter(table::checkout.is_null())
            .filter(table::priced_at.lt(before.micros()))
    ))
    .execute(c))?;
    Ok(())
}
