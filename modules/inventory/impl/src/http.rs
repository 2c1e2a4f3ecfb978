//! Inventory over HTTP. Everything here is the operator's: buyers reserve through a checkout.

use std::sync::Arc;

use actix_web::web::Data;
use contract::Never;
use http_api::{
    Access, Ask, Json, Operation, Paging, Path, Problem, ProblemType, Query, Reply, Routes, Tell,
    problems,
};
use inventory_api::{
    Adjust, AdjustError, Entry, Inventory, Ledger, LedgerError, Level, Location, LowAt, PageError,
    Receive, Reservation, ReservationError, ReservationState, Reservations, SetLowAt, Stock,
    StockError,
};
use kernel_api::{Id, Page, Sku};
use schemars::JsonSchema;
use serde::Deserialize;

/// A line takes away more than is available.
const OUT_OF_STOCK: ProblemType =
    ProblemType::new("out-of-stock", 409, "There is not enough in stock");

/// A level's threshold, as a client writes it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Threshold {
    /// Where; `main` unless told.
    #[serde(default)]
    location: Location,
    /// From which available quantity down the SKU counts as low; null for the default. It must be said.
    #[serde(deserialize_with = "Option::deserialize")]
    low_at: Option<LowAt>,
}

/// Which reservations are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfState {
    /// Only those in this state.
    state: Option<ReservationState>,
}

/// The routes of inventory.
pub fn routes(inventory: Arc<dyn Inventory>) -> Routes {
    Routes::new("inventory")
        .data(inventory)
        .add(
            operation(Operation::get("/v1/stock"), "The stock of all SKUs, by location")
                .answers::<Page<Level>>(200),
            levels,
        )
        .add(
            operation(Operation::get("/v1/stock/{sku}"), "The stock of a SKU, by location")
                .answers::<Stock>(200)
                .problems(&[problems::NOT_FOUND]),
            stock,
        )
        .add(
            operation(Operation::get("/v1/stock/{sku}/ledger"), "What explains a SKU's stock")
                .answers::<Page<Entry>>(200)
                .problems(&[problems::NOT_FOUND]),
            ledger,
        )
        .add(
            operation(Operation::put("/v1/stock/{sku}/threshold"), "Sets when a SKU counts as low")
                .answers::<Level>(200),
            set_low_at,
        )
        .add(
            operation(Operation::post("/v1/stock/receipts"), "Books goods that came in")
                .answers_nothing(204),
            receive,
        )
        .add(
            operation(Operation::post("/v1/stock/adjustments"), "Corrects what is on hand")
                .description("All lines or none. What is reserved cannot be taken away.")
                .answers_nothing(204)
                .problems(&[OUT_OF_STOCK]),
            adjust,
        )
        .add(
            operation(Operation::get("/v1/reservations"), "The reservations, by id")
                .answers::<Page<Reservation>>(200),
            reservations,
        )
        .add(
            operation(Operation::get("/v1/reservations/{id}"), "A reservation")
                .answers::<Reservation>(200)
                .problems(&[problems::NOT_FOUND]),
            reservation,
        )
}

fn operation(operation: Operation, summary: &'static str) -> Operation {
    operation.summary(summary).access(Access::Operator)
}

async fn levels(
    inventory: Data<dyn Inventory>,
    ask: Ask,
    page: Paging,
) -> Result<Json<Page<Level>>, Problem> {
    let answer = inventory.levels(&ask, page.0).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, bad_page))
}

async fn stock(
    inventory: Data<dyn Inventory>,
    ask: Ask,
    sku: Path<Sku>,
) -> Result<Json<Stock>, Problem> {
    let answer = inventory.stock(&ask, sku.0).await;
    answer.map(Json).map_err(|fault| {
        Problem::from_fault(fault, |refusal| match refusal {
            StockError::UnknownSku => Problem::not_found(refusal.to_string()),
        })
    })
}

async fn ledger(
    inventory: Data<dyn Inventory>,
    ask: Ask,
    sku: Path<Sku>,
    page: Paging,
) -> Result<Json<Page<Entry>>, Problem> {
    let answer = inventory.ledger(&ask, Ledger { sku: sku.0, page: page.0 }).await;
    answer.map(Json).map_err(|fault| {
        Problem::from_fault(fault, |refusal| match refusal {
            LedgerError::UnknownSku => Problem::not_found(refusal.to_string()),
            LedgerError::BadCursor => Problem::malformed("after", refusal.to_string()),
        })
    })
}

async fn set_low_at(
    inventory: Data<dyn Inventory>,
    tell: Tell,
    sku: Path<Sku>,
    body: Json<Threshold>,
) -> Result<Json<Level>, Problem> {
    let Threshold { location, low_at } = body.0;
    let answer = inventory.set_low_at(&tell, SetLowAt { sku: sku.0, location, low_at }).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, never))
}

async fn receive(
    inventory: Data<dyn Inventory>,
    tell: Tell,
    body: Json<Receive>,
) -> Result<Reply<()>, Problem> {
    let answer = inventory.receive(&tell, body.0).await;
    answer.map(|()| Reply::no_content()).map_err(|fault| Problem::from_fault(fault, never))
}

async fn adjust(
    inventory: Data<dyn Inventory>,
    tell: Tell,
    body: Json<Adjust>,
) -> Result<Reply<()>, Problem> {
    let answer = inventory.adjust(&tell, body.0).await;
    answer.map(|()| Reply::no_content()).map_err(|fault| {
        Problem::from_fault(fault, |refusal| {
            let detail = refusal.to_string();
            let AdjustError::OutOfStock { lines } = refusal;
            Problem::of(&OUT_OF_STOCK).detail(detail).with("lines", lines)
        })
    })
}

async fn reservations(
    inventory: Data<dyn Inventory>,
    ask: Ask,
    of: Query<OfState>,
    page: Paging,
) -> Result<Json<Page<Reservation>>, Problem> {
    let wish = Reservations { state: of.0.state, page: page.0 };
    let answer = inventory.reservations(&ask, wish).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, bad_page))
}

async fn reservation(
    inventory: Data<dyn Inventory>,
    ask: Ask,
    id: Path<Id<Reservation>>,
) -> Result<Json<Reservation>, Problem> {
    let answer = inventory.reservation(&ask, id.0).await;
    answer.map(Json).map_err(|fault| {
        Problem::from_fault(fault, |refusal| match refusal {
            ReservationError::NotFound => Problem::not_found(refusal.to_string()),
        })
    })
}

fn bad_page(refusal: PageError) -> Problem {
    match refusal {
        PageError::BadCursor => Problem::malformed("after", refusal.to_string()),
    }
}

fn never(refusal: Never) -> Problem {
    match refusal {}
}
