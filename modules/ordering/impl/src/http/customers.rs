//! Handlers of customers.

use actix_web::web::Data;
use http_api::{Ask, Json, Paging, Path, Problem, Query, Reply, Tell};
use kernel_api::{Id, Page, Text};
use ordering_api::{
    Customer, CustomerError, CustomerKey, CustomersWish, NewCustomer, Ordering, TEXT_LENGTH_MAX,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{bodies::CustomerBody, refusals::customer_refused};

/// Which customers are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    /// Only the one with this reference.
    reference: Option<Text<TEXT_LENGTH_MAX>>,
}

pub(super) async fn register(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    body: Json<CustomerBody>,
) -> Result<Reply<Customer>, Problem> {
    let CustomerBody { reference, name, country } = body.0;
    let customer = ordering
        .register_customer(&tell, NewCustomer { id: None, reference, name, country })
        .await
        .map_err(|fault| Problem::from_fault(fault, customer_refused))?;
    Ok(Reply::created(format!("/v1/customers/{}", customer.id), customer))
}

pub(super) async fn list(
    ordering: Data<dyn Ordering>,
    ask: Ask,
    of: Query<Of>,
    page: Paging,
) -> Result<Json<Page<Customer>>, Problem> {
    let refused = |fault| Problem::from_fault(fault, customer_refused);
    let Some(reference) = of.0.reference else {
        let answer = ordering.customers(&ask, CustomersWish { page: page.0 }).await;
        return answer.map(Json).map_err(refused);
    };
    match ordering.customer(&ask, CustomerKey::Reference(reference.to_string())).await {
        Ok(customer) => Ok(Json(Page { items: vec![customer], next: None })),
        Err(contract::Fault::Refused(CustomerError::NotFound)) => {
            Ok(Json(Page { items: Vec::new(), next: None }))
        }
        Err(fault) => Err(refused(fault)),
    }
}

pub(super) async fn show(
    ordering: Data<dyn Ordering>,
    ask: Ask,
    id: Path<Id<Customer>>,
) -> Result<Json<Customer>, Problem> {
    let answer = ordering.customer(&ask, CustomerKey::Id(id.0)).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, customer_refused))
}
