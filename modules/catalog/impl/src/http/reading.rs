//! Looking at products.

use actix_web::web::Data;
use catalog_api::{Audited, Browse, Catalog, Product, Shown, Which};
use http_api::{Ask, Json, Paging, Path, Problem, Query, Reply, Visitor};
use kernel_api::{Id, Page, Sku, Text};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answers;

/// Which products are looked for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Search {
    /// Only those with this text in the title, a label or a SKU, without regard to case.
    #[serde(default)]
    text: Option<Text<100>>,
}

pub(super) async fn products(
    catalog: Data<dyn Catalog>,
    ask: Ask,
    visitor: Visitor,
    search: Query<Search>,
    page: Paging,
) -> Result<Json<Page<Product>>, Problem> {
    let shown = if visitor.is_operator() { Shown::All } else { Shown::Published };
    let wish = Browse { text: search.0.text, shown, page: page.0 };
    let found = catalog.products(&ask, wish).await;
    found.map(Json).map_err(|fault| Problem::from_fault(fault, answers::page))
}

pub(super) async fn product(
    catalog: Data<dyn Catalog>,
    ask: Ask,
    visitor: Visitor,
    id: Path<Id<Product>>,
) -> Result<Reply<Product>, Problem> {
    one(&catalog, &ask, &visitor, Which::Id(id.0)).await
}

pub(super) async fn product_by_sku(
    catalog: Data<dyn Catalog>,
    ask: Ask,
    visitor: Visitor,
    sku: Path<Sku>,
) -> Result<Reply<Product>, Problem> {
    one(&catalog, &ask, &visitor, Which::Sku(sku.0)).await
}

async fn one(
    catalog: &Data<dyn Catalog>,
    ask: &Ask,
    visitor: &Visitor,
    which: Which,
) -> Result<Reply<Product>, Problem> {
    let found = catalog.product(ask, which).await;
    let product = found.map_err(|fault| Problem::from_fault(fault, answers::product))?;
    // What is not published does not exist for the public.
    if product.published || visitor.is_operator() {
        Ok(answers::shown(product))
    } else {
        Err(answers::no_product())
    }
}

pub(super) async fn audit(
    catalog: Data<dyn Catalog>,
    ask: Ask,
    page: Paging,
) -> Result<Json<Page<Audited>>, Problem> {
    let found = catalog.audit(&ask, page.0).await;
    found.map(Json).map_err(|fault| Problem::from_fault(fault, answers::page))
}
