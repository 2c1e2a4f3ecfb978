//! Faults: whatever is killed, taken away or full, what was promised is kept and the rest is undone.

use std::{process::Stdio, time::Duration};

use http::Method;
use serde_json::json;

use crate::{
    server::{Database, Home, Server, homes, until},
    shopping::{available, stock},
};

#[tokio::test]
async fn of_64_buyers_for_the_last_unit_one_gets_it() {
    for home in homes() {
        let server = home.up();
        let operator = server.operator();
        stock(&operator, &[("LAMP", "10.00", 1)]).await;
        let buyers = (0..64).map(|number| {
            let operator = operator.clone();
            tokio::spawn(async move {
                let lines = json!({ "lines": [{ "sku": "LAMP", "quantity": 1 }] });
                let cart = operator.post("/v1/carts", &format!("cart-{number}"), lines).await;
                let path =
                    format!("/v1/carts/{}/checkout", cart.expect(201)["id"].as_str().unwrap());
                let pay = json!({ "payment_token": "tok_approve" });
                operator.post(&path, &format!("pay-{number}"), pay).await.status
            })
        });
        let mut statuses = Vec::new();
        for buyer in buyers.collect::<Vec<_>>() {
            statuses.push(buyer.await.unwrap());
        }
        let count = |status: u16| statuses.iter().filter(|got| **got == status).count();
        assert_eq!((count(201), count(409)), (1, 63), "{statuses:?}");
        assert_eq!(available(&operator, "LAMP").await, 0);
        let found = home.verified();
        assert_eq!((&found["orders"]["live"], &found["stock"]["sold"]), (&json!(1), &json!(-1)));
    }
}

/// Buys one lamp under its own keys; true when it is known to be bought.
async fn buy(server: &Server, number: u32) -> bool {
    let operator = server.operator();
    let lines =
        json!({ "lines": [{ "sku": "LAMP", "quantity": 1 }], "reference": format!("{number}") });
    let (open, pay) = (format!("cart-{number}"), format!("pay-{number}"));
    let opened = operator.try_ask(Method::POST, "/v1/carts", Some(&open), Some(lines)).await;
    let Ok(cart) = opened else { return false };
    let Some(cart) = cart.body["id"].as_str().map(str::to_owned) else { return false };
    let path = format!("/v1/carts/{cart}/checkout");
    let token = Some(json!({ "payment_token": "tok_approve" }));
    let paid = operator.try_ask(Method::POST, &path, Some(&pay), token).await;
    paid.is_ok_and(|paid| paid.status == 201)
}

#[tokio::test]
async fn a_server_that_is_killed_between_any_two_steps_ends_what_it_began() {
    for home in homes() {
        let mut server = home.up();
        stock(&server.operator(), &[("LAMP", "10.00", 1000)]).await;
        let mut bought = [false; 60];
        // Each round is killed a little later than the one before, so that the kills fall between different steps.
        for round in 0..6_u64 {
            let buying = async {
                let open = bought.iter_mut().zip(0_u32..).filter(|(bought, _)| !**bought).take(20);
                let shared = &server;
                futures_util::future::join_all(open.map(async |(bought, number)| {
                    *bought = buy(shared, number).await;
                }))
                .await;
            };
            // The kill is the point of the story: its moment is what varies.
            drop(tokio::time::timeout(Duration::from_millis(15 + 25 * round), buying).await);
            server.kill();
            server = home.up();
        }
        for (bought, number) in bought.iter_mut().zip(0_u32..) {
            until("it is bought", async || {
                *bought = *bought || buy(&server, number).await;
                bought.then_some(())
            })
            .await;
        }
        let found = home.verified();
        assert_eq!((&found["orders"]["live"], &found["stock"]["sold"]), (&json!(60), &json!(-60)));
        assert_eq!(available(&server.operator(), "LAMP").await, 940);
    }
}

#[tokio::test]
async fn a_restart_on_files_goes_on_at_once_with_what_a_kill_left() {
    let mut home = Home::new(Database::Sqlite).unwrap();
    // A lease of half an hour: whoever waits for its end comes too late for this test.
    home.set("BANYAN_ORDERING_STEP_TIMEOUT", "10m");
    home.set("BANYAN_PAYMENTS_SIMULATED_DELAY", "2s");
    let server = home.up();
    let operator = server.operator();
    stock(&operator, &[("LAMP", "10.00", 5)]).await;
    let lines = json!({ "lines": [{ "sku": "LAMP", "quantity": 1 }] });
    let cart = operator.post("/v1/carts", "cart", lines).await.expect(201);
    let path = format!("/v1/carts/{}/checkout", cart["id"].as_str().unwrap());
    let paying = tokio::spawn(async move {
        let late = json!({ "payment_token": "tok_late" });
        drop(operator.try_ask(Method::POST, &path, Some("pay"), Some(late)).await);
    });
    until("the provider is asked", async || {
        let available = available(&server.operator(), "LAMP").await;
        (available == 4).then_some(())
    })
    .await;
    server.kill();
    paying.await.unwrap();

    let _server = home.up();
    until("what nobody asks for again has ended", async || {
        let open = home.json(&["sagas", "list", "--format", "json"]);
        (open == json!([])).then_some(())
    })
    .await;
    assert_eq!(home.verified()["orders"]["live"], 1);
}

#[tokio::test]
async fn a_full_disk_is_said_and_breaks_nothing() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    stock(&server.operator(), &[("LAMP", "10.00", 1000)]).await;
    assert_eq!(server.stop(), Some(0));

    // Files may not grow any more: writes fail as they do on a full disk.
    let limited = home.command(&["up", "--listen", "127.0.0.1:0"]);
    let program = limited.get_program().to_owned();
    let arguments: Vec<_> = limited.get_args().map(ToOwned::to_owned).collect();
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\""])
        .arg(program)
        .args(arguments);
    shell.envs(limited.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    let server = home.start_command(shell);
    let operator = server.operator();
    let mut refused = None;
    for number in 0..500 {
        let receipt = json!({ "reference": format!("r{number}"), "reason": "x".repeat(200), "lines": [{ "sku": "LAMP", "quantity": 1 }] });
        let answer = operator.post("/v1/stock/receipts", &format!("r{number}"), receipt).await;
        if answer.status != 204 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the disk is full at last");
    assert!([503, 507].contains(&refused.status), "{}", refused.body);
    assert_eq!(operator.get("/v1/stock/LAMP").await.status, 200, "it still answers what it knows");
    server.kill();
    home.verified();
    let server = home.up();
    let receipt = json!({ "reference": "after", "reason": "room again", "lines": [{ "sku": "LAMP", "quantity": 1 }] });
    server.operator().post("/v1/stock/receipts", "after", receipt).await.expect(204);
    home.verified();
}
