//! What is wrong with a request is said by name, as a problem, and nothing of it is done.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use banyan::data_dir::DataDir;
use http::Method;
use serde_json::{Value, json};

use crate::{
    server::{Client, Database, Home},
    shopping::stock,
};

/// Bad requests and what is said about each.
const REQUESTS: &str = include_str!("../data/bad-requests.txt");

#[tokio::test]
async fn each_wrong_request_is_refused_by_name() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let operator = server.operator();
    stock(&operator, &[("LAMP", "10.00", 5)]).await;
    for line in REQUESTS.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [what, path, body, status, kind, names] = cells[..] else { panic!("{line}") };
        let key = what.replace(' ', "-");
        let answer = operator.raw(Method::POST, path, Some(&key), body.to_owned()).await;
        assert_eq!(answer.status.to_string(), status, "{what}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        assert_eq!(answer.body["type"], format!("urn:banyan:problem:{kind}"), "{what}");
        let said = format!("{}{:?}", answer.body, answer.raw.headers);
        assert!(said.contains(names), "{what}: {said}");
    }
    let large = format!("{{\"reference\":\"{}\"}}", "x".repeat(2_000_000));
    let refused = operator.raw(Method::POST, "/v1/carts", Some("large"), large).await;
    assert_eq!(refused.expect(413)["type"], "urn:banyan:problem:body-too-large");

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
    assert_eq!(no_key.expect(400)["type"], "urn:banyan:problem:idempotency-key-missing");
    let one = json!({ "reference": "one" });
    operator.post("/v1/carts", "key", one).await.expect(201);
    let other = operator.post("/v1/carts", "key", json!({ "reference": "other" })).await;
    assert_eq!(other.expect(422)["type"], "urn:banyan:problem:idempotency-key-reused");

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

#[tokio::test]
async fn the_operators_port_asks_for_its_token_before_it_reads() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let stranger = Client::new(&server.internal, "not-the-control-token");
    for (method, path) in
        [(Method::POST, "/ops/backup"), (Method::POST, "/ops/deadletters/discard")]
    {
        assert_eq!(stranger.ask(method, path, None, Some(json!({}))).await.status, 401, "{path}");
    }
    let secret = DataDir::at(home.data()).deployment_secret().unwrap();
    let control = Client::new(&server.internal, &secret.derive("control"));
    let set = async |level: Value| {
        control.ask(Method::PUT, "/ops/log-level", None, Some(json!({ "level": level }))).await
    };
    let level = json!("info,store=debug");
    assert_eq!(set(level.clone()).await.expect(200)["level"], level);
    let shown = control.get("/ops/log-level").await.expect(200).to_string();
    assert!(shown.contains("store=debug"), "{shown}");
    assert_eq!(set(json!(5)).await.expect(400)["errors"][0]["field"], "level");
    let said = set(json!("loud")).await.expect(409).to_string();
    assert!(said.contains("`loud` is no log level"), "{said}");
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
