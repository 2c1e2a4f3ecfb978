//! Some of what `banyan bench` shows, with a small file: the whole of it takes minutes.

use serde_json::{Value, json};
use store::testing::server_url;

use crate::server::{Database, Home};

const SMALL: &str = include_str!("../data/small-shop.csv");

/// Runs a show on a server; nothing where there is none, which [`Home::new`] says.
async fn shown(what: &[&str]) -> Option<Value> {
    let home = Home::new(Database::Postgres)?;
    let file = home.data().with_file_name("trade.csv");
    std::fs::write(&file, SMALL).unwrap();
    let (file, server) = (file.display().to_string(), server_url()?);
    let more = ["--server", &server, "--format", "json"];
    let mut command = home.command(&[&["bench", what[0], &file], &what[1..], &more[..]].concat());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{err}")))
}

fn nobody_noticed(shown: &Value) {
    let seen = &shown["seen"];
    assert_eq!((&seen["errors"], &seen["told"]), (&json!(0), &json!([])));
    assert_eq!(seen["traded"]["errors"], json!({}));
    assert_eq!((&seen["traded"]["refused"], &seen["traded"]["cut_off"]), (&json!(0), &json!(null)));
    assert_eq!((&seen["balance"]["lost"], &seen["balance"]["doubled"]), (&json!(0), &json!(0)));
    assert_eq!(seen["verified"], true);
}

#[tokio::test]
async fn no_request_fails_while_every_toggle_is_flipped() {
    let Some(shown) = shown(&["toggles"]).await else { return };
    nobody_noticed(&shown);
    assert_eq!(shown["clean"], true, "{shown:#}");
}

#[tokio::test]
async fn nobody_notices_that_payments_moves_to_a_server_and_back() {
    let Some(shown) = shown(&["carves", "--module", "payments", "--cycles", "0"]).await else {
        return;
    };
    nobody_noticed(&shown);
    assert_eq!((&shown["probes_failed"], &shown["healthy"]), (&json!({}), &json!(true)));
    let moves = shown["moves"].as_array().unwrap();
    assert_eq!(moves.len(), 2);
    // How long a busy machine lets writes stand still is a figure, and no matter of right and wrong.
    let faults = moves.iter().flat_map(|moved| moved["faults"].as_array().unwrap());
    let mut wrong = faults.filter(|fault| !fault.as_str().unwrap().starts_with("writes stood"));
    assert_eq!(wrong.next(), None, "{shown:#}");
}
