//! What is wrong with a request is said by name, as a problem, and nothing of it is done.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use http::Method;
use serde_json::json;

use crate::{
    server::{Client, Database, Home},
    shopping::{pounds, stock},
};

/// A bad request and what is said about it.
struct Case {
    what: &'static str,
    path: &'static str,
    body: String,
    status: u16,
    /// The end of the problem's type.
    kind: &'static str,
    /// What the answer must name.
    names: &'static str,
}

fn case(
    what: &'static str,
    (path, body): (&'static str, impl ToString),
    (status, kind): (u16, &'static str),
    names: &'static str,
) -> Case {
    Case { what, path, body: body.to_string(), status, kind, names }
}

fn cases() -> Vec<Case> {
    let cart = |line: serde_json::Value| ("/v1/carts", json!({ "lines": [line] }));
    let huge = "9".repeat(12);
    vec![
        case("no JSON", ("/v1/carts", "{\"lines\": [}"), (400, "malformed"), ""),
        case(
            "a wrong type",
            cart(json!({ "sku": "LAMP", "quantity": "two" })),
            (400, "malformed"),
            "lines[0].quantity",
        ),
        case(
            "a fraction",
            cart(json!({ "sku": "LAMP", "quantity": 1.5 })),
            (400, "malformed"),
            "lines[0].quantity",
        ),
        case(
            "an unknown field",
            cart(json!({ "sku": "LAMP", "quantity": 1, "colour": "red" })),
            (400, "malformed"),
            "colour",
        ),
        case("a missing field", cart(json!({ "sku": "LAMP" })), (400, "malformed"), "quantity"),
        case(
            "a negative quantity",
            cart(json!({ "sku": "LAMP", "quantity": -1 })),
            (422, "out-of-range"),
            "lines[0].quantity",
        ),
        case(
            "no quantity",
            cart(json!({ "sku": "LAMP", "quantity": 0 })),
            (422, "out-of-range"),
            "lines[0].quantity",
        ),
        case(
            "an absurd quantity",
            cart(json!({ "sku": "LAMP", "quantity": 1_000_001 })),
            (422, "out-of-range"),
            "lines[0].quantity",
        ),
        case(
            "more than 64 bits",
            (
                "/v1/carts",
                format!("{{\"lines\":[{{\"sku\":\"LAMP\",\"quantity\":{huge}{huge}}}]}}"),
            ),
            (400, "malformed"),
            "lines[0].quantity",
        ),
        case(
            "money that overflows",
            cart(
                json!({ "sku": "LAMP", "quantity": 1_000_000, "unit_price": pounds("9000000000") }),
            ),
            (422, "out-of-range"),
            "lines[0]",
        ),
        case(
            "money as a float",
            cart(
                json!({ "sku": "LAMP", "quantity": 1, "unit_price": { "amount": 1.5, "currency": "GBP" } }),
            ),
            (400, "malformed"),
            "unit_price",
        ),
        case(
            "a negative price",
            cart(json!({ "sku": "LAMP", "quantity": 1, "unit_price": pounds("-1") })),
            (422, "out-of-range"),
            "lines[0].unit_price",
        ),
        case(
            "a currency of its own",
            cart(
                json!({ "sku": "LAMP", "quantity": 1, "unit_price": { "amount": "1", "currency": "EUR" } }),
            ),
            (422, "currency-mismatch"),
            "lines[0]",
        ),
        case(
            "no currency",
            cart(
                json!({ "sku": "LAMP", "quantity": 1, "unit_price": { "amount": "1", "currency": "pounds" } }),
            ),
            (400, "malformed"),
            "currency",
        ),
        case(
            "an unknown SKU",
            cart(json!({ "sku": "NOTHING", "quantity": 1 })),
            (422, "unknown-sku"),
            "lines[0].sku",
        ),
        case(
            "no SKU",
            cart(json!({ "sku": "two words", "quantity": 1 })),
            (400, "malformed"),
            "lines[0].sku",
        ),
        case(
            "an unknown parameter",
            ("/v1/carts?colour=red", json!({})),
            (400, "malformed"),
            "colour",
        ),
        case(
            "a body too large",
            ("/v1/carts", format!("{{\"reference\":\"{}\"}}", "x".repeat(2_000_000))),
            (413, "body-too-large"),
            "",
        ),
        case("no such path", ("/v1/bakery", json!({})), (404, "not-found"), ""),
        case("a wrong method", ("/v1/books", json!({})), (405, "method-not-allowed"), "GET"),
        case(
            "negative stock",
            (
                "/v1/stock/adjustments",
                json!({ "reference": "r", "reason": "lost", "lines": [{ "sku": "LAMP", "change": -6 }] }),
            ),
            (409, "out-of-stock"),
            "LAMP",
        ),
        case(
            "an absurd receipt",
            (
                "/v1/stock/receipts",
                json!({ "reference": "r", "reason": "found", "lines": [{ "sku": "LAMP", "quantity": 10_000_000_000_i64 }] }),
            ),
            (400, "malformed"),
            "lines[0].quantity",
        ),
        case(
            "an empty reason",
            (
                "/v1/stock/receipts",
                json!({ "reference": "r", "reason": "", "lines": [{ "sku": "LAMP", "quantity": 1 }] }),
            ),
            (400, "malformed"),
            "reason",
        ),
    ]
}

#[tokio::test]
async fn each_wrong_request_is_refused_by_name() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let operator = server.operator();
    stock(&operator, &[("LAMP", "10.00", 5)]).await;
    for (number, case) in cases().into_iter().enumerate() {
        let key = format!("case-{number}");
        let answer = operator.raw(Method::POST, case.path, Some(&key), case.body).await;
        let what = case.what;
        assert_eq!(answer.status, case.status, "{what}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        let kind = answer.body["type"].as_str().unwrap();
        assert_eq!(kind, format!("urn:banyan:problem:{}", case.kind), "{what}: {}", answer.body);
        assert!(answer.body.to_string().contains(case.names), "{what}: {}", answer.body);
    }
    let found = home.verified();
    assert_eq!((&found["orders"]["live"], &found["stock"]["on_hand"]), (&json!(0), &json!(5)));
}

#[tokio::test]
async fn keys_tokens_and_credentials_are_checked() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let operator = server.operator();
    stock(&operator, &[("LAMP", "10.00", 5)]).await;

    let no_key = operator.ask(Method::POST, "/v1/carts", None, Some(json!({}))).await;
    assert_eq!(no_key.expect(400)["type"], "urn:banyan:problem:key-missing");
    let one = json!({ "reference": "one" });
    operator.post("/v1/carts", "key", one).await.expect(201);
    let other = operator.post("/v1/carts", "key", json!({ "reference": "other" })).await;
    assert_eq!(other.expect(422)["type"], "urn:banyan:problem:key-reused");

    let stranger = Client::new(&server.public, "not-the-operator-of-this-shop");
    assert_eq!(stranger.get("/v1/stock").await.status, 401);
    let anyone = Client::new(&server.public, "");
    for path in ["/v1/stock", "/v1/orders", "/v1/customers", "/v1/payments", "/v1/books"] {
        assert_eq!(anyone.get(path).await.status, 401, "{path}");
    }
    let cart =
        operator.post("/v1/carts", "cart", json!({ "lines": [{ "sku": "LAMP", "quantity": 1 }] }));
    let path = format!("/v1/carts/{}/checkout", cart.await.expect(201)["id"].as_str().unwrap());
    let card = json!({ "payment_token": "4111111111111111" });
    let refused = operator.post(&path, "card", card).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(!refused.body.to_string().contains("4111"), "a card number is never repeated");
    home.verified();
}

#[test]
fn a_slow_client_is_let_go() {
    let mut home = Home::new(Database::Sqlite).unwrap();
    home.set("BANYAN_HTTP_HEAD_TIME", "300ms");
    let server = home.up();
    let address = server.public.strip_prefix("http://").unwrap();
    let mut slow = TcpStream::connect(address).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    slow.write_all(b"GET /v1/products HTTP/1.1\r\nhost: x\r\nx-slow: ").unwrap();
    let mut answer = String::new();
    // It says 408, or just closes: either way the connection is free again.
    drop(slow.read_to_string(&mut answer));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}
