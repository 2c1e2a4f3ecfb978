//! What must be there before the first document: products, customers, stock. As operator, in few large requests.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use catalog_api::{Existing, ImportRow, Price};
use http::Method;
use inventory_api::{Line, Location, QUANTITY_MAX, Quantity, Receive};
use kernel_api::{Bounded, Currency, Page, UnitPrice};
use serde::{Deserialize, Serialize};

use super::{
    lane::{Answer, Ask, Lane, Step, Wanted},
    plan::{Plan, new_customer},
    prices::Prices,
};

/// Rows of one request: their texts fit the smallest limit of a body (256 KiB) several times.
const ROWS_MAX: usize = 500;

/// What the receipts of the opening stock say.
const OPENING_REASON: &str =
    "opening stock of a replay: the smallest that keeps stock non-negative in its order";

/// What was brought in before the first document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Prepared {
    /// Products that the file sells.
    pub products: usize,
    /// Customers who buy.
    pub customers: usize,
    /// Units of opening stock.
    pub units: i64,
}

/// The part of a product that is looked at.
#[derive(Deserialize)]
struct Product {
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
struct Variant {
    sku: kernel_api::Sku,
    #[serde(default)]
    price: Option<UnitPrice>,
}

/// Brings in what the plan needs, each once in effect; answers what the catalog asks for its products.
pub async fn prepare(lane: &mut Lane, plan: &Plan, key: &str) -> Result<(Prepared, Prices)> {
    let products = products(lane, plan, key).await?;
    let prices = prices(lane).await?;
    let customers = customers(lane, plan, key).await?;
    let units = opening(lane, plan, key).await?;
    Ok((Prepared { products, customers, units }, prices))
}

/// Adds the products that are not there yet; those that are keep what they have.
async fn products(lane: &mut Lane, plan: &Plan, key: &str) -> Result<usize> {
    for (number, some) in (1..).zip(plan.products.chunks(ROWS_MAX)) {
        let rows = some.iter().map(|product| {
            let price = product.usual_price.unwrap_or(UnitPrice::new(0, Currency::GBP));
            let of = || format!("product {}", product.sku);
            Ok(ImportRow {
                sku: product.sku.clone(),
                title: product.title.parse().with_context(of)?,
                description: catalog_api::Description::default(),
                price: Price::new(price).with_context(of)?,
                from: Some(product.first_at),
                // What was never sold for money has no price to sell it at.
                published: product.usual_price.is_some(),
            })
        });
        let rows = Bounded::new(rows.collect::<Result<_>>()?)?;
        let body = lane.body.write(&catalog_api::Import { existing: Existing::Keep, rows });
        send(lane, "/v1/products/import", format!("{key}:products:{number}"), body).await?;
    }
    Ok(plan.products.len())
}

/// What the catalog asks for everything it has.
async fn prices(lane: &mut Lane) -> Result<Prices> {
    let mut prices = Prices::default();
    let mut path = format!("/v1/products?limit={}", kernel_api::PAGE_LIMIT_MAX);
    loop {
        let (method, body, wanted) = (Method::GET, Bytes::new(), Wanted::Body);
        let ask = Ask { step: Step::Prepare, method, path: &path, key: None, body, wanted };
        let answer = good(lane.insist(&ask).await?, &path)?;
        let page: Page<Product> =
            serde_json::from_slice(&answer.body).context("a page of products")?;
        let variants = page.items.into_iter().flat_map(|product| product.variants);
        prices.extend(variants.filter_map(|variant| Some((variant.sku, variant.price?))));
        let Some(next) = page.next else { return Ok(prices) };
        let limit = kernel_api::PAGE_LIMIT_MAX;
        let after: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        path = format!("/v1/products?limit={limit}&after={after}");
    }
}

/// Registers the customers that are not known yet.
async fn customers(lane: &mut Lane, plan: &Plan, key: &str) -> Result<usize> {
    #[derive(Serialize)]
    struct Customers {
        customers: Vec<ordering_api::NewCustomer>,
    }
    let all: Vec<_> = plan.customers.iter().collect();
    // Keys of the days too: other days have other customers.
    let key = format!("{key}:{}:customers", plan.days_name());
    for (number, some) in (1..).zip(all.chunks(ROWS_MAX)) {
        let customers =
            some.iter().map(|(reference, country)| new_customer(reference, country)).collect();
        let body = lane.body.write(&Customers { customers });
        send(lane, "/v1/customers/import", format!("{key}:{number}"), body).await?;
    }
    Ok(all.len())
}

/// Receives the opening stock, in as many lines as it takes: a line has its limit.
async fn opening(lane: &mut Lane, plan: &Plan, key: &str) -> Result<i64> {
    let mut lines = Vec::new();
    for (sku, units) in &plan.opening {
        let mut left = *units;
        while left > 0 {
            let some = left.min(QUANTITY_MAX);
            left -= some;
            let (sku, quantity) = (sku.clone(), Quantity::new(some)?);
            lines.push(Line { sku, location: Location::MAIN, quantity });
        }
    }
    let units = lines.iter().map(|line| line.quantity.get()).sum();
    let key = format!("{key}:{}:opening", plan.days_name());
    for (number, some) in (1..).zip(lines.chunks(ROWS_MAX)) {
        let body = lane.body.write(&Receive {
            reference: "opening".parse()?,
            reason: OPENING_REASON.parse()?,
            lines: Bounded::new(some.to_vec())?,
        });
        send(lane, "/v1/stock/receipts", format!("{key}:{number}"), body).await?;
    }
    Ok(units)
}

async fn send(lane: &mut Lane, path: &str, key: String, body: Bytes) -> Result<Answer> {
    let (step, method, wanted) = (Step::Prepare, Method::POST, Wanted::Head);
    good(lane.insist(&Ask { step, method, path, key: Some(key), body, wanted }).await?, path)
}

fn good(answer: Answer, path: &str) -> Result<Answer> {
    let (why, detail) =
        if answer.status.is_success() { Default::default() } else { answer.problem() };
    ensure!(answer.status.is_success(), "{path}: {why}: {detail}");
    Ok(answer)
}
