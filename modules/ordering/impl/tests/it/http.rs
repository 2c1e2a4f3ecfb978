//! Ordering over HTTP: one buyer's way, and how clients are told what is wrong.

use std::sync::Arc;

use actix_web::{App, http::StatusCode, test, test::TestRequest, web::Data};
use http_api::{About, OperatorToken, Table};
use serde_json::{Value, json};

use crate::world::World;

/// An answer: status, `ETag`, `Location` and body.
struct Answered {
    status: StatusCode,
    etag: String,
    location: String,
    body: Value,
}

/// Sends a request to a world's routes.
async fn send(world: &World, request: TestRequest) -> Answered {
    let about = About { title: "test".into(), version: "0".into(), description: String::new() };
    let table = Table::new(&about, vec![ordering_impl::routes(Arc::clone(&world.ordering))]);
    let app = App::new()
        .app_data(Data::new(OperatorToken::new("secret")))
        .configure(|config| table.configure(config));
    let response = test::call_service(&test::init_service(app).await, request.to_request()).await;
    let header = |name: &str| {
        let value = response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    };
    let (status, etag, location) = (response.status(), header("etag"), header("location"));
    let body = test::read_body(response).await;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answered { status, etag, location, body }
}

fn post(path: &str, key: &str, bearer: &str, body: &Value) -> TestRequest {
    let request = TestRequest::post().uri(path).insert_header(("idempotency-key", key));
    with(request, bearer).set_json(body)
}

fn with(request: TestRequest, bearer: &str) -> TestRequest {
    if bearer.is_empty() {
        return request;
    }
    request.insert_header(("authorization", format!("Bearer {bearer}")))
}

fn get(path: &str, bearer: &str) -> TestRequest {
    with(TestRequest::get().uri(path), bearer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_buys_with_nothing_but_the_secret() {
    World::each(async |world| {
        world.sell("A", "2.50", 5);
        let cart = json!({ "lines": [{ "sku": "a", "quantity": 1 }] });
        let opened = send(&world, post("/v1/carts", "k1", "", &cart)).await;
        assert_eq!(opened.status, StatusCode::CREATED);
        let secret = opened.body["secret"].as_str().unwrap().to_owned();
        assert_eq!(secret.len(), 32);
        let again = send(&world, post("/v1/carts", "k1", "", &cart)).await;
        assert_eq!(again.body["type"], "urn:banyan:problem:secret-given");
        let cart = opened.location;
        assert_eq!(send(&world, get(&cart, "")).await.status, StatusCode::UNAUTHORIZED);
        let stranger = "0".repeat(32);
        assert_eq!(send(&world, get(&cart, &stranger)).await.status, StatusCode::NOT_FOUND);
        let content = json!({ "lines": [{ "sku": "A", "quantity": 2 }] });
        let put = |version: &str| {
            let request = TestRequest::put().uri(&cart).insert_header(("if-match", version));
            with(request, &secret).set_json(&content)
        };
        let put_once = send(&world, put(&opened.etag)).await;
        assert_eq!((put_once.status, put_once.etag.as_str()), (StatusCode::OK, "\"v2\""));
        assert_eq!(put_once.body["sum"]["total"]["amount"], "5.00");
        assert_eq!(send(&world, put("\"v7\"")).await.status, StatusCode::PRECONDITION_FAILED);
        let path = format!("{cart}/checkout");
        let pay = json!({ "payment_token": "tok_visa" });
        let done = send(&world, post(&path, "k2", &secret, &pay)).await;
        assert_eq!((done.status, &done.body["status"]), (StatusCode::CREATED, &json!("completed")));
        let order = send(&world, get(&done.location, &secret)).await;
        assert_eq!((order.status, &order.body["status"]), (StatusCode::OK, &json!("paid")));
        assert_eq!(order.body["lines"][0]["sku"], "A");
        assert_eq!(
            send(&world, get(&done.location, &stranger)).await.status,
            StatusCode::NOT_FOUND
        );
        let shipment = post(&format!("{}/shipments", done.location), "k3", &secret, &json!({}));
        assert_eq!(send(&world, shipment).await.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_checkout_is_a_problem_that_says_why() {
    World::each(async |world| {
        world.sell("A", "2.50", 1);
        let cart = json!({ "lines": [{ "sku": "A", "quantity": 2 }] });
        let opened = send(&world, post("/v1/carts", "k1", "secret", &cart)).await;
        let path = format!("{}/checkout", opened.location);
        let pay = json!({ "payment_token": "tok_visa" });
        let short = send(&world, post(&path, "k2", "secret", &pay)).await;
        assert_eq!(short.status, StatusCode::CONFLICT);
        assert_eq!(short.body["type"], "urn:banyan:problem:out-of-stock");
        assert_eq!(short.body["lines"][0]["available"], 1);
        world.sell("A", "2.50", 1);
        let declined = json!({ "payment_token": "tok_decline" });
        let declined = send(&world, post(&path, "k3", "secret", &declined)).await;
        assert_eq!(declined.status, StatusCode::UNPROCESSABLE_ENTITY);
        let reused = send(&world, post(&path, "k3", "secret", &pay)).await;
        assert_eq!(reused.body["type"], "urn:banyan:problem:idempotency-key-reused");
        assert_eq!(
            send(&world, post(&path, "k4", "secret", &pay)).await.status,
            StatusCode::CREATED
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_by_its_field() {
    World::each(async |world| {
        world.sell("A", "2.50", 1);
        let line = |line: Value| json!({ "lines": [{ "sku": "A", "quantity": 1 }, line] });
        let cases = [
            (line(json!({ "sku": "A", "quantity": -1 })), 422, "lines[1].quantity"),
            (line(json!({ "sku": "A", "quantity": 2_000_000 })), 422, "lines[1].quantity"),
            (line(json!({ "sku": "A", "quantity": "1" })), 400, "lines[1].quantity"),
            (line(json!({ "sku": "A", "quantity": 1, "color": 1 })), 400, "lines[1].color"),
            (line(json!({ "sku": "a b", "quantity": 1 })), 400, "lines[1].sku"),
            (line(json!({ "sku": "NONE", "quantity": 1 })), 422, "lines[1].sku"),
            (
                line(json!({ "sku": "A", "quantity": 1, "unit_price": { "amount": "1", "currency": "GBP" } })),
                403,
                "lines[1].unit_price",
            ),
        ];
        for (number, (body, status, field)) in cases.into_iter().enumerate() {
            let refused = send(&world, post("/v1/carts", &format!("k{number}"), "", &body)).await;
            assert_eq!(refused.status.as_u16(), status, "{body}: {}", refused.body);
            assert_eq!(refused.body["errors"][0]["field"], field, "{body}: {}", refused.body);
        }
        for list in ["orders", "customers"] {
            for reference in ["", "a%00b", &"x".repeat(201)] {
                let path = format!("/v1/{list}?reference={reference}");
                let refused = send(&world, get(&path, "secret")).await;
                assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}: {}", refused.body);
                assert_eq!(refused.body["errors"][0]["field"], "reference", "{path}");
            }
        }
        let no_key = TestRequest::post().uri("/v1/carts").set_json(json!({}));
        assert_eq!(send(&world, no_key).await.status, StatusCode::BAD_REQUEST);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_ships_takes_back_and_corrects() {
    World::each(async |world| {
        world.sell("A", "2.50", 5);
        let customer = json!({ "reference": "17850", "country": "EIRE" });
        let customer = send(&world, post("/v1/customers", "c", "secret", &customer)).await;
        assert_eq!(customer.status, StatusCode::CREATED);
        let found = send(&world, get("/v1/customers?reference=17850", "secret")).await;
        assert_eq!(found.body["items"][0]["id"], customer.body["id"]);
        let id = &customer.body["id"];
        let cart = json!({
            "customer": id, "reference": "536365",
            "lines": [{ "sku": "A", "quantity": 3, "unit_price": { "amount": "2", "currency": "GBP" } }],
            "services": [{ "kind": "postage", "code": "POST", "unit_price": { "amount": "1", "currency": "GBP" } }],
        });
        let opened = send(&world, post("/v1/carts", "k1", "secret", &cart)).await;
        assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.body);
        let path = format!("{}/checkout", opened.location);
        let pay = json!({ "payment_token": "tok_visa" });
        let done = send(&world, post(&path, "k2", "secret", &pay)).await;
        let order = done.location;
        let shipped = send(&world, post(&format!("{order}/shipments"), "k3", "secret", &json!({}))).await;
        assert_eq!((shipped.status, &shipped.body["status"]), (StatusCode::CREATED, &json!("shipped")));
        let cancel = json!({ "reason": "late" });
        let late = send(&world, post(&format!("{order}/cancellation"), "k4", "secret", &cancel)).await;
        assert_eq!(late.body["type"], "urn:banyan:problem:order-state");
        let one = json!({ "lines": [{ "line": 0, "quantity": 1 }] });
        let back = send(&world, post(&format!("{order}/returns"), "k5", "secret", &one)).await;
        assert_eq!((back.status, &back.body["status"]), (StatusCode::CREATED, &json!("settled")));
        let two = json!({ "customer": id, "lines": [{ "sku": "A", "quantity": 2 }] });
        let back = send(&world, post("/v1/returns", "k6", "secret", &two)).await;
        assert_eq!(back.body["settlements"][0]["amount"]["amount"], "4.00");
        assert_eq!(send(&world, get(&back.location, "secret")).await.status, StatusCode::OK);
        let debt = json!({ "lines": [{ "kind": "bad_debt", "code": "B",
            "unit_price": { "amount": "-5", "currency": "GBP" } }] });
        let made = send(&world, post("/v1/adjustments", "k7", "secret", &debt)).await;
        assert_eq!(made.status, StatusCode::CREATED);
        let books = send(&world, get("/v1/books", "secret")).await;
        assert_eq!(books.body[0]["net"]["amount"], "-4.00");
        let listed = send(&world, get("/v1/orders?reference=536365", "secret")).await;
        assert_eq!(listed.body["items"][0]["status"], "returned");
        let sagas = send(&world, get("/v1/sagas?status=done", "secret")).await;
        assert_eq!(sagas.body["items"].as_array().unwrap().len(), 3);
    })
    .await;
}
