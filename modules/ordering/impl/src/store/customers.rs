//! Queries on customers.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    dsl::{exists, select},
};
use kernel_api::{Id, Timestamp};
use ordering_api::Customer;

use ::store::{Connection, on, prepared};

use super::from_text;
use crate::schema::customer as table;

type Row = (String, Option<String>, Option<String>, Option<String>, i64);

fn customer_of(row: Row) -> QueryResult<Customer> {
    let (id, reference, name, country, at) = row;
    let created_at = Timestamp::from_micros(at);
    Ok(Customer { id: from_text(&id)?, reference, name, country, created_at })
}

/// Adds a customer; `false` when the id or the reference is there.
pub(crate) fn insert_customer(c: &mut Connection, customer: &Customer) -> QueryResult<bool> {
    let row = (
        table::id.eq(customer.id.to_string()),
        table::reference.eq(&customer.reference),
        table::name.eq(&customer.name),
        table::country.eq(&customer.country),
        table::created_at.eq(customer.created_at.micros()),
    );
    let inserted = on!(c, |c| prepared!(
        diesel::insert_into(table::table).values(row).on_conflict_do_nothing()
    )
    .execute(c))?;
    Ok(inserted == 1)
}

/// A customer by id.
pub(crate) fn customer(c: &mut Connection, id: Id<Customer>) -> QueryResult<Option<Customer>> {
    let row: Option<Row> = on!(c, |c| table::table.find(id.to_string()).get_result(c).optional())?;
    row.map(customer_of).transpose()
}

/// Is there such a customer?
pub(crate) fn customer_exists(c: &mut Connection, id: Id<Customer>) -> QueryResult<bool> {
    on!(c, |c| select(exists(table::table.find(id.to_string()))).get_result(c))
}

/// A customer by another system's reference.
pub(crate) fn customer_by_reference(
    c: &mut Connection,
    reference: &str,
) -> QueryResult<Option<Customer>> {
    let row: Option<Row> =
        on!(c, |c| table::table.filter(table::reference.eq(reference)).get_result(c).optional())?;
    row.map(customer_of).transpose()
}

/// Customers after one, at most `limit`, by id.
pub(crate) fn customers(c: &mut Connection, after: &str, limit: i64) -> QueryResult<Vec<Customer>> {
    let rows: Vec<Row> =
        on!(c, |c| table::table.filter(table::id.gt(after)).order(table::id).limit(limit).load(c))?;
    rows.into_iter().map(customer_of).collect()
}
