//! The same shop in two processes: modules that run elsewhere are called and heard over HTTP, and nothing else changes.

use serde_json::json;

use crate::{
    server::{Database, Home},
    shopping::{available, stock},
};

const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const TOKEN: &str = "one-token-for-both-processes";

/// Two homes whose processes know where the other is.
fn two_homes() -> (Home, Home) {
    let mut homes = [Home::new(Database::Sqlite).unwrap(), Home::new(Database::Sqlite).unwrap()];
    // Ports that were free a moment ago; each process must know the other's before either runs.
    let taken: Vec<_> =
        (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> =
        taken.iter().map(|port| port.local_addr().unwrap().to_string()).collect();
    drop(taken);
    for (number, home) in homes.iter_mut().enumerate() {
        home.set("BANYAN_DEPLOYMENT_SECRET", SECRET);
        home.set("BANYAN_OPERATOR_TOKEN", TOKEN);
        home.set("BANYAN_INTERNAL_LISTEN", &addresses[number]);
        for (module, process) in
            [("CATALOG", 0), ("ORDERING", 0), ("INVENTORY", 1), ("PAYMENTS", 1)]
        {
            if process != number {
                home.set(
                    &format!("BANYAN_MODULES_{module}_URL"),
                    &format!("http://{}", addresses[process]),
                );
            }
        }
    }
    homes.into()
}

#[tokio::test]
async fn a_shop_in_two_processes_sells_as_one() {
    let (front, back) = two_homes();
    let back_server =
        back.start(&["serve", "--modules", "inventory,payments", "--listen", "127.0.0.1:0"]);
    let front_server =
        front.start(&["serve", "--modules", "catalog,ordering", "--listen", "127.0.0.1:0"]);
    let operator = front_server.operator();
    stock(&operator, &[("LAMP", "10.00", 50)]).await;
    // Every process answers every route: half of the orders are made at either.
    for number in 0..10 {
        let server = if number % 2 == 0 { &front_server } else { &back_server };
        let client = server.operator();
        let lines = json!({ "lines": [{ "sku": "LAMP", "quantity": 1 }] });
        let cart = client.post("/v1/carts", &format!("cart-{number}"), lines).await.expect(201);
        let path = format!("/v1/carts/{}/checkout", cart["id"].as_str().unwrap());
        let pay = json!({ "payment_token": "tok_approve" });
        client.post(&path, &format!("pay-{number}"), pay).await.expect(201);
    }
    assert_eq!(available(&back_server.operator(), "LAMP").await, 40);
    let found = front.verified();
    assert_eq!(found["orders"]["live"], 10);
    assert_eq!(
        found["feeds"].as_array().unwrap().len(),
        2,
        "both processes' subscriptions are seen"
    );
    let modules = front.json(&["modules", "--format", "json"]);
    let reserved = modules["real"].as_array().unwrap().iter().any(|call| {
        call["from"] == "ordering"
            && call["to"] == "inventory"
            && call["calls"].as_u64() >= Some(10)
    });
    assert!(reserved, "{modules}");
}

#[tokio::test]
async fn what_is_away_is_said_and_comes_back_by_itself() {
    let (front, back) = two_homes();
    let serve = ["serve", "--modules", "inventory,payments", "--listen", "127.0.0.1:0"];
    let back_server = back.start(&serve);
    let front_server =
        front.start(&["serve", "--modules", "catalog,ordering", "--listen", "127.0.0.1:0"]);
    let operator = front_server.operator();
    stock(&operator, &[("LAMP", "10.00", 5)]).await;
    back_server.kill();
    let away = operator.get("/v1/stock/LAMP").await;
    assert_eq!(away.status, 503, "{}", away.body);
    assert!(away.header("retry-after").is_some());
    assert_eq!(operator.get("/v1/products").await.status, 200, "what is here goes on");
    let _back_server = back.start(&serve);
    crate::server::until("stock answers again", async || {
        (operator.get("/v1/stock/LAMP").await.status == 200).then_some(())
    })
    .await;
    front.verified();
}

/// An extraction is rehearsed before it is made: every call to inventory and payments goes as over a bad wire.
#[tokio::test]
async fn a_rehearsed_extraction_loses_and_doubles_nothing() {
    let mut home = Home::new(Database::Sqlite).unwrap();
    for module in ["INVENTORY", "PAYMENTS"] {
        for (key, value) in [
            ("PERCENT", "100"),
            ("LATENCY", "2ms"),
            ("LOSS_PERCENT", "10"),
            ("DUPLICATE_PERCENT", "20"),
        ] {
            home.set(&format!("BANYAN_MODULES_{module}_REHEARSAL_{key}"), value);
        }
    }
    let server = home.up();
    let operator = server.operator();
    stock(&operator, &[("LAMP", "10.00", 50)]).await;
    for number in 0..20 {
        let lines = json!({ "lines": [{ "sku": "LAMP", "quantity": 1 }] });
        let cart = operator.post("/v1/carts", &format!("cart-{number}"), lines).await.expect(201);
        let path = format!("/v1/carts/{}/checkout", cart["id"].as_str().unwrap());
        let pay = json!({ "payment_token": "tok_approve" });
        let answer = operator.post(&path, &format!("pay-{number}"), pay).await;
        assert!([201, 202].contains(&answer.status), "{}", answer.body);
    }
    let found = home.verified();
    assert_eq!(found["orders"]["live"], 20);
    assert_eq!(available_in_the_end(&operator, 30).await, 30);
}

/// What can be bought, asked until it is as expected: a rehearsed answer may get lost.
async fn available_in_the_end(operator: &crate::server::Client, expected: i64) -> i64 {
    crate::server::until("the stock is what was left", async || {
        let found = operator.get("/v1/stock/LAMP").await;
        found.body["available"].as_i64().filter(|found| *found == expected)
    })
    .await
}
