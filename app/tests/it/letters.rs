//! Dead letters: an event that cannot have its effect waits for an operator, and nothing else waits for it.

use std::time::Instant;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    server::{Client, Database, Home, PATIENCE, until},
    shopping::stock,
};

/// The books of payments, from behind: what a defect or a hand in the database would do to them.
struct Books(Connection);

impl Books {
    fn of(home: &Home) -> Self {
        let books = Connection::open(home.data().join("payments.db")).unwrap();
        books.busy_timeout(PATIENCE).unwrap();
        Self(books)
    }

    /// From now on nobody can book the revenue of an order of ten pounds.
    fn shut(&self) {
        let shut = "CREATE TRIGGER shut BEFORE INSERT ON transfers
                    WHEN NEW.reason = 'order_paid' AND NEW.micros = 10000000
                    BEGIN SELECT RAISE(ABORT, 'the books are shut'); END";
        self.0.execute_batch(shut).unwrap();
    }

    fn open(&self) {
        self.0.execute_batch("DROP TRIGGER shut").unwrap();
    }

    fn count(&self, what: &str) -> i64 {
        self.0.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
    }

    /// As if all tries but the last had been made, which takes half an hour.
    fn half_an_hour_passes(&self) {
        let passed = "UPDATE parked SET attempts = 15, next_try_at = 0 WHERE attempts > 0";
        self.0.execute_batch(passed).unwrap();
    }
}

pub async fn buy(operator: &Client, sku: &str, key: &str) {
    let lines = json!({ "lines": [{ "sku": sku, "quantity": 1 }] });
    let cart = operator.post("/v1/carts", &format!("cart-{key}"), lines).await.expect(201);
    let path = format!("/v1/carts/{}/checkout", cart["id"].as_str().unwrap());
    let pay = json!({ "payment_token": "tok_approve" });
    operator.post(&path, &format!("pay-{key}"), pay).await.expect(201);
}

/// The one dead letter, once there is one.
async fn dead_letter(home: &Home, books: &Books) -> Value {
    until("it is parked", async || (books.count("parked") > 0).then_some(())).await;
    until("it is dead", async || {
        // Again and again: a try that was under way writes its own count.
        books.half_an_hour_passes();
        let letters = home.json(&["deadletters", "list", "--format", "json"]);
        letters.as_array().unwrap().first().cloned()
    })
    .await
}

fn order(home: &Home, order: &str, letter: &Value) {
    let position = letter["position"].to_string();
    let done = home.run(&["deadletters", order, "payments", "revenue", &position]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn what_cannot_be_booked_waits_for_an_operator_who_replays_or_discards_it() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let operator = server.operator();
    stock(&operator, &[("LAMP", "10.00", 5), ("ROPE", "3.00", 5)]).await;
    let books = Books::of(&home);
    books.shut();
    buy(&operator, "LAMP", "lamp").await;
    buy(&operator, "ROPE", "rope").await;
    let booked = "transfers WHERE reason = 'order_paid'";
    until("the other order is booked", async || (books.count(booked) == 1).then_some(())).await;

    let letter = dead_letter(&home, &books).await;
    assert_eq!(
        (&letter["module"], &letter["kind"]),
        (&json!("payments"), &json!("ordering.order.paid"))
    );
    assert_eq!(letter["error"], "the books are shut");
    let position = letter["position"].to_string();
    let shown = home.run(&["deadletters", "show", "payments", "revenue", &position]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["event"]["data"]["charged"]["amount"], "10.00");
    assert_eq!(home.run(&["verify"]).status.code(), Some(1), "its revenue is missing");

    // What is told of the order now waits for the operator as well, and nobody waits for that.
    let price = json!({ "amount": "-1.00", "currency": "GBP" });
    let line = json!({ "kind": "manual", "code": "M", "quantity": 1, "unit_price": price });
    let correct = json!({ "order": letter["subject"], "lines": [line] });
    operator.post("/v1/adjustments", "correct", correct).await.expect(201);
    until("it waits", async || (books.count("parked") == 2).then_some(())).await;
    let began = Instant::now();
    let verified = home.run(&["verify"]);
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(said.contains("1 wait behind dead ones") && said.contains("is broken"), "{said}");

    // Replayed too early it fails again, and stays.
    order(&home, "replay", &letter);
    let again = dead_letter(&home, &books).await;
    assert_eq!(again["position"], letter["position"]);
    books.open();
    order(&home, "replay", &again);
    until("it is booked", async || (books.count(booked) == 2).then_some(())).await;
    assert_eq!(books.count("parked"), 0);
    home.verified();

    books.shut();
    buy(&operator, "LAMP", "lost").await;
    let letter = dead_letter(&home, &books).await;
    books.open();
    order(&home, "discard", &letter);
    assert_eq!(home.json(&["deadletters", "list", "--format", "json"]), json!([]));
    assert_eq!(books.count(booked), 2, "what is given up has no effect");
    assert_eq!(home.run(&["verify"]).status.code(), Some(1), "and the books say so");
}
