//! Catalog over HTTP: who sees what, what is refused, and how.

use std::sync::Arc;

use actix_web::{
    App,
    http::{StatusCode, header::HeaderMap},
    test,
    test::TestRequest,
    web::Data,
};
use http_api::{About, OperatorToken, Table};
use serde_json::{Value, json};

use crate::world::World;

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request to a world's routes.
async fn send(world: &World, request: TestRequest) -> Answered {
    let about = About { title: "test".into(), version: "0".into(), description: String::new() };
    let table = Table::new(&about, vec![catalog_impl::routes(Arc::clone(&world.catalog))]);
    let app = App::new()
        .app_data(Data::new(OperatorToken::new("secret")))
        .configure(|config| table.configure(config));
    let response = test::call_service(&test::init_service(app).await, request.to_request()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = test::read_body(response).await;
    Answered { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

fn operator(request: TestRequest) -> TestRequest {
    request.insert_header(("authorization", "Bearer secret"))
}

fn post(path: &str, key: &str, body: &Value) -> TestRequest {
    operator(TestRequest::post().uri(path)).insert_header(("idempotency-key", key)).set_json(body)
}

fn lantern() -> Value {
    json!({
        "title": "Lantern", "description": "Of tin.",
        "variants": [{ "sku": "85123a", "label": "cream", "price": { "amount": "2.55", "currency": "GBP" } }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_goes_from_the_operator_to_the_public() {
    World::each(async |world| {
        let added = send(&world, post("/v1/products", "k1", &lantern())).await;
        assert_eq!((added.status, added.header("etag")), (StatusCode::CREATED, "\"v1\""));
        let place = added.header("location").to_owned();
        assert_eq!(send(&world, get(&place)).await.status, StatusCode::NOT_FOUND);
        let by_sku = "/v1/products/by-sku/85123A";
        assert_eq!(send(&world, get(by_sku)).await.status, StatusCode::NOT_FOUND);
        assert_eq!(send(&world, operator(get(by_sku))).await.status, StatusCode::OK);
        assert_eq!(send(&world, get("/v1/quotes?skus=85123A")).await.body, json!([]));
        let done = send(&world, post(&format!("{place}/publish"), "k2", &json!({}))).await;
        assert_eq!(done.body["published"], true, "{}", done.body);
        let seen = send(&world, get(&place)).await;
        assert_eq!(seen.body["variants"][0]["price"]["amount"], "2.55");
        assert_eq!(seen.body["variants"][0]["availability"], "unknown");
        let found = send(&world, get("/v1/products?text=LANT&limit=5")).await;
        assert_eq!(found.body["items"][0]["title"], "Lantern");
        let quotes = send(&world, get("/v1/quotes?skus=85123a,NOPE")).await;
        assert_eq!(quotes.body[0]["title"], "Lantern (cream)");
        assert_eq!(send(&world, get("/v1/skus/85123A/prices")).await.status, 401);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_wants_the_tag_and_a_copy_is_fresh_until_the_price_changes() {
    World::each(async |world| {
        let added = send(&world, post("/v1/products", "k1", &lantern())).await;
        let place = added.header("location").to_owned();
        let tag = send(&world, operator(get(&place))).await.header("etag").to_owned();
        let fresh = || operator(get(&place)).insert_header(("if-none-match", tag.as_str()));
        assert_eq!(send(&world, fresh()).await.status, StatusCode::NOT_MODIFIED);
        let price = json!({ "price": { "amount": "2.10", "currency": "GBP" } });
        let priced = send(&world, post("/v1/skus/85123A/prices", "k2", &price)).await;
        assert_eq!(priced.body["price"]["amount"], "2.10", "{}", priced.body);
        assert_eq!(send(&world, fresh()).await.status, StatusCode::OK);
        let edit = |tag: Option<&str>| {
            let request = operator(TestRequest::patch().uri(&place));
            let request = request.set_json(json!({ "title": "Red lantern" }));
            match tag {
                Some(tag) => request.insert_header(("if-match", tag)),
                None => request,
            }
        };
        assert_eq!(send(&world, edit(None)).await.status, 428);
        let edited = send(&world, edit(Some(&tag))).await;
        assert_eq!((edited.status, &edited.body["version"]), (StatusCode::OK, &json!(2)));
        let late = send(&world, edit(Some(&tag))).await;
        assert_eq!((late.status.as_u16(), &late.body["status"]), (412, &json!(412)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_names_its_field_and_changes_nothing() {
    World::each(async |world| {
        let with = |pointer: &str, value: Value| {
            let mut body = lantern();
            *body.pointer_mut(pointer).unwrap() = value;
            body
        };
        let cases = [
            (with("/title", json!("")), "title"),
            (with("/title", json!("x\u{7}")), "title"),
            (with("/title", json!(7)), "title"),
            (with("/description", json!("x".repeat(10_001))), "description"),
            (with("/variants", json!([])), "variants"),
            (with("/variants/0/sku", json!("a b")), "variants[0].sku"),
            (with("/variants/0/price/amount", json!("-1")), "variants[0].price"),
            (with("/variants/0/price/amount", json!("1000000.01")), "variants[0].price"),
            (with("/variants/0/price/amount", json!("99999999999999999999")), "variants[0].price"),
            (with("/variants/0/price/currency", json!("JPY")), "variants[0].price"),
        ];
        for (body, field) in cases {
            let answer = send(&world, post("/v1/products", "k", &body)).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
            let named = answer.body["errors"][0]["field"].as_str().unwrap().to_owned();
            assert!(named.starts_with(field), "{field}: {}", answer.body);
        }
        for path in
            ["/v1/quotes", "/v1/quotes?skus=", "/v1/quotes?skus=a%20b", "/v1/quotes?skus=A,,B"]
        {
            let answer = send(&world, get(path)).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(answer.body["errors"][0]["field"], "skus", "{path}");
        }
        let bad = send(&world, get("/v1/products?after=x")).await;
        assert_eq!(bad.body["errors"][0]["field"], "after");
        assert!(world.audit().await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_reports_each_row() {
    World::each(async |world| {
        let row = |sku: &str, currency: &str| {
            json!({ "sku": sku, "title": "T", "published": true, "price": { "amount": "1", "currency": currency } })
        };
        let body = json!({ "rows": [row("A", "GBP"), row("B", "GBP"), row("A", "EUR")] });
        let answer = send(&world, post("/v1/products/import", "k1", &body)).await;
        let rows = json!([
            { "row": 0, "sku": "A", "outcome": "added" },
            { "row": 1, "sku": "B", "outcome": "added" },
            { "row": 2, "sku": "A", "outcome": "other_currency" },
        ]);
        assert_eq!(answer.body["rows"], rows, "{}", answer.body);
        let audit = send(&world, operator(get("/v1/products/audit"))).await;
        assert_eq!(audit.body["items"][0]["violations"], json!([]));
        let taken = send(&world, post("/v1/products", "k2", &json!({ "title": "T", "variants": [
            { "sku": "A", "price": { "amount": "1", "currency": "GBP" } }] }))).await;
        assert_eq!((taken.status, &taken.body["skus"]), (StatusCode::CONFLICT, &json!(["A"])));
    })
    .await;
}
