//! Handlers of returns and adjustments.

use actix_web::web::Data;
use http_api::{Ask, Json, Path, Problem, Reply, Tell};
use kernel_api::Id;
use ordering_api::{
    Adjust, Adjustment, Order, Ordering, ReturnGoods, ReturnItems, ReturnNote, ReturnWish,
};

use super::{
    bodies::{AdjustBody, ReturnGoodsBody, ReturnItemsBody},
    refusals::{adjust_refused, return_refused},
};

pub(super) async fn of_order(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    id: Path<Id<Order>>,
    body: Json<ReturnItemsBody>,
) -> Result<Reply<ReturnNote>, Problem> {
    let mut body = body.0;
    let lines = body.take_lines();
    let ReturnItemsBody { reason, version, .. } = body;
    let wish = ReturnItems { order: id.0, lines, reason, version };
    answer(ordering.return_items(&tell, wish).await)
}

pub(super) async fn unlinked(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    body: Json<ReturnGoodsBody>,
) -> Result<Reply<ReturnNote>, Problem> {
    let mut body = body.0;
    let (lines, services) = body.take_content();
    let ReturnGoodsBody { customer, reference, currency, reason, .. } = body;
    let wish = ReturnGoods { customer, reference, currency, lines, services, reason };
    answer(ordering.return_goods(&tell, wish).await)
}

fn answer(
    accepted: contract::Answer<ReturnNote, ordering_api::ReturnsError>,
) -> Result<Reply<ReturnNote>, Problem> {
    let note = accepted.map_err(|fault| Problem::from_fault(fault, return_refused))?;
    Ok(Reply::created(format!("/v1/returns/{}", note.id), note))
}

pub(super) async fn show(
    ordering: Data<dyn Ordering>,
    ask: Ask,
    id: Path<Id<ReturnNote>>,
) -> Result<Json<ReturnNote>, Problem> {
    let answer = ordering.return_note(&ask, ReturnWish { id: id.0 }).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, return_refused))
}

pub(super) async fn adjust(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    body: Json<AdjustBody>,
) -> Result<Reply<Adjustment>, Problem> {
    let mut body = body.0;
    let lines = body.take_lines();
    let AdjustBody { reference, order, customer, currency, .. } = body;
    let made = ordering
        .adjust(&tell, Adjust { reference, order, customer, currency, lines })
        .await
        .map_err(|fault| Problem::from_fault(fault, adjust_refused))?;
    Ok(Reply::created(format!("/v1/adjustments/{}", made.id), made))
}
