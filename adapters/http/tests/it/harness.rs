//! A small app with one operation of each kind, and a way to ask it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use actix_web::{
    App,
    http::{Method, StatusCode, header::HeaderMap},
    middleware::from_fn,
    test,
    web::{self, Data},
};
use contract::{Fault, Never, Reason};
use http_api::{
    About, Access, Ask, IfMatch, Json, Operation, OperatorToken, Paging, Path, Problem,
    ProblemType, Query, Reply, Routes, Table, Tell, Visitor,
};
use kernel_api::{Page, Sku};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub const OPERATOR: &str = "operator-token";
pub const SECRET: &str = "000102030405060708090a0b0c0d0e0f";
pub const OUT_OF_STOCK: ProblemType = ProblemType::new("out-of-stock", 409, "Not enough in stock");

/// What a module's handlers would call.
pub trait Shelf: Send + Sync {
    /// The caller and key of every command that came through.
    fn told(&self) -> Vec<(String, String)>;
    fn tell(&self, caller: String, key: String);
}

#[derive(Default)]
pub struct Memory(Mutex<Vec<(String, String)>>);

impl Shelf for Memory {
    fn told(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }
    fn tell(&self, caller: String, key: String) {
        self.0.lock().unwrap().push((caller, key));
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Cart {
    /// What is in it.
    pub lines: Vec<Line>,
    #[serde(default)]
    pub note: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The SKU.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Filter {
    /// Only cheaper ones.
    pub price_max: Option<u32>,
}

async fn put_cart(
    shelf: Data<dyn Shelf>,
    tell: Tell,
    cart: Json<Cart>,
) -> Result<Reply<Cart>, Problem> {
    shelf.tell(tell.caller.to_string(), tell.key.to_string());
    Ok(Reply::created("/v1/carts/1", cart.0))
}

async fn list(page: Paging, filter: Query<Filter>) -> Result<Json<Page<u32>>, Problem> {
    let limit = page.0.limit();
    Ok(Json(Page { items: vec![limit, filter.price_max.unwrap_or(0)], next: page.0.after.clone() }))
}

async fn stock(ask: Ask, sku: Path<Sku>) -> Result<Json<Value>, Problem> {
    Ok(Json(
        json!({ "sku": sku.0, "caller": ask.caller.to_string(), "trace": ask.trace.trace_id() }),
    ))
}

async fn latest() -> Json<Value> {
    Json(json!("latest"))
}

async fn read_versioned() -> Reply<Value> {
    Reply::ok(json!({ "title": "Lantern" })).etag(3)
}

async fn edit_versioned(expected: IfMatch, _tell: Tell) -> Result<Reply<()>, Problem> {
    match expected.version() {
        Some(3) | None => Ok(Reply::no_content().etag(4)),
        Some(_) => Err(IfMatch::mismatch(3)),
    }
}

async fn who(visitor: Visitor) -> Json<Value> {
    Json(json!({ "operator": visitor.is_operator(), "caller": visitor.caller().to_string() }))
}

async fn fault(reason: Path<String>) -> Result<Json<()>, Problem> {
    let fault: Fault<Never> = match reason.as_str() {
        "unknown" => Fault::unknown("the peer hung up"),
        name => {
            let reason: Reason = serde_json::from_value(json!(name)).unwrap();
            Fault::not_executed(reason, "inner words")
        }
    };
    Err(Problem::from_fault(fault, |never| match never {}))
}

async fn buy() -> Result<Json<()>, Problem> {
    Err(Problem::of(&OUT_OF_STOCK)
        .detail("two are short")
        .with("short", 2)
        .field("lines[1].quantity", "only 1 left"))
}

pub fn routes(shelf: Arc<dyn Shelf>) -> Routes {
    Routes::new("shelf")
        .data(shelf)
        .add(
            Operation::get("/v1/stock/{sku}")
                .summary("Stock")
                .access(Access::Public)
                .answers::<Value>(200),
            stock,
        )
        .add(Operation::get("/v1/stock/latest").access(Access::Public), latest)
        .add(
            Operation::post("/v1/carts")
                .summary("Make a cart")
                .access(Access::Public)
                .body_limit(1024)
                .answers::<Cart>(201)
                .problems(&[OUT_OF_STOCK]),
            put_cart,
        )
        .add(Operation::put("/v1/carts").access(Access::Guest), put_cart)
        .add(Operation::get("/v1/things").access(Access::Public).answers::<Page<u32>>(200), list)
        .add(
            Operation::get("/v1/versioned").access(Access::Public).etag().answers::<Value>(200),
            read_versioned,
        )
        .add(Operation::patch("/v1/versioned").answers_nothing(204), edit_versioned)
        .add(Operation::get("/v1/who/public").access(Access::Public), who)
        .add(Operation::get("/v1/who/guest").access(Access::Guest), who)
        .add(Operation::get("/v1/who/operator"), who)
        .add(Operation::get("/v1/faults/{reason}").access(Access::Public), fault)
        .add(Operation::get("/v1/buy").access(Access::Public), buy)
}

pub fn table() -> (Table, Arc<dyn Shelf>) {
    let shelf: Arc<dyn Shelf> = Arc::new(Memory::default());
    let about = About { title: "Shop".into(), version: "1".into(), description: "A test.".into() };
    (Table::new(&about, vec![routes(Arc::clone(&shelf))]), shelf)
}

pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub told: Vec<(String, String)>,
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Is it this problem?
    #[track_caller]
    pub fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let json = self.json();
        assert_eq!(json["type"], format!("urn:banyan:problem:{slug}"), "{}", self.text);
        assert_eq!(json["status"], status);
        json
    }

    /// The fields that a problem names.
    pub fn fields(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

/// Asks a fresh app.
pub async fn ask(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Answered {
    let (table, shelf) = table();
    let app = App::new()
        .app_data(Data::new(OperatorToken::new(OPERATOR)))
        .wrap(from_fn(http_api::observe))
        .configure(|config: &mut web::ServiceConfig| table.configure(config));
    let service = test::init_service(app).await;
    let mut request = test::TestRequest::default().method(method).uri(path);
    let given: BTreeMap<_, _> = headers.iter().copied().collect();
    for (name, value) in &given {
        request = request.insert_header((*name, *value));
    }
    if let Some(body) = body {
        if !given.contains_key("content-type") {
            request = request.insert_header(("content-type", "application/json"));
        }
        request = request.set_payload(body.to_owned());
    }
    let response = test::call_service(&service, request.to_request()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = test::read_body(response).await;
    let text = String::from_utf8(body.to_vec()).unwrap();
    Answered { status, headers, text, told: shelf.told() }
}

pub async fn get(path: &str, headers: &[(&str, &str)]) -> Answered {
    ask(Method::GET, path, headers, None).await
}

pub async fn post(path: &str, body: &str) -> Answered {
    ask(Method::POST, path, &[("idempotency-key", "k1")], Some(body)).await
}
