//! Modules that move while the shop trades: what clients see of it, and what is left of it.

use std::time::Duration;

use banyan::{data_dir::DataDir, http_client::HttpClient, load::Load};
use serde_json::{Value, json};
use store::testing::PrivateDatabase;

use crate::server::{Client, Database, Home, Server, until};

const BUYERS: usize = 6;

pub async fn load(server: &Server) -> Load {
    let client = HttpClient::new(&server.public, &server.token, BUYERS).unwrap();
    Load::start(client, BUYERS, Duration::from_millis(10)).await.unwrap()
}

pub async fn buys_on(load: &Load) {
    let before = load.bought();
    until("the buyers buy on", async || (load.bought() >= before + 15).then_some(())).await;
}

/// Runs a command that watches a carve, beside the load; its certificate.
pub async fn moved(home: &Home, arguments: &[&str]) -> Value {
    let mut command = home.command(arguments);
    command.args(["--observe", "1s", "--format", "json"]);
    let what = arguments.join(" ");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let certificate: Value =
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{what}: {error}: {out}\n{err}"));
    assert_eq!(certificate["outcome"], "completed", "{what}: {out}\n{err}");
    // How long a busy machine lets writes stand still is a figure, and no matter of right and wrong.
    let faults = certificate["faults"].as_array().unwrap().iter();
    let mut wrong = faults.filter(|fault| !fault.as_str().unwrap().starts_with("writes stood"));
    assert_eq!(wrong.next(), None, "{what}: {out}");
    certificate
}

pub fn owner(home: &Home, module: &str) -> String {
    let found = home.json(&["placement", "--format", "json"]);
    let placed = found["placed"].as_array().unwrap();
    let placed = placed.iter().find(|placed| placed["module"] == module).unwrap();
    placed["owner"].as_str().unwrap().to_owned()
}

fn healthy(home: &Home) {
    let found = home.json(&["doctor", "--format", "json"]);
    assert_eq!(found["findings"], json!([]), "{found}");
}

/// Lets the buyers end: nobody saw an error, and what they were told is what the shop says.
pub async fn nothing_was_lost(home: &Home, load: Load) {
    let (ledger, balance) = load.finish().await.unwrap();
    assert_eq!((ledger.errors, &ledger.told), (0, &Vec::new()));
    assert!(balance.is_even(), "{balance:?}");
    home.verified();
    healthy(home);
}

/// How many requests for a module the proxy in front has led to another process than the shop's.
pub async fn led(server: &Server, module: &str) -> f64 {
    let metrics = Client::new(&server.internal, "").get("/metrics").await;
    let text = String::from_utf8(metrics.raw.body.to_vec()).unwrap();
    let route = format!("route=\"{module}.");
    text.lines()
        .filter(|line| line.contains(&route) && line.contains("side=\"new\""))
        .filter(|line| line.contains("class="))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test]
async fn inventory_moves_out_and_back_while_the_shop_trades() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let load = load(&server).await;
    buys_on(&load).await;
    let certificate = moved(&home, &["carve", "inventory"]).await;
    assert_eq!(certificate["switches"].as_array().unwrap().len(), 1);
    assert_eq!(owner(&home, "inventory"), "inventory");
    let operator = server.operator();
    until("people are led there", async || {
        assert_eq!(operator.get("/v1/stock").await.status, 200);
        (led(&server, "inventory").await > 0.0).then_some(())
    })
    .await;
    buys_on(&load).await;
    moved(&home, &["merge", "inventory"]).await;
    assert_eq!(owner(&home, "inventory"), "monolith");
    let before = led(&server, "inventory").await;
    assert_eq!(operator.get("/v1/stock").await.status, 200);
    assert_eq!(led(&server, "inventory").await, before, "people are led back");
    buys_on(&load).await;
    nothing_was_lost(&home, load).await;
    assert_eq!(server.stop(), Some(0));
    home.verified();
}

#[tokio::test]
async fn inventory_outgrows_its_file_and_moves_to_a_server() {
    let Some(private) = PrivateDatabase::create() else { return };
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let load = load(&server).await;
    buys_on(&load).await;
    let url = private.admin_url();
    moved(&home, &["carve", "inventory", "--database", &url, "--admin-url", &url]).await;
    buys_on(&load).await;
    nothing_was_lost(&home, load).await;
}

/// Each child has a place of its own: a carve between two of them ends neither of them too soon.
#[tokio::test]
async fn inventory_moves_from_one_child_to_another() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let load = load(&server).await;
    buys_on(&load).await;
    moved(&home, &["carve", "inventory"]).await;
    // Given up where it is sure that nothing has moved: the owner stays as it was.
    home.run(&["carve", "inventory", "--deployment", "other", "--detach"]);
    home.run(&["carve", "inventory", "--cancel"]);
    buys_on(&load).await;
    moved(&home, &["carve", "inventory", "--deployment", "another"]).await;
    assert_eq!(owner(&home, "inventory"), "another");
    buys_on(&load).await;
    // What was left two moves ago is known to be nobody's.
    moved(&home, &["merge", "inventory"]).await;
    assert_eq!(owner(&home, "inventory"), "monolith");
    buys_on(&load).await;
    nothing_was_lost(&home, load).await;
}

#[tokio::test]
async fn every_module_moves_out_at_once_and_each_finds_its_place_again() {
    let home = Home::new(Database::Sqlite).unwrap();
    let server = home.up();
    let load = load(&server).await;
    buys_on(&load).await;
    let modules = ["inventory", "catalog", "payments", "ordering"];
    let moves = modules.map(|module| {
        let home = &home;
        async move { moved(home, &["carve", module]).await }
    });
    futures_util::future::join_all(moves).await;
    for module in modules {
        assert_eq!(owner(&home, module), module);
    }
    buys_on(&load).await;
    nothing_was_lost(&home, load).await;

    server.kill();
    let server = home.up();
    let operator = server.operator();
    until("all are back", async || {
        (operator.get("/v1/stock/LOAD-LAMP").await.status == 200).then_some(())
    })
    .await;
    let load = self::load(&server).await;
    buys_on(&load).await;
    let (_, balance) = load.finish().await.unwrap();
    assert_eq!(balance.lost, 0);
}

fn signal(server: &Server, signal: &str) {
    let sent =
        std::process::Command::new("kill").args([signal, &server.pid().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn a_process_that_stood_still_during_the_switch_heals_by_itself() {
    let Some(home) = Home::new(Database::Postgres) else { return };
    let server = home.up();
    let mut other = Home::new(Database::Sqlite).unwrap();
    let secret = DataDir::at(home.data()).deployment_secret().unwrap();
    other.set("BANYAN_DEPLOYMENT_SECRET", &secret.to_text());
    other.set("BANYAN_OPERATOR_TOKEN", &server.token);
    for name in ["BANYAN_DATABASE_URL", "BANYAN_DATABASE_CONNECTIONS"] {
        other.set(name, &home.variable(name).unwrap());
    }
    let second = other.up();
    let load = load(&server).await;
    buys_on(&load).await;
    let operator = second.operator();
    receive(&operator, "before").await;
    signal(&second, "-STOP");
    moved(&home, &["carve", "inventory"]).await;
    signal(&second, "-CONT");
    // It takes itself for the owner; the database says no, and it asks again where the module is.
    receive(&operator, "after").await;
    let stock = server.operator().get("/v1/stock/RECEIVED").await.expect(200);
    assert_eq!(stock["available"], 2);
    buys_on(&load).await;
    nothing_was_lost(&home, load).await;
}

async fn receive(operator: &Client, key: &str) {
    let lines = json!([{ "sku": "RECEIVED", "quantity": 1 }]);
    let receipt = json!({ "reference": key, "reason": "a story", "lines": lines });
    operator.post("/v1/stock/receipts", key, receipt).await.expect(204);
}

/// Some of `banyan bench faults`: the whole of it takes long.
#[tokio::test]
async fn a_struck_carve_ends_wholly_on_one_side() {
    let home = Home::new(Database::Sqlite).unwrap();
    let strikes = [
        ["copy", "kill-server", "out"],
        ["fence", "kill-server", "out"],
        ["fence", "kill-child", "back"],
        ["observe", "kill-child", "out"],
        ["release", "stop-server", "back"],
        ["capture", "errors", "out"],
        ["hold", "lock-target", "out"],
        ["copy", "fill-target", "out"],
    ];
    for [step, fault, way] in strikes {
        let wish = ["bench", "faults", "--step", step, "--fault", fault, "--way", way];
        let mut command = home.command(&wish);
        command.args(["--format", "json"]);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// As a carve leaves it whose disk was full when it cleaned up.
#[tokio::test]
async fn what_a_carve_has_left_is_found_and_removed() {
    let home = Home::new(Database::Sqlite).unwrap();
    let _server = home.up();
    let c = rusqlite::Connection::open(home.data().join("inventory.db")).unwrap();
    let left = "CREATE TABLE carve_0a_log (pk TEXT);
                CREATE TRIGGER carve_0a_levels AFTER DELETE ON levels BEGIN SELECT 1; END";
    c.execute_batch(left).unwrap();
    let found = home.run(&["doctor", "--format", "json"]);
    assert!(!found.status.success());
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let kinds: Vec<_> = found["findings"].as_array().unwrap().iter().map(|f| &f["kind"]).collect();
    assert_eq!(kinds, ["leftover"], "{found}");
    let mended = home.json(&["doctor", "--repair", "--format", "json"]);
    assert_eq!(
        (&mended["healthy"], &mended["findings"][0]["mended"]),
        (&json!(true), &json!(true))
    );
    healthy(&home);
}

#[tokio::test]
async fn what_would_stand_in_the_way_is_said_before() {
    let home = Home::new(Database::Sqlite).unwrap();
    let _server = home.up();
    let found = home.json(&["carve", "inventory", "--dry-run", "--format", "json"]);
    assert_eq!((&found["ready"], &found["blockers"]), (&json!(true), &json!([])));
    let placement = home.run(&["carve", "placement", "--dry-run"]);
    assert!(!placement.status.success());
    healthy(&home);
}
