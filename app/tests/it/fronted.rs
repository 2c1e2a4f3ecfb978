//! The proxy in front of the shop, in the same process.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
};

use serde_json::json;

use crate::server::{Client, Database, Home, until};

#[tokio::test]
async fn the_proxy_in_front_serves_steers_and_survives_a_kill() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let operator = server.operator();
    let product = json!({ "title": "Cup", "variants": [{ "sku": "CUP", "price": { "amount": "1.00", "currency": "GBP" } }] });
    let made = operator.post("/v1/products", "k1", product).await;
    assert!(made.status == 201 || made.status == 400, "the shop answers: {}", made.status);
    assert_eq!(operator.get("/v1/products").await.status, 200);
    assert_eq!(Client::new(&server.public, "").get("/v1/nothing").await.status, 404);

    // A toggle is an edit of the file; this one sends a module's reads to a new side that is not there.
    let file = home.data().join("proxy.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let gone = text.replacen(
        "name = \"catalog.products.read\"",
        "name = \"catalog.products.read\"\nto = \"http://127.0.0.1:9\"\nstage = \"live\"\nfallback = \"none\"",
        1,
    );
    assert_ne!(gone, text);
    std::fs::write(&file, gone).unwrap();
    until("the toggle", async || {
        let status = operator.get("/v1/products").await.status;
        (status == 502 || status == 503).then_some(())
    })
    .await;
    assert_eq!(operator.get("/v1/orders").await.status, 200, "other routes stay");

    // A kill leaves the socket behind; the file is still the operator's.
    server.kill();
    let server = home.up();
    let operator = server.operator();
    assert!(operator.get("/v1/products").await.status >= 502, "the toggle outlives the process");
    std::fs::write(&file, text).unwrap();
    until("the way back", async || {
        (operator.get("/v1/products").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn behind_the_proxy_no_head_is_too_late() {
    let mut home = Home::new(Database::Sqlite).unwrap();
    home.set("BANYAN_HTTP_HEAD_TIME", "1ms");
    let server = home.up();
    let mut shop = UnixStream::connect(home.data().join("shop.sock")).unwrap();
    shop.write_all(b"GET /health/live HTTP/1.1\r\n").unwrap();
    for _request in 0..50 {
        assert_eq!(server.operator().get("/v1/products").await.status, 200);
    }
    shop.write_all(b"Host: shop\r\n\r\n").unwrap();
    let mut status = String::new();
    BufReader::new(shop).read_line(&mut status).unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK\r\n");
}
