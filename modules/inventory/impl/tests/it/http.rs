//! Inventory over HTTP: what is refused, and how.

use std::sync::Arc;

use actix_web::{App, http::StatusCode, test, test::TestRequest, web::Data};
use http_api::{About, OperatorToken, Table};
use serde_json::{Value, json};

use crate::world::World;

/// Sends a request to a world's routes.
async fn send(world: &World, request: TestRequest) -> (StatusCode, Value) {
    let about = About { title: "test".into(), version: "0".into(), description: String::new() };
    let table = Table::new(&about, vec![inventory_impl::routes(Arc::clone(&world.inventory))]);
    let app = App::new()
        .app_data(Data::new(OperatorToken::new("secret")))
        .configure(|config| table.configure(config));
    let response = test::call_service(&test::init_service(app).await, request.to_request()).await;
    let status = response.status();
    let body = test::read_body(response).await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("authorization", "Bearer secret"))
}

fn post(path: &str, key: &str, body: &Value) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header(("authorization", "Bearer secret"))
        .insert_header(("idempotency-key", key))
        .set_json(body)
}

fn receipt(quantity: &Value) -> Value {
    json!({
        "reference": "delivery 1", "reason": "bought",
        "lines": [{ "sku": "a1", "quantity": 1 }, { "sku": "a1", "quantity": quantity }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_received_adjusted_and_shown() {
    World::each(async |world| {
        let body = receipt(&json!(4));
        for _ in 0..2 {
            let (status, _) = send(&world, post("/v1/stock/receipts", "k1", &body)).await;
            assert_eq!(status, StatusCode::NO_CONTENT);
        }
        let (status, stock) = send(&world, get("/v1/stock/A1")).await;
        assert_eq!((status, &stock["available"]), (StatusCode::OK, &json!(5)));
        let too_much = json!({
            "reference": "count", "reason": "lost", "lines": [{ "sku": "A1", "change": -6 }],
        });
        let (status, problem) = send(&world, post("/v1/stock/adjustments", "k2", &too_much)).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(problem["type"], "urn:banyan:problem:out-of-stock");
        assert_eq!(problem["lines"][0]["available"], 5);
        let threshold = |body| {
            TestRequest::put()
                .uri("/v1/stock/A1/threshold")
                .insert_header(("authorization", "Bearer secret"))
                .set_json(body)
        };
        let (status, _) = send(&world, threshold(json!({}))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let (status, level) = send(&world, threshold(json!({ "low_at": 2 }))).await;
        assert_eq!((status, &level["low_at"]), (StatusCode::OK, &json!(2)));
        let (_, page) = send(&world, get("/v1/stock?limit=1")).await;
        assert_eq!(page["items"][0]["sku"], "A1");
        let (_, ledger) = send(&world, get("/v1/stock/A1/ledger")).await;
        assert_eq!(ledger["items"][0]["kind"], "received");
        let (status, page) = send(&world, get("/v1/reservations?state=open&limit=2")).await;
        assert_eq!((status, &page["items"]), (StatusCode::OK, &json!([])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_names_its_field_and_changes_nothing() {
    World::each(async |world| {
        for (quantity, why) in [
            (json!(0), "too small"),
            (json!(-1), "negative"),
            (json!(1_000_001), "too large"),
            (json!(1.5), "no whole number"),
            (json!("3"), "text"),
            (json!(1e300), "absurd"),
        ] {
            let request = post("/v1/stock/receipts", "k", &receipt(&quantity));
            let (status, problem) = send(&world, request).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{why}");
            assert_eq!(problem["errors"][0]["field"], "lines[1].quantity", "{why}");
        }
        let mut unknown = receipt(&json!(1));
        unknown["colour"] = json!("red");
        let (status, problem) = send(&world, post("/v1/stock/receipts", "k", &unknown)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(problem.to_string().contains("colour"), "{problem}");
        let mut empty = receipt(&json!(1));
        empty["lines"] = json!([]);
        let (status, problem) = send(&world, post("/v1/stock/receipts", "k", &empty)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(problem["errors"][0]["field"], "lines");
        assert_eq!(send(&world, get("/v1/stock/A1")).await.0, StatusCode::NOT_FOUND);
        let (status, problem) = send(&world, get("/v1/stock?after=nonsense")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(problem["errors"][0]["field"], "after");
        assert_eq!(world.audit().await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_page_names_its_parameter() {
    World::each(async |world| {
        world.receive("A1", 1).await;
        for (path, field) in [
            ("/v1/stock?after=%00/main", "after"),
            ("/v1/stock?after=A1/%00", "after"),
            ("/v1/stock?after=A1/MAIN", "after"),
            ("/v1/stock/A1/ledger?after=%00/1", "after"),
            ("/v1/stock/A1/ledger?after=main/one", "after"),
            ("/v1/reservations?after=%00", "after"),
            ("/v1/stock?limit=0", "limit"),
            ("/v1/stock?limit=501", "limit"),
            ("/v1/stock?limit=-1", "limit"),
            ("/v1/reservations?state=lost", "state"),
        ] {
            let (status, problem) = send(&world, get(path)).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {problem}");
            assert_eq!(problem["errors"][0]["field"], field, "{path}: {problem}");
        }
        for path in ["/v1/stock/%00", "/v1/stock/%00/ledger", "/v1/reservations/%00"] {
            let (status, problem) = send(&world, get(path)).await;
            assert!(status.is_client_error(), "{path}: {status} {problem}");
        }
        for path in ["/v1/stock?limit=500", "/v1/stock?limit=1"] {
            assert_eq!(send(&world, get(path)).await.0, StatusCode::OK, "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_serves_one_request_and_only_the_operator() {
    World::each(async |world| {
        let send_receipt = async |quantity: i64| {
            send(&world, post("/v1/stock/receipts", "k", &receipt(&json!(quantity)))).await
        };
        assert_eq!(send_receipt(1).await.0, StatusCode::NO_CONTENT);
        let (status, problem) = send_receipt(2).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["type"], "urn:banyan:problem:idempotency-key-reused");
        let no_key = TestRequest::post()
            .uri("/v1/stock/receipts")
            .insert_header(("authorization", "Bearer secret"))
            .set_json(receipt(&json!(1)));
        assert_eq!(send(&world, no_key).await.0, StatusCode::BAD_REQUEST);
        let stranger = TestRequest::get().uri("/v1/stock");
        assert_eq!(send(&world, stranger).await.0, StatusCode::UNAUTHORIZED);
    })
    .await;
}
