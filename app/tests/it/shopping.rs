//! A shop's day: someone looks, fills a cart, buys, and brings something back.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Client, Home, Server, homes, until};

/// A price in pounds.
pub fn pounds(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "GBP" })
}

/// Puts products on sale and on the shelf: SKU, price, units.
pub async fn stock(operator: &Client, goods: &[(&str, &str, u32)]) {
    let rows: Vec<_> = goods
        .iter()
        .map(|(sku, price, _)| json!({ "sku": sku, "title": sku, "price": pounds(price), "published": true }))
        .collect();
    let products = json!({ "rows": rows });
    operator.post("/v1/products/import", "stock-products", products).await.expect(200);
    let lines: Vec<_> = goods
        .iter()
        .filter(|(_, _, units)| *units > 0)
        .map(|(sku, _, units)| json!({ "sku": sku, "quantity": units }))
        .collect();
    let receipt = json!({ "reference": "delivery 1", "reason": "first delivery", "lines": lines });
    operator.post("/v1/stock/receipts", "stock-receipt", receipt).await.expect(204);
}

/// What can still be sold.
pub async fn available(operator: &Client, sku: &str) -> i64 {
    let stock = operator.get(&format!("/v1/stock/{sku}")).await.expect(200);
    stock["available"].as_i64().unwrap()
}

/// A cart of someone nobody knows; its id and the secret that opens it.
async fn guest_cart(server: &Server, key: &str, lines: Value) -> (String, Client) {
    let anyone = Client::new(&server.public, "");
    let opened = anyone.post("/v1/carts", key, json!({ "lines": lines })).await.expect(201);
    let secret = opened["secret"].as_str().unwrap();
    (opened["id"].as_str().unwrap().to_owned(), Client::new(&server.public, secret))
}

async fn each_home(story: impl AsyncFn(&Home, &Server)) {
    for home in homes() {
        let server = home.up();
        story(&home, &server).await;
        home.verified();
        assert_eq!(server.stop(), Some(0));
        home.verified();
    }
}

#[tokio::test]
async fn a_guest_buys_and_brings_something_back() {
    each_home(async |_, server| {
        let operator = server.operator();
        stock(&operator, &[("LAMP", "10.00", 5), ("ROPE", "0.333", 100)]).await;
        let anyone = Client::new(&server.public, "");
        let shown = anyone.get("/v1/products").await.expect(200);
        assert_eq!(shown["items"].as_array().unwrap().len(), 2);

        let (cart, guest) = guest_cart(server, "cart", json!([{ "sku": "LAMP", "quantity": 1 }])).await;
        let path = format!("/v1/carts/{cart}");
        assert_eq!(anyone.get(&path).await.status, 401);
        let (_, stranger) = guest_cart(server, "other", json!([])).await;
        assert_eq!(stranger.get(&path).await.status, 404, "as if it did not exist");

        let read = guest.get(&path).await;
        let version = read.header("etag").unwrap().to_owned();
        let content = json!({ "lines": [{ "sku": "LAMP", "quantity": 2 }, { "sku": "ROPE", "quantity": 5 }] });
        let put = guest.put(&path, &version, content.clone()).await.expect(200);
        assert_eq!(put["sum"]["total"], pounds("21.66"), "5 × 0.333 is 1.665, half to even");
        let stale = guest.put(&path, &version, json!({ "lines": [] })).await;
        assert_eq!(stale.status, 412, "{}", stale.body);

        let pay = json!({ "payment_token": "tok_approve" });
        let bought = guest.post(&format!("{path}/checkout"), "buy", pay.clone()).await.expect(201);
        let again = guest.post(&format!("{path}/checkout"), "buy", pay).await.expect(201);
        assert_eq!(bought, again, "the same key is the same purchase");
        assert_eq!(available(&operator, "LAMP").await, 3);

        let order = format!("/v1/orders/{}", bought["order"].as_str().unwrap());
        assert_eq!(guest.get(&order).await.expect(200)["status"], "paid");
        assert_eq!(anyone.get(&order).await.status, 401);
        operator.post(&format!("{order}/shipments"), "ship", json!({})).await.expect(201);
        let back = json!({ "lines": [{ "line": 0, "quantity": 1 }], "reason": "wrong colour" });
        let note = operator.post(&format!("{order}/returns"), "return", back.clone()).await;
        let note = format!("/v1/returns/{}", note.expect(201)["id"].as_str().unwrap());
        until("the return is settled", async || {
            let note = operator.get(&note).await.expect(200);
            (note["status"] == "settled").then_some(())
        })
        .await;
        assert_eq!(available(&operator, "LAMP").await, 4);
        let order = guest.get(&order).await.expect(200);
        assert_eq!((&order["status"], &order["refunded"]), (&json!("partly_returned"), &pounds("10.00")));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_paid_is_not_sold() {
    each_home(async |_, server| {
        let operator = server.operator();
        stock(&operator, &[("LAMP", "10.00", 5)]).await;
        let lines = json!([{ "sku": "LAMP", "quantity": 2 }]);
        let (cart, guest) = guest_cart(server, "cart", lines).await;
        let path = format!("/v1/carts/{cart}/checkout");
        // The one is refused before there is an order, the other takes a placed order back.
        for token in ["tok_decline", "tok_decline:capture"] {
            let refused = guest.post(&path, token, json!({ "payment_token": token })).await;
            assert_eq!(refused.expect(422)["type"], "urn:banyan:problem:payment-declined");
            assert_eq!(available(&operator, "LAMP").await, 5, "{token}: all can be sold again");
        }
        // The same cart can be paid in another way.
        guest.post(&path, "approved", json!({ "payment_token": "tok_approve" })).await.expect(201);
        assert_eq!(available(&operator, "LAMP").await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_does_not_answer_ends_well() {
    each_home(async |_, server| {
        let operator = server.operator();
        stock(&operator, &[("LAMP", "10.00", 50)]).await;
        let tokens = ["tok_timeout", "tok_timeout_lost", "tok_late", "tok_twice", "tok_flaky"];
        for token in tokens {
            let (cart, guest) =
                guest_cart(server, token, json!([{ "sku": "LAMP", "quantity": 1 }])).await;
            let path = format!("/v1/carts/{cart}/checkout");
            let begun = guest.post(&path, token, json!({ "payment_token": token })).await;
            assert!([201, 202].contains(&begun.status), "{token}: {}", begun.body);
            let checkout = format!("/v1/checkouts/{}", begun.body["id"].as_str().unwrap());
            until(token, async || {
                let found = guest.get(&checkout).await.expect(200);
                (found["status"] == "completed").then_some(())
            })
            .await;
        }
        assert_eq!(available(&operator, "LAMP").await, 45);
    })
    .await;
}

#[tokio::test]
async fn prices_and_services_of_ones_own_are_the_operators() {
    each_home(async |_, server| {
        let operator = server.operator();
        stock(&operator, &[("LAMP", "10.00", 5)]).await;
        let priced = json!({ "lines": [{ "sku": "LAMP", "quantity": 1, "unit_price": pounds("0.01") }] });
        let postage = json!({ "services": [
            { "kind": "postage", "code": "POST", "title": "Postage", "quantity": 1, "unit_price": pounds("4.95") },
            { "kind": "discount", "code": "D", "title": "Discount", "quantity": 1, "unit_price": pounds("-1.00") },
        ] });
        let anyone = Client::new(&server.public, "");
        for (key, body) in [("priced", &priced), ("postage", &postage)] {
            let refused = anyone.post("/v1/carts", key, body.clone()).await.expect(403);
            assert_eq!(refused["type"], "urn:banyan:problem:operator-only");
        }
        let mut both = priced;
        both["services"] = postage["services"].clone();
        let cart = operator.post("/v1/carts", "both", both).await.expect(201);
        assert_eq!(cart["sum"]["total"], pounds("3.96"));
        let path = format!("/v1/carts/{}/checkout", cart["id"].as_str().unwrap());
        operator.post(&path, "pay", json!({ "payment_token": "tok_approve" })).await.expect(201);
        let debt = json!({ "reference": "A1", "lines": [
            { "kind": "bad_debt", "code": "B", "quantity": 1, "unit_price": pounds("-11062.06") },
        ] });
        operator.post("/v1/adjustments", "debt", debt).await.expect(201);
        let credit = json!({ "reference": "C1", "services": [
            { "kind": "manual", "code": "M", "quantity": 1, "unit_price": pounds("2.50") },
        ] });
        operator.post("/v1/returns", "credit", credit).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn the_document_has_every_route_and_the_page_needs_nothing_else() {
    let home = Home::new(crate::server::Database::Sqlite).unwrap();
    let server = home.up();
    let anyone = Client::new(&server.public, "");
    let document = anyone.get("/openapi.json").await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    let routes = home.json(&["routes", "--format", "json"]);
    for route in routes.as_array().unwrap() {
        let method = route["method"].as_str().unwrap().to_lowercase();
        let path = route["path"].as_str().unwrap();
        assert!(document["paths"][path][&method].is_object(), "{method} {path}");
    }
    let page = anyone.ask(Method::GET, "/docs", None, None).await;
    let page = String::from_utf8(page.raw.body.to_vec()).unwrap();
    assert!(!page.contains("http://") && !page.contains("https://"), "no outside asset");
    for probe in ["/health/live", "/health/ready", "/health/startup"] {
        assert_eq!(anyone.get(probe).await.status, 200);
        assert_eq!(Client::new(&server.internal, "").get(probe).await.status, 200);
    }
    let metrics = Client::new(&server.internal, "").get("/metrics").await;
    assert!(
        String::from_utf8(metrics.raw.body.to_vec())
            .unwrap()
            .contains("banyan_http_requests_total")
    );
    assert_eq!(anyone.get("/metrics").await.status, 404, "not for the public");
    assert_eq!(anyone.get("/rpc/inventory/schema").await.status, 404, "not for the public");
}
