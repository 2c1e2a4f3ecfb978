//! Prices and quotes.

use actix_web::web::Data;
use catalog_api::{Catalog, Price, PricePoint, Prices, Quote, Quotes, Reprice};
use http_api::{Ask, Json, Paging, Path, Problem, Query, Tell, Visitor};
use kernel_api::{Bounded, Page, Sku, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answers;

/// Which SKUs are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Wanted {
    /// The SKUs with commas between them, `85123A,71053`; 1 to 1000.
    skus: String,
}

/// A new price.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPrice {
    /// The price of one.
    price: Price,
    /// From when: now unless told. A moment in the past corrects the history, one in the future plans.
    #[serde(default)]
    from: Option<Timestamp>,
}

pub(super) async fn quotes(
    catalog: Data<dyn Catalog>,
    ask: Ask,
    visitor: Visitor,
    wanted: Query<Wanted>,
) -> Result<Json<Vec<Quote>>, Problem> {
    let bad = |error: String| Problem::malformed("skus", error);
    let skus: Result<Vec<Sku>, _> = wanted.skus.split(',').map(str::parse).collect();
    let skus = Bounded::new(skus.map_err(|error| bad(error.to_string()))?);
    let wish = Quotes { skus: skus.map_err(|error| bad(error.to_string()))? };
    let found = catalog.quote(&ask, wish).await;
    let mut quotes = found.map_err(|fault| Problem::from_fault(fault, answers::never))?;
    if !visitor.is_operator() {
        quotes.retain(|quote| quote.published && quote.price.is_some());
    }
    Ok(Json(quotes))
}

pub(super) async fn price_history(
    catalog: Data<dyn Catalog>,
    ask: Ask,
    sku: Path<Sku>,
    page: Paging,
) -> Result<Json<Page<PricePoint>>, Problem> {
    let found = catalog.price_history(&ask, Prices { sku: sku.0, page: page.0 }).await;
    found.map(Json).map_err(|fault| Problem::from_fault(fault, answers::prices))
}

pub(super) async fn reprice(
    catalog: Data<dyn Catalog>,
    tell: Tell,
    sku: Path<Sku>,
    body: Json<NewPrice>,
) -> Result<Json<PricePoint>, Problem> {
    let wish = Reprice { sku: sku.0, price: body.price, from: body.from };
    let set = catalog.reprice(&tell, wish).await;
    set.map(Json).map_err(|fault| Problem::from_fault(fault, answers::reprice))
}
