//! The orders' private streams: events as rows.

use std::borrow::Cow;

use diesel::{ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl, result::Error};
use kernel_api::{Currency, Id, Timestamp};
use ordering_api::{Customer, Order, ReturnNote, SecretHash};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use ::store::{Connection, cached, on};

use super::{from_json, lines_from_text, lines_to_text, to_json};
use crate::{
    domain::order::{Back, OrderEvent, Sale},
    schema::order_event as table,
};

/// The version of the shapes below; an older row is read by what this file keeps of the older shapes.
const VERSION: i32 = 1;

#[derive(Serialize, Deserialize)]
struct SaleData<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<Id<Customer>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<(String, i64)>,
    currency: Currency,
    // As they are kept: the cart's column moves here without being read.
    #[serde(borrow)]
    lines: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct ShippedData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracking: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ReturnedData {
    note: Id<ReturnNote>,
    /// Pairs of line and quantity.
    lines: Vec<(i64, i64)>,
    promised_minor: i64,
}

#[derive(Serialize, Deserialize)]
struct RefundedData {
    note: Id<ReturnNote>,
    amount_minor: i64,
}

#[derive(Serialize, Deserialize)]
struct CancelledData {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<Id<ReturnNote>>,
    promised_minor: i64,
}

/// Adds an event. Two that want the same place cannot both be added.
pub(crate) fn append(
    c: &mut Connection,
    order: Id<Order>,
    seq: i64,
    event: &OrderEvent,
    at: Timestamp,
) -> QueryResult<()> {
    let (kind, data) = encode(event)?;
    insert(c, order, seq, kind, &data, at)
}

/// Adds the first event of an order whose lines are a column's text: they are not read on the way.
pub(crate) fn append_placed(
    c: &mut Connection,
    order: Id<Order>,
    sale: &Sale,
    lines: &str,
    at: Timestamp,
) -> QueryResult<()> {
    let data = sale_data(sale, lines)?;
    insert(c, order, 1, "placed", &data, at)
}

fn insert(
    c: &mut Connection,
    order: Id<Order>,
    seq: i64,
    kind: &str,
    data: &str,
    at: Timestamp,
) -> QueryResult<()> {
    let row = (
        table::order_id.eq(order.to_string()),
        table::seq.eq(seq),
        table::kind.eq(kind),
        table::version.eq(VERSION),
        table::data.eq(data),
        table::at.eq(at.micros()),
    );
    on!(c, |c| cached(diesel::insert_into(table::table).values(row)).execute(c))?;
    Ok(())
}

/// All events of an order, in order.
pub(crate) fn events_of(
    c: &mut Connection,
    order: Id<Order>,
) -> QueryResult<Vec<(OrderEvent, Timestamp)>> {
    let rows: Vec<(String, i32, String, i64)> = on!(c, |c| table::table
        .filter(table::order_id.eq(order.to_string()))
        .order(table::seq)
        .select((table::kind, table::version, table::data, table::at))
        .load(c))?;
    rows.into_iter()
        .map(|(kind, version, data, at)| {
            Ok((decode(&kind, version, &data)?, Timestamp::from_micros(at)))
        })
        .collect()
}

fn sale_data(sale: &Sale, lines: &str) -> QueryResult<String> {
    to_json(&SaleData {
        reference: sale.reference.as_deref().map(Cow::Borrowed),
        customer: sale.customer,
        secret: sale.secret.as_ref().map(|secret| Cow::Borrowed(secret.0.as_str())),
        source: sale.source.clone(),
        currency: sale.currency,
        lines: from_json(lines)?,
    })
}

fn encode(event: &OrderEvent) -> QueryResult<(&'static str, String)> {
    Ok(match event {
        OrderEvent::Placed(sale) => ("placed", sale_data(sale, &lines_to_text(&sale.lines)?)?),
        OrderEvent::Imported(sale) => ("imported", sale_data(sale, &lines_to_text(&sale.lines)?)?),
        OrderEvent::Paid => ("paid", "{}".to_owned()),
        OrderEvent::Shipped { tracking } => {
            ("shipped", to_json(&ShippedData { tracking: tracking.clone() })?)
        }
        OrderEvent::Returned { note, lines, promised_minor } => {
            let lines = lines.iter().map(|back| (back.line, back.quantity)).collect();
            let (note, promised_minor) = (*note, *promised_minor);
            ("returned", to_json(&ReturnedData { note, lines, promised_minor })?)
        }
        OrderEvent::Refunded { note, amount_minor } => {
            let (note, amount_minor) = (*note, *amount_minor);
            ("refunded", to_json(&RefundedData { note, amount_minor })?)
        }
        OrderEvent::Cancelled { reason, note, promised_minor } => {
            let (reason, note, promised_minor) = (reason.clone(), *note, *promised_minor);
            ("cancelled", to_json(&CancelledData { reason, note, promised_minor })?)
        }
    })
}

fn decode(kind: &str, version: i32, data: &str) -> QueryResult<OrderEvent> {
    if version != VERSION {
        let problem = format!("event `{kind}` has version {version}, {VERSION} is known");
        return Err(Error::DeserializationError(problem.into()));
    }
    Ok(match kind {
        "placed" => OrderEvent::Placed(sale(data)?),
        "imported" => OrderEvent::Imported(sale(data)?),
        "paid" => OrderEvent::Paid,
        "shipped" => {
            let ShippedData { tracking } = from_json(data)?;
            OrderEvent::Shipped { tracking }
        }
        "returned" => {
            let ReturnedData { note, lines, promised_minor } = from_json(data)?;
            let lines = lines.into_iter().map(|(line, quantity)| Back { line, quantity }).collect();
            OrderEvent::Returned { note, lines, promised_minor }
        }
        "refunded" => {
            let RefundedData { note, amount_minor } = from_json(data)?;
            OrderEvent::Refunded { note, amount_minor }
        }
        "cancelled" => {
            let CancelledData { reason, note, promised_minor } = from_json(data)?;
            OrderEvent::Cancelled { reason, note, promised_minor }
        }
        other => {
            let problem = format!("there is no event `{other}`");
            return Err(Error::DeserializationError(problem.into()));
        }
    })
}

fn sale(data: &str) -> QueryResult<Sale> {
    let SaleData { reference, customer, secret, source, currency, lines } = from_json(data)?;
    Ok(Sale {
        reference: reference.map(Cow::into_owned),
        customer,
        secret: secret.map(|secret| SecretHash(secret.into_owned())),
        source,
        currency,
        lines: lines_from_text(lines.get(), currency)?,
    })
}
