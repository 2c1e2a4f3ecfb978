//! What must be there before the first document: products, customers, stock. As operator, in few large requests.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use catalog_api::{Existing, ImportRow, Price};
use futures_util::future;
use http::{Method, StatusCode};
use inventory_api::{Line, Location, QUANTITY_MAX, Quantity, Receive};
use kernel_api::{Bounded, Currency, Id, Page, Sku, UnitPrice};
use serde::{Deserialize, Serialize};

use super::{
    known::Known,
    lane::{Answer, Ask, Lane, Step, Wanted},
    plan::Plan,
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
    sku: Sku,
    #[serde(default)]
    price: Option<UnitPrice>,
}

/// A customer as the shop is told.
#[derive(Serialize)]
struct NewCustomer<'a> {
    reference: &'a str,
    country: &'a str,
}

#[derive(Deserialize)]
struct Customer {
    id: Id<ordering_api::Customer>,
}

/// Brings in what the plan needs, each once in effect; answers what the shop says of it.
pub async fn prepare(lanes: &mut [Lane], plan: &Plan, key: &str) -> Result<(Prepared, Known)> {
    let customers = customers(lanes, plan, key).await?;
    let lane = lanes.first_mut().context("there is no lane")?;
    let products = products(lane, plan, key).await?;
    let prices = prices(lane).await?;
    let units = opening(lane, plan, key).await?;
    let prepared = Prepared { products, customers: customers.len(), units };
    Ok((prepared, Known { prices, customers }))
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
async fn prices(lane: &mut Lane) -> Result<HashMap<Sku, UnitPrice>> {
    let mut prices = HashMap::new();
    let mut path = format!("/v1/products?limit={}", kernel_api::PAGE_LIMIT_MAX);
    loop {
        let answer = get(lane, &path).await?;
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

/// Registers the customers that are not known yet, over all lanes; answers the shop's ids.
async fn customers(
    lanes: &mut [Lane],
    plan: &Plan,
    key: &str,
) -> Result<HashMap<String, Id<ordering_api::Customer>>> {
    let count = lanes.len();
    let shares = lanes.iter_mut().enumerate().map(async |(number, lane)| {
        let mut ids = Vec::new();
        for (reference, country) in plan.customers.iter().skip(number).step_by(count) {
            ids.push((reference.clone(), customer(lane, reference, country, key).await?));
        }
        anyhow::Ok(ids)
    });
    Ok(future::try_join_all(shares).await?.into_iter().flatten().collect())
}

async fn customer(
    lane: &mut Lane,
    reference: &str,
    country: &str,
    key: &str,
) -> Result<Id<ordering_api::Customer>> {
    let body = lane.body.write(&NewCustomer { reference, country });
    let path = "/v1/customers";
    let answer = post(lane, path, format!("{key}:customer:{reference}"), body).await?;
    if answer.status == StatusCode::CONFLICT {
        // Known under this reference, with other data: that is whose orders these are.
        let found = get(lane, &format!("{path}?reference={reference}")).await?;
        let found: Page<Customer> = serde_json::from_slice(&found.body).context("customers")?;
        let found = found.items.first().with_context(|| format!("customer {reference}"))?;
        return Ok(found.id);
    }
    let location = good(answer, path)?.location.context("a new customer has no location")?;
    let id = location.rsplit('/').next().unwrap_or_default();
    id.parse().with_context(|| format!("`{location}` is no customer"))
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
    good(post(lane, path, key, body).await?, path)
}

async fn post(lane: &mut Lane, path: &str, key: String, body: Bytes) -> Result<Answer> {
    let (step, method, wanted) = (Step::Prepare, Method::POST, Wanted::Head);
    let ask = Ask { step, method, path, key: Some(key), body, wanted, settled_by: None };
    Ok(lane.insist(&ask).await?)
}

async fn get(lane: &mut Lane, path: &str) -> Result<Answer> {
    let (step, method, wanted) = (Step::Prepare, Method::GET, Wanted::Body);
    let ask = Ask { step, method, path, key: None, body: Bytes::new(), wanted, settled_by: None };
    good(lane.insist(&ask).await?, path)
}

fn good(answer: Answer, path: &str) -> Result<Answer> {
    let (why, detail) =
        if answer.status.is_success() { Default::default() } else { answer.problem() };
    ensure!(answer.status.is_success(), "{path}: {why}: {detail}");
    Ok(answer)
}
