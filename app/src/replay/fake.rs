//! A shop that keeps stock, carts and keys in memory, and loses requests and answers as it is told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How often, in percent, something goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trouble {
    /// The request is lost.
    pub lost: u64,
    /// The request has its effect, the answer is lost.
    pub unanswered: u64,
    /// The shop is busy and does nothing.
    pub busy: u64,
    /// A checkout or return is not settled at once.
    pub slow: u64,
    /// A checkout fails because a part of the shop is away.
    pub away: u64,
}

/// What the shop knows.
#[derive(Debug, Default)]
pub struct Books {
    /// Units by SKU.
    pub stock: BTreeMap<String, i64>,
    /// The catalog's prices.
    pub prices: BTreeMap<String, Value>,
    /// What became of the shop, one entry for each effect: the kind of document and its reference.
    pub story: Vec<(&'static str, String)>,
    /// The lines of each cart that became an order, by reference.
    pub ordered: BTreeMap<String, Value>,
    /// How many requests came.
    pub requests: u64,
    keys: HashMap<String, (Value, Reply)>,
    carts: Vec<Value>,
    /// What is under way, by its path: how often it is still asked after, and what happens then.
    under_way: HashMap<String, (u64, Effect)>,
    trouble: Trouble,
    dice: u64,
}

#[derive(Debug, Clone)]
struct Reply {
    status: u16,
    location: Option<String>,
    body: Value,
}

#[derive(Debug, Clone)]
enum Effect {
    Sold,
    Failed(Value),
    Back(Value),
}

/// A running shop.
pub struct FakeShop {
    /// Its URL.
    pub url: String,
    /// What it knows.
    pub books: Arc<Mutex<Books>>,
}

impl FakeShop {
    /// A shop in this much trouble; the same seed makes the same dice.
    pub async fn open(trouble: Trouble, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let books = Books { trouble, dice: seed | 1, ..Books::default() };
        let books = Arc::new(Mutex::new(books));
        let shared = Arc::clone(&books);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, books }
    }
}

async fn serve(mut stream: TcpStream, books: Arc<Mutex<Books>>) {
    while let Some(request) = read(&mut stream).await {
        let reply = {
            let mut books = books.lock().unwrap();
            books.requests += 1;
            books.troubled(&request)
        };
        // A lost request or answer is a connection that ends.
        let Some(Reply { status, location, body }) = reply else { return };
        let body = if status == 204 { String::new() } else { body.to_string() };
        let location = location.map_or_else(String::new, |at| format!("location: {at}\r\n"));
        let text = format!(
            "HTTP/1.1 {status} X\r\n{location}retry-after: 0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

struct Asked {
    method: String,
    path: String,
    key: Option<String>,
    body: Value,
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut first = text.lines().next()?.split(' ');
    let header = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    assert_eq!(header("authorization").as_deref(), Some("Bearer the-operator-token"));
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked {
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        key: header("idempotency-key"),
        body: serde_json::from_slice(&bytes[head + 4..]).unwrap_or(Value::Null),
    })
}

impl Books {
    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % 100
    }

    fn troubled(&mut self, asked: &Asked) -> Option<Reply> {
        if self.roll() < self.trouble.lost {
            return None;
        }
        if self.roll() < self.trouble.busy {
            return Some(Reply { status: 503, location: None, body: json!({}) });
        }
        let reply = self.answer(asked);
        (self.roll() >= self.trouble.unanswered).then_some(reply)
    }

    fn answer(&mut self, asked: &Asked) -> Reply {
        if asked.method == "GET" {
            return self.get(&asked.path);
        }
        let key = asked.key.clone().expect("a POST has a key");
        if let Some((body, reply)) = self.keys.get(&key) {
            assert_eq!(body, &asked.body, "{key} is used for two things");
            return reply.clone();
        }
        let reply = self.post(asked);
        self.keys.insert(key, (asked.body.clone(), reply.clone()));
        reply
    }

    fn get(&mut self, path: &str) -> Reply {
        if path.starts_with("/v1/products?") {
            let product = |(sku, price): (&String, &Value)| json!({ "variants": [{ "sku": sku, "price": price }] });
            let items: Vec<_> = self.prices.iter().map(product).collect();
            return ok(200, json!({ "items": items }));
        }
        if let Some(reference) = path.strip_prefix("/v1/customers?reference=") {
            return ok(200, json!({ "items": [{ "id": id_of(reference), "country": "EIRE" }] }));
        }
        let Some((left, effect)) = self.under_way.get_mut(path) else {
            return ok(404, json!({ "type": "urn:banyan:problem:not-found" }));
        };
        *left = left.saturating_sub(1);
        let (left, effect) = (*left, effect.clone());
        if left == 1 {
            self.happen(&effect);
        }
        ok(200, stands(left, &effect))
    }

    /// The shop answers nobody any more.
    pub fn lose_everything(&mut self) {
        self.trouble.lost = 100;
    }

    fn happen(&mut self, effect: &Effect) {
        if let Effect::Back(body) = effect {
            for line in body["lines"].as_array().unwrap() {
                *self.stock.entry(text(&line["sku"])).or_default() +=
                    line["quantity"].as_i64().unwrap();
            }
            self.story.push(("return", text(&body["reference"])));
        }
    }

    fn post(&mut self, asked: &Asked) -> Reply {
        let body = &asked.body;
        match asked.path.as_str() {
            "/v1/products/import" => {
                for row in body["rows"].as_array().unwrap() {
                    self.prices.entry(text(&row["sku"])).or_insert(row["price"].clone());
                }
                ok(200, json!({}))
            }
            "/v1/customers" => {
                let reference = text(&body["reference"]);
                // One is known from elsewhere, with other data.
                if reference == "20003" {
                    return ok(409, json!({ "type": "urn:banyan:problem:reference-taken" }));
                }
                let location = Some(format!("/v1/customers/{}", id_of(&reference)));
                Reply { location, ..ok(201, json!(null)) }
            }
            "/v1/stock/receipts" => {
                for line in body["lines"].as_array().unwrap() {
                    *self.stock.entry(text(&line["sku"])).or_default() +=
                        line["quantity"].as_i64().unwrap();
                }
                ok(204, json!(null))
            }
            "/v1/stock/adjustments" => {
                let wanted = units(body, "change");
                if wanted.iter().any(|(sku, change)| self.stock.get(sku).unwrap_or(&0) + change < 0)
                {
                    return ok(409, json!({ "type": "urn:banyan:problem:out-of-stock" }));
                }
                wanted
                    .into_iter()
                    .for_each(|(sku, change)| *self.stock.entry(sku).or_default() += change);
                self.story.push(("stock", text(&body["reference"])));
                ok(204, json!(null))
            }
            "/v1/adjustments" => {
                self.story.push(("books", text(&body["reference"])));
                ok(201, json!({}))
            }
            "/v1/carts" => {
                self.carts.push(body.clone());
                let location = Some(format!("/v1/carts/{}", self.carts.len() - 1));
                Reply { location, ..ok(201, json!({})) }
            }
            "/v1/returns" => {
                let location = format!("/v1/returns/{}", text(&body["reference"]));
                self.begin(location, Effect::Back(body.clone()))
            }
            path => {
                let cart =
                    path.strip_prefix("/v1/carts/").unwrap().strip_suffix("/checkout").unwrap();
                self.check_out(cart.parse().unwrap(), body)
            }
        }
    }

    fn check_out(&mut self, cart: usize, body: &Value) -> Reply {
        assert_eq!(body["payment_token"], "tok_approve");
        let location = format!("/v1/checkouts/{cart}.{}", self.keys.len());
        if self.roll() < self.trouble.away {
            let failure = json!({ "kind": "unavailable", "detail": "payments" });
            return self.begin(location, Effect::Failed(failure));
        }
        let cart = self.carts[cart].clone();
        let wanted = units(&cart, "quantity");
        if wanted.iter().any(|(sku, wanted)| self.stock.get(sku).unwrap_or(&0) < wanted) {
            let failure = json!({ "kind": "out_of_stock", "shortages": [] });
            return self.begin(location, Effect::Failed(failure));
        }
        wanted.into_iter().for_each(|(sku, wanted)| *self.stock.entry(sku).or_default() -= wanted);
        let reference = text(&cart["reference"]);
        self.story.push(("sale", reference.clone()));
        assert!(self.ordered.insert(reference, cart).is_none(), "a cart becomes one order");
        self.begin(location, Effect::Sold)
    }

    fn begin(&mut self, location: String, effect: Effect) -> Reply {
        // Asked after as often as this, less one.
        let left = if self.roll() < self.trouble.slow { 3 } else { 1 };
        if left == 1 {
            self.happen(&effect);
        }
        let reply = match (&effect, left) {
            (Effect::Failed(failure), 1) if failure["kind"] == "unavailable" => {
                ok(503, json!({ "type": "urn:banyan:problem:unavailable", "checkout": location }))
            }
            (Effect::Failed(_), 1) => ok(409, json!({ "type": "urn:banyan:problem:out-of-stock" })),
            (_, 1) => ok(201, stands(left, &effect)),
            _ => ok(202, stands(left, &effect)),
        };
        let reply = Reply { location: Some(location.clone()), ..reply };
        self.under_way.insert(location, (left, effect));
        reply
    }
}

fn stands(left: u64, effect: &Effect) -> Value {
    match effect {
        Effect::Sold if left > 1 => json!({ "status": "running" }),
        Effect::Failed(_) if left > 1 => json!({ "status": "running" }),
        Effect::Back(_) if left > 1 => json!({ "status": "accepted" }),
        Effect::Sold => json!({ "status": "completed", "order": "…" }),
        Effect::Failed(failure) => json!({ "status": "failed", "failure": failure }),
        Effect::Back(_) => json!({ "status": "settled" }),
    }
}

fn ok(status: u16, body: Value) -> Reply {
    Reply { status, location: None, body }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The shop's id for a customer.
pub fn id_of(reference: &str) -> String {
    crate::online_retail::derived::id::<()>(&[reference]).to_string()
}

/// The units of a body's lines, by SKU.
fn units(body: &Value, field: &str) -> BTreeMap<String, i64> {
    let mut units = BTreeMap::new();
    for line in body["lines"].as_array().unwrap() {
        *units.entry(text(&line["sku"])).or_default() += line[field].as_i64().unwrap();
    }
    units
}
