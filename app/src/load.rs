//! A load on a running shop that keeps a ledger: what was acknowledged to it must be there afterwards, once.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::http_client::{Ask, HttpAnswer, HttpClient, NoAnswer};

/// What the load buys.
const SKU: &str = "LOAD-LAMP";

/// How long one request may take before it counts as unanswered.
const REQUEST_TIME: Duration = Duration::from_secs(15);

/// How long an unanswered purchase is asked for again, by its key: longer than any restart takes.
const AGAIN_FOR: Duration = Duration::from_secs(60);

/// The pause before it is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Units on the shelf before the load begins: more than it can buy.
pub const STOCKED: u64 = 1_000_000;

/// Errors that are told; the rest are counted.
const ERRORS_TOLD_MAX: usize = 20;

/// What the load was told.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Ledger {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that got an error of the server's, or no answer at all.
    pub errors: u64,
    /// The first of these errors.
    pub told: Vec<String>,
    /// Purchases that were acknowledged: their key, and the order.
    pub bought: BTreeMap<String, String>,
    /// Purchases that were never answered, however often asked: they may have happened.
    pub unknown: Vec<String>,
    /// The slowest request.
    pub longest_ms: u64,
}

/// How a ledger compares to the shop.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Balance {
    /// Orders that were acknowledged.
    pub acknowledged: u64,
    /// Of them those that the shop does not know.
    pub lost: u64,
    /// Keys that had more than one order, or units that left without an acknowledged order.
    pub doubled: u64,
}

impl Balance {
    /// Nothing was lost, and nothing happened twice.
    pub fn is_even(&self) -> bool {
        self.lost == 0 && self.doubled == 0
    }
}

/// Buyers who buy until they are told to stop.
pub struct Load {
    client: HttpClient,
    shared: Arc<Shared>,
    buyers: Vec<JoinHandle<()>>,
}

struct Shared {
    ledger: Mutex<Ledger>,
    stop: AtomicBool,
    next: AtomicU64,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Each change is one field or one insertion.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, problem: String) {
        let mut ledger = self.ledger();
        ledger.errors += 1;
        if ledger.told.len() < ERRORS_TOLD_MAX {
            ledger.told.push(problem);
        }
    }
}

impl Load {
    /// Puts a product on sale and on the shelf, then starts so many buyers, each with so long a pause after a purchase.
    pub async fn start(client: HttpClient, buyers: usize, pause: Duration) -> Result<Self> {
        let price = json!({ "amount": "1.00", "currency": "GBP" });
        let row = json!({ "sku": SKU, "title": SKU, "price": price, "published": true });
        let rows = json!({ "rows": [row] });
        once(&client, "/v1/products/import", "load-product", &rows).await?;
        let lines = json!([{ "sku": SKU, "quantity": STOCKED }]);
        let receipt = json!({ "reference": "load", "reason": "for the load", "lines": lines });
        once(&client, "/v1/stock/receipts", "load-receipt", &receipt).await?;
        let shared = Arc::new(Shared {
            ledger: Mutex::default(),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
        });
        let run = |_| tokio::spawn(buy_on(client.clone(), Arc::clone(&shared), pause));
        let buyers = (0..buyers).map(run).collect();
        Ok(Self { client, shared, buyers })
    }

    /// The ledger so far.
    pub fn ledger(&self) -> Ledger {
        self.shared.ledger().clone()
    }

    /// Purchases so far.
    pub fn bought(&self) -> usize {
        self.shared.ledger().bought.len()
    }

    /// Lets every buyer end what it is at, and compares what they were told to what the shop says.
    pub async fn finish(self) -> Result<(Ledger, Balance)> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for buyer in self.buyers {
            buyer.await.context("a buyer")?;
        }
        let ledger = self.shared.ledger().clone();
        let mut balance =
            Balance { acknowledged: count(ledger.bought.len()), ..Balance::default() };
        for order in ledger.bought.values() {
            let found = get(&self.client, &format!("/v1/orders/{order}")).await?;
            let is_there = found.status == 200 && text(&found, "status") == Some("paid".to_owned());
            balance.lost += u64::from(!is_there);
        }
        let mut orders: Vec<_> = ledger.bought.values().collect();
        orders.sort_unstable();
        orders.dedup();
        balance.doubled += balance.acknowledged - count(orders.len());
        let stock = get(&self.client, &format!("/v1/stock/{SKU}")).await?;
        let left = document(&stock).and_then(|stock| stock.get("available")?.as_u64());
        let left = left.context("the stock that is left")?;
        let gone = STOCKED.saturating_sub(left);
        // What was never answered may have left the shelf, each by one unit.
        let most = balance.acknowledged + count(ledger.unknown.len());
        balance.doubled += gone.saturating_sub(most);
        balance.lost += balance.acknowledged.saturating_sub(gone);
        Ok((ledger, balance))
    }
}

async fn buy_on(client: HttpClient, shared: Arc<Shared>, pause: Duration) {
    while !shared.stop.load(Ordering::Relaxed) {
        let key = format!("load-{}", shared.next.fetch_add(1, Ordering::Relaxed));
        match buy(&client, &shared, &key).await {
            Some(order) => {
                shared.ledger().bought.insert(key, order);
            }
            None => shared.ledger().unknown.push(key),
        }
        tokio::time::sleep(pause).await;
    }
}

/// Buys one unit under its own keys, asked until it is answered; its order.
async fn buy(client: &HttpClient, shared: &Shared, key: &str) -> Option<String> {
    let lines = json!({ "lines": [{ "sku": SKU, "quantity": 1 }], "reference": key });
    let opened = insist(client, shared, ("/v1/carts", &format!("{key}-cart")), &lines).await?;
    let path = format!("/v1/carts/{}/checkout", text(&opened, "id")?);
    let pay = json!({ "payment_token": "tok_approve" });
    let until = Instant::now() + AGAIN_FOR;
    while Instant::now() < until {
        // 202: it goes on, and the same key asks how far it is.
        let bought = insist(client, shared, (&path, &format!("{key}-pay")), &pay).await?;
        if let Some(order) = text(&bought, "order") {
            return Some(order);
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    None
}

/// Asks by one key until there is an answer that is none of the server's errors. Each of those is a client's error.
async fn insist(
    client: &HttpClient,
    shared: &Shared,
    (path, key): (&str, &str),
    body: &Value,
) -> Option<HttpAnswer> {
    let until = Instant::now() + AGAIN_FOR;
    loop {
        let began = Instant::now();
        let asked = post(client, path, key, body).await;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let problem = {
            let mut ledger = shared.ledger();
            ledger.longest_ms = ledger.longest_ms.max(took);
            match asked {
                Ok(answer) if answer.is_success() => {
                    ledger.answered += 1;
                    return Some(answer);
                }
                Ok(answer) => format!("{path}: {}", answer.problem()),
                Err(silence) => format!("{path}: {silence}"),
            }
        };
        shared.failed(problem);
        if Instant::now() > until {
            return None;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn post(
    client: &HttpClient,
    path: &str,
    key: &str,
    body: &Value,
) -> Result<HttpAnswer, NoAnswer> {
    let body = Some(Bytes::from(body.to_string()));
    let (method, time) = (Method::POST, REQUEST_TIME);
    client.ask(Ask { method, path, key: Some(key), if_match: None, body, time }).await
}

async fn get(client: &HttpClient, path: &str) -> Result<HttpAnswer> {
    let until = Instant::now() + AGAIN_FOR;
    loop {
        let (method, time) = (Method::GET, REQUEST_TIME);
        let ask = Ask { method, path, key: None, if_match: None, body: None, time };
        match client.ask(ask).await {
            Ok(answer) if answer.status < 500 => return Ok(answer),
            Ok(answer) if Instant::now() > until => bail!("{path}: {}", answer.problem()),
            Err(silence) if Instant::now() > until => bail!("{path}: {silence}"),
            Ok(_) | Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
        }
    }
}

async fn once(client: &HttpClient, path: &str, key: &str, body: &Value) -> Result<()> {
    let answer = post(client, path, key, body).await?;
    ensure!(answer.is_success(), "{path}: {}", answer.problem());
    Ok(())
}

fn document(answer: &HttpAnswer) -> Option<Value> {
    serde_json::from_slice(&answer.body).ok()
}

fn text(answer: &HttpAnswer, name: &str) -> Option<String> {
    Some(document(answer)?.get(name)?.as_str()?.to_owned())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
