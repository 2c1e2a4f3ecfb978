//! Handlers of sagas.

use actix_web::web::Data;
use http_api::{Ask, Json, Paging, Path, Problem, Query, Tell};
use kernel_api::{Id, Page};
use ordering_api::{AbandonSaga, Abandonment, Ordering, Saga, SagaStatus, SagaWish, SagasWish};
use schemars::JsonSchema;
use serde::Deserialize;

use super::refusals::saga_refused;

/// Which sagas are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfStatus {
    /// Only those that stand so.
    status: Option<SagaStatus>,
}

pub(super) async fn list(
    ordering: Data<dyn Ordering>,
    ask: Ask,
    of: Query<OfStatus>,
    page: Paging,
) -> Result<Json<Page<Saga>>, Problem> {
    let answer = ordering.sagas(&ask, SagasWish { status: of.0.status, page: page.0 }).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, saga_refused))
}

pub(super) async fn show(
    ordering: Data<dyn Ordering>,
    ask: Ask,
    id: Path<Id<Saga>>,
) -> Result<Json<Saga>, Problem> {
    let answer = ordering.saga(&ask, SagaWish { saga: id.0 }).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, saga_refused))
}

pub(super) async fn retry(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    id: Path<Id<Saga>>,
) -> Result<Json<Saga>, Problem> {
    let answer = ordering.retry_saga(&tell, SagaWish { saga: id.0 }).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, saga_refused))
}

pub(super) async fn abandon(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    id: Path<Id<Saga>>,
    how: Json<Abandonment>,
) -> Result<Json<Saga>, Problem> {
    let answer = ordering.abandon_saga(&tell, AbandonSaga { saga: id.0, how: how.0 }).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, saga_refused))
}
