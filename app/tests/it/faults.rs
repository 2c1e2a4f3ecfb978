//! Faults: whatever is killed, taken away or full, what was promised is kept and the rest is undone.

use std::{process::Stdio, time::Duration};

use http::Method;
use serde_json::json;

use crate::{
    server::{Answer, Database, Home, Server, homes, until},
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

/// A server whose files may not grow beyond what a young shop needs: then its commits fail on their way to the disk.
fn cramped(home: &Home) -> Server {
    let limited = home.command(&["up", "--listen", "127.0.0.1:0"]);
    let program = limited.get_program().to_owned();
    let arguments: Vec<_> = limited.get_args().map(ToOwned::to_owned).collect();
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -S -f 400; exec \"$0\" \"$@\""])
        .arg(program)
        .args(arguments);
    shell.envs(limited.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    home.start_command(shell)
}

/// Receives a lamp under its own key.
async fn receive(server: &Server, key: &str) -> Answer {
    let receipt = json!({ "reference": key, "reason": "x".repeat(200), "lines": [{ "sku": "LAMP", "quantity": 1 }] });
    server.operator().post("/v1/stock/receipts", key, receipt).await
}

/// Receives lamp by lamp until the disk says no: the number of that one, and the answer.
async fn fill(server: &Server) -> (i64, Answer) {
    for number in 0..500 {
        let answer = receive(server, &format!("r{number}")).await;
        if answer.status != 204 {
            return (number, answer);
        }
    }
    panic!("the disk takes everything");
}

#[tokio::test]
async fn a_full_disk_is_said_and_breaks_nothing() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    stock(&server.operator(), &[("LAMP", "10.00", 1000)]).await;
    assert_eq!(server.stop(), Some(0));

    let server = cramped(&home);
    let (_, refused) = fill(&server).await;
    assert!([503, 507].contains(&refused.status), "{}", refused.body);
    let stock = server.operator().get("/v1/stock/LAMP").await;
    assert_eq!(stock.status, 200, "it still answers what it knows");
    server.kill();
    home.verified();
    let server = home.up();
    receive(&server, "after").await.expect(204);
    home.verified();
}

#[tokio::test]
async fn a_commit_that_fails_on_its_way_to_the_disk_is_asked_again_and_has_one_effect() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = cramped(&home);
    let operator = server.operator();
    stock(&operator, &[("LAMP", "10.00", 1000)]).await;
    let (number, refused) = fill(&server).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    let key = format!("r{number}");
    assert_eq!(receive(&server, &key).await.status, 503, "and again, as long as it lasts");

    let pid = server.pid().to_string();
    let mut free = std::process::Command::new("prlimit");
    free.args(["--pid", &pid, "--fsize=unlimited:"]);
    assert!(free.status().unwrap().success());
    until("it goes on by itself", async || {
        (receive(&server, &key).await.status == 204).then_some(())
    })
    .await;
    receive(&server, &key).await.expect(204);
    receive(&server, "after").await.expect(204);
    assert_eq!(available(&operator, "LAMP").await, 1000 + number + 2, "each that was asked, once");
    home.verified();
    assert_eq!(server.stop(), Some(0));
    let server = home.up();
    assert_eq!(available(&server.operator(), "LAMP").await, 1000 + number + 2);
    home.verified();
}
