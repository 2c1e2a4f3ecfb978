//! `banyan demo`: from nothing to a shop under load whose stock module moves into a process of its own, and the proof
//! that nothing was lost.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::{
    http_client::HttpClient,
    load::{Balance, Load},
    trial::{LOOK_EVERY, Trial},
};

/// A month of a small shop, in the format of the real file, made up.
const SAMPLE: &str = include_str!("../tests/data/small-shop.csv");

/// The module that moves.
const MODULE: &str = "inventory";

/// Buyers at once, and the pause of each after a purchase: a shop that is busy, on a machine that has other things to do.
const BUYERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// Purchases before the move and after it, so that both owners have sold something.
const PURCHASES: usize = 50;

/// How long anything of it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What it has shown.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Nothing was lost, nothing happened twice, no client saw an error, and every invariant holds.
    pub clean: bool,
    /// How long all of it took.
    pub seconds: f64,
    /// Requests that were answered while the module moved, and errors that clients saw.
    pub answered: u64,
    /// Errors.
    pub errors: u64,
    /// The first of them.
    pub told: Vec<String>,
    /// The slowest request of all, the one that waited for the switch included.
    pub longest_ms: u64,
    /// The ledger of the buyers against the shop.
    pub balance: Balance,
    /// `banyan verify` held.
    pub verified: bool,
    /// The certificate of the move.
    pub certificate: Value,
}

/// Shows it, telling `say` what it does.
pub async fn show(say: impl Fn(&str)) -> Result<Shown> {
    let began = Instant::now();
    say("a fresh shop: one process, SQLite, nothing installed");
    let mut trial = Trial::start(&[])?;
    let server = trial.ready().await?;
    let token = trial.data().operator_token()?;
    let sample = trial.home().join("sample.csv");
    fs::write(&sample, SAMPLE)?;
    let sample = sample.display().to_string();
    say("a month of trade is imported as history");
    trial.run(&["import", "online-retail", &sample]).await?;
    say("eight buyers buy all the time, and keep a ledger of what they were told");
    let client = HttpClient::new(&server.public, token.as_str(), BUYERS)?;
    let load = Load::start(client, BUYERS, PAUSE).await?;
    bought(&load, PURCHASES).await?;
    say("banyan carve inventory: code, tables, events and timers move into a process of their own");
    let carve =
        ["carve", MODULE, "--observe", "2s", "--format", "json", "--reason", "a demonstration"];
    let (certificate, carved) = trial.run(&carve).await?;
    let certificate: Value = serde_json::from_slice(&certificate).context("the certificate")?;
    say("it has moved; the buyers buy on");
    bought(&load, load.bought() + PURCHASES).await?;
    let (ledger, balance) = load.finish().await?;
    say("the books are closed: banyan verify, and the ledger against the shop");
    let (_, verified) = trial.run(&["verify", "--format", "json"]).await?;
    let clean = carved && verified && balance.is_even() && ledger.errors == 0;
    Ok(Shown {
        clean,
        seconds: began.elapsed().as_secs_f64(),
        answered: ledger.answered,
        errors: ledger.errors,
        told: ledger.told,
        longest_ms: ledger.longest_ms,
        balance,
        verified,
        certificate,
    })
}

async fn bought(load: &Load, wanted: usize) -> Result<()> {
    let began = Instant::now();
    while load.bought() < wanted {
        let told = || load.ledger().told.join("; ");
        ensure!(began.elapsed() < PATIENCE, "the buyers get nothing: {}", told());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
