//! Handlers of orders.

use actix_web::web::Data;
use http_api::{Ask, Json, Paging, Path, Problem, Query, Reply, Tell, Visitor};
use kernel_api::{Id, Page, Text};
use ordering_api::{
    Cancel, Customer, Order, OrderSummary, OrderWish, Ordering, OrdersWish, ReturnNote, Ship,
    TEXT_LENGTH_MAX,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    bodies::{CancelBody, ShipBody},
    opener,
    refusals::{cancel_refused, order_refused, ship_refused},
};

/// Which orders are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    /// Only this customer's.
    customer: Option<Id<Customer>>,
    /// Only those with this reference.
    reference: Option<Text<TEXT_LENGTH_MAX>>,
}

pub(super) async fn list(
    ordering: Data<dyn Ordering>,
    ask: Ask,
    of: Query<Of>,
    page: Paging,
) -> Result<Json<Page<OrderSummary>>, Problem> {
    let Of { customer, reference } = of.0;
    let reference = reference.map(|reference| reference.to_string());
    let answer = ordering.orders(&ask, OrdersWish { customer, reference, page: page.0 }).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, order_refused))
}

pub(super) async fn show(
    ordering: Data<dyn Ordering>,
    ask: Ask,
    visitor: Visitor,
    id: Path<Id<Order>>,
) -> Result<Reply<Order>, Problem> {
    let wish = OrderWish { order: id.0, by: opener(&visitor)? };
    let order = ordering
        .order(&ask, wish)
        .await
        .map_err(|fault| Problem::from_fault(fault, order_refused))?;
    let version = order.version;
    Ok(Reply::ok(order).etag(version))
}

pub(super) async fn ship(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    id: Path<Id<Order>>,
    body: Json<ShipBody>,
) -> Result<Reply<Order>, Problem> {
    let ShipBody { tracking, version } = body.0;
    let order = ordering
        .ship(&tell, Ship { order: id.0, tracking, version })
        .await
        .map_err(|fault| Problem::from_fault(fault, ship_refused))?;
    let version = order.version;
    Ok(Reply::created(format!("/v1/orders/{}", order.id), order).etag(version))
}

pub(super) async fn cancel(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    id: Path<Id<Order>>,
    body: Json<CancelBody>,
) -> Result<Reply<ReturnNote>, Problem> {
    let CancelBody { reason, version } = body.0;
    let note = ordering
        .cancel(&tell, Cancel { order: id.0, reason, version })
        .await
        .map_err(|fault| Problem::from_fault(fault, cancel_refused))?;
    Ok(Reply::created(format!("/v1/returns/{}", note.id), note))
}
