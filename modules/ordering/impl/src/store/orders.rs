//! Queries on the orders' read models.

use std::collections::BTreeSet;

use diesel::{
    ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl, QueryResult, Queryable,
    RunQueryDsl,
    dsl::sql,
    sql_types::{BigInt, Text},
};
use kernel_api::{Currency, Id, Money, Sku, Timestamp, UnitPrice};
use ordering_api::{Customer, Order, OrderSummary, Part};

use ::store::{Connection, cached, on, prepared};

use super::{from_json, from_text, from_word, to_json, to_word};
use crate::{
    domain::{
        order::{Back, OrderState},
        returns::Candidate,
    },
    schema::{order_line, order_summary as table},
};

/// How many earlier sold lines a return looks at: the busiest real customer has under ten thousand.
const CANDIDATES_MAX: i64 = 20_000;

/// An order's summary.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = crate::schema::order_summary, treat_none_as_default_value = false)]
pub(crate) struct SummaryRow {
    pub id: String,
    pub version: i64,
    pub origin: String,
    pub status: String,
    pub paid: bool,
    pub reference: Option<String>,
    pub source: Option<String>,
    pub source_rows: i64,
    pub customer: Option<String>,
    pub currency: String,
    pub line_count: i64,
    pub goods: bool,
    pub parts: String,
    pub net_micros: i64,
    pub total_minor: i64,
    pub promised_minor: i64,
    pub refunded_minor: i64,
    pub secret_hash: Option<String>,
    pub placed_at: i64,
    pub updated_at: i64,
}

/// A line in the read model.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub(crate) struct LineRow {
    pub sku: Option<String>,
    pub quantity: i64,
    pub price_micros: i64,
    pub returned: i64,
}

impl SummaryRow {
    /// The row that the state of an order makes.
    pub fn of(id: Id<Order>, order: &OrderState) -> QueryResult<Self> {
        let sale = &order.sale;
        Ok(Self {
            id: id.to_string(),
            version: order.version,
            origin: to_word(&order.origin)?,
            status: to_word(&order.status)?,
            paid: order.paid,
            reference: sale.reference.clone(),
            source: sale.source.as_ref().map(|(source, _)| source.clone()),
            source_rows: sale.source.as_ref().map_or(0, |(_, rows)| *rows),
            customer: sale.customer.map(|customer| customer.to_string()),
            currency: sale.currency.to_string(),
            line_count: i64::try_from(sale.lines.len()).unwrap_or(i64::MAX),
            goods: sale.lines.iter().any(|line| line.sku().is_some()),
            parts: to_json(&order.sum.parts)?,
            net_micros: order.sum.net.micros,
            total_minor: order.sum.total.minor,
            promised_minor: order.promised_minor,
            refunded_minor: order.refunded_minor,
            secret_hash: sale.secret.as_ref().map(|secret| secret.0.clone()),
            placed_at: order.placed_at.micros(),
            updated_at: order.updated_at.micros(),
        })
    }

    pub fn id(&self) -> QueryResult<Id<Order>> {
        from_text(&self.id)
    }

    pub fn currency(&self) -> QueryResult<Currency> {
        from_text(&self.currency)
    }

    pub fn customer(&self) -> QueryResult<Option<Id<Customer>>> {
        self.customer.as_deref().map(from_text).transpose()
    }

    /// As it is shown in a list.
    pub fn summary(self) -> QueryResult<OrderSummary> {
        let currency = self.currency()?;
        Ok(OrderSummary {
            id: self.id()?,
            version: self.version,
            customer: self.customer()?,
            origin: from_word(self.origin)?,
            status: from_word(self.status)?,
            reference: self.reference,
            lines: self.line_count,
            total: Money::new(self.total_minor, currency),
            refunded: Money::new(self.refunded_minor, currency),
            placed_at: Timestamp::from_micros(self.placed_at),
        })
    }
}

/// Adds an order's summary.
pub(crate) fn insert_summary(c: &mut Connection, row: &SummaryRow) -> QueryResult<()> {
    on!(c, |c| cached(diesel::insert_into(table::table).values(row)).execute(c))?;
    Ok(())
}

/// Adds an order's lines, given as they are kept in a cart or an event.
pub(crate) fn insert_lines(c: &mut Connection, order: Id<Order>, lines: &str) -> QueryResult<()> {
    const INSERT: &str =
        "INSERT INTO order_line (order_id, line, sku, quantity, price_micros, returned) SELECT ";
    let (number, from, close) = if c.is_postgres() {
        (
            ", line.number - 1, value->>'s', CAST(value->>'q' AS BIGINT), CAST(value->>'p' AS BIGINT), 0 FROM ",
            "jsonb_array_elements(",
            "::jsonb) WITH ORDINALITY AS line(value, number)",
        )
    } else {
        (
            ", line.key, value->>'s', CAST(value->>'q' AS BIGINT), CAST(value->>'p' AS BIGINT), 0 FROM ",
            "json_each(",
            ") AS line",
        )
    };
    let order = order.to_string();
    on!(c, |c| cached(
        sql::<Text>(INSERT)
            .bind::<Text, _>(&order)
            .sql(number)
            .sql(from)
            .bind::<Text, _>(lines)
            .sql(close)
    )
    .execute(c))?;
    Ok(())
}

/// Takes an order's lines out of the read model, to be written anew.
pub(crate) fn delete_lines(c: &mut Connection, order: &str) -> QueryResult<()> {
    on!(c, |c| prepared!(diesel::delete(
        order_line::table.filter(order_line::order_id.eq(order))
    ))
    .execute(c))?;
    Ok(())
}

/// The hash of the secret that opens an order; the outer nothing where there is no such order.
pub(crate) fn order_secret(
    c: &mut Connection,
    id: Id<Order>,
) -> QueryResult<Option<Option<String>>> {
    on!(c, |c| table::table
        .find(id.to_string())
        .select(table::secret_hash)
        .get_result(c)
        .optional())
}

/// Holds an order for this transaction; `false` where there is none.
///
/// On PostgreSQL the row lock makes whoever comes second read the events that the first one added; on SQLite there is
/// one writer and the statement only tells whether the order is there.
pub(crate) fn lock_summary(c: &mut Connection, id: Id<Order>) -> QueryResult<bool> {
    let held = on!(c, |c| prepared!(
        diesel::update(table::table.find(id.to_string())).set(table::version.eq(table::version))
    )
    .execute(c))?;
    Ok(held == 1)
}

/// Marks a freshly placed order as paid and gives the parts of its sum and its total; nothing when it is not that.
pub(crate) fn mark_paid(
    c: &mut Connection,
    id: Id<Order>,
    at: Timestamp,
) -> QueryResult<Option<(Vec<Part>, Money)>> {
    let row: Option<(String, i64, String)> = on!(c, |c| prepared!(
        diesel::update(
            table::table
                .find(id.to_string())
                .filter(table::version.eq(1))
                .filter(table::status.eq("placed"))
        )
        .set((
            table::version.eq(2),
            table::status.eq("paid"),
            table::paid.eq(true),
            table::updated_at.eq(at.micros()),
        ))
        .returning((table::parts, table::total_minor, table::currency))
    )
    .get_result(c)
    .optional())?;
    row.map(|(parts, total, currency)| {
        Ok((from_json(&parts)?, Money::new(total, from_text(&currency)?)))
    })
    .transpose()
}

/// Writes what events change of a summary.
pub(crate) fn save_summary(c: &mut Connection, row: &SummaryRow) -> QueryResult<()> {
    on!(c, |c| prepared!(diesel::update(table::table.find(&row.id)).set((
        table::version.eq(row.version),
        table::origin.eq(&row.origin),
        table::status.eq(&row.status),
        table::paid.eq(row.paid),
        table::reference.eq(&row.reference),
        table::source.eq(&row.source),
        table::source_rows.eq(row.source_rows),
        table::customer.eq(&row.customer),
        table::currency.eq(&row.currency),
        table::line_count.eq(row.line_count),
        table::goods.eq(row.goods),
        table::parts.eq(&row.parts),
        table::net_micros.eq(row.net_micros),
        table::total_minor.eq(row.total_minor),
        table::promised_minor.eq(row.promised_minor),
        table::refunded_minor.eq(row.refunded_minor),
        table::secret_hash.eq(&row.secret_hash),
        table::placed_at.eq(row.placed_at),
        table::updated_at.eq(row.updated_at),
    )))
    .execute(c))?;
    Ok(())
}

/// Adds to what came back of an order's lines.
pub(crate) fn add_returned(
    c: &mut Connection,
    order: Id<Order>,
    lines: &[Back],
) -> QueryResult<()> {
    let order = order.to_string();
    for back in lines {
        on!(&mut *c, |c| prepared!(
            diesel::update(order_line::table.find((&order, back.line)))
                .set(order_line::returned.eq(order_line::returned + back.quantity))
        )
        .execute(c))?;
    }
    Ok(())
}

/// The lines of an order in the read model, in order.
pub(crate) fn lines_of(c: &mut Connection, order: &str) -> QueryResult<Vec<LineRow>> {
    on!(c, |c| order_line::table
        .filter(order_line::order_id.eq(order))
        .order(order_line::line)
        .select((
            order_line::sku,
            order_line::quantity,
            order_line::price_micros,
            order_line::returned
        ))
        .load(c))
}

/// The order of a source with this reference.
pub(crate) fn order_by_reference(
    c: &mut Connection,
    source: &str,
    reference: &str,
) -> QueryResult<Option<SummaryRow>> {
    on!(c, |c| table::table
        .filter(table::reference.eq(reference))
        .filter(table::source.eq(source))
        .get_result(c)
        .optional())
}

/// Which summaries a list shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrdersFilter {
    pub customer: Option<String>,
    pub reference: Option<String>,
}

/// Summaries after one, at most `limit`, by id.
pub(crate) fn summaries(
    c: &mut Connection,
    filter: &OrdersFilter,
    after: &str,
    limit: i64,
) -> QueryResult<Vec<SummaryRow>> {
    on!(c, |c| {
        let mut query = table::table.into_boxed().filter(table::id.gt(after));
        if let Some(customer) = &filter.customer {
            query = query.filter(table::customer.eq(customer));
        }
        if let Some(reference) = &filter.reference {
            query = query.filter(table::reference.eq(reference));
        }
        query.order(table::id).limit(limit).load(c)
    })
}

/// What a customer bought of these SKUs up to a moment and has not brought back, the newest sale first.
pub(crate) fn candidates(
    c: &mut Connection,
    customer: Id<Customer>,
    skus: &BTreeSet<&Sku>,
    upto: Timestamp,
) -> QueryResult<Vec<Candidate>> {
    type Row = (String, i64, Option<String>, i64, i64, String);
    let customer = customer.to_string();
    let skus: Vec<&str> = skus.iter().map(|sku| sku.as_str()).collect();
    let rows: Vec<Row> = on!(c, |c| table::table
        .inner_join(order_line::table.on(order_line::order_id.eq(table::id)))
        .filter(table::customer.eq(&customer))
        .filter(table::placed_at.le(upto.micros()))
        .filter(table::status.ne_all(["placed", "cancelled"]))
        .filter(order_line::sku.eq_any(skus))
        .filter(order_line::returned.lt(order_line::quantity))
        .order((table::placed_at.desc(), table::id.desc(), order_line::line))
        .select((
            table::id,
            order_line::line,
            order_line::sku,
            sql::<BigInt>("order_line.quantity - order_line.returned"),
            order_line::price_micros,
            table::currency,
        ))
        .limit(CANDIDATES_MAX)
        .load(c))?;
    rows.into_iter()
        .map(|(order, line, sku, left, price, currency)| {
            let unit_price = UnitPrice::new(price, from_text(&currency)?);
            let sku = from_text(&sku.unwrap_or_default())?;
            Ok(Candidate { order: from_text(&order)?, line, sku, unit_price, left })
        })
        .collect()
}
