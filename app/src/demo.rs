//! `banyan demo`: from nothing to a shop under load whose stock module moves into a process of its own, and the proof
//! that nothing was lost.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::{
    data_dir::{DataDir, Server},
    http_client::HttpClient,
    load::{Balance, Load},
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

/// How often something is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

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

/// The shop of the demonstration: a directory and a server, both gone when this is dropped.
struct Stage {
    home: PathBuf,
    server: Child,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Its children end with it: the pipe to each closes.
        drop(self.server.kill());
        drop(self.server.wait());
        drop(fs::remove_dir_all(&self.home));
    }
}

impl Stage {
    fn open() -> Result<Self> {
        let id = kernel_api::Id::<Self>::fresh();
        let home = std::env::temp_dir().join(format!("banyan-demo-{id}"));
        fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
        let mut command = program(&home)?;
        command.args(["up", "--listen", "127.0.0.1:0"]).stdout(Stdio::null());
        let log = fs::File::create(home.join("server.log"))?;
        let server = command.stderr(log).spawn().context("this program cannot be started")?;
        Ok(Self { home, server })
    }

    async fn ready(&mut self) -> Result<Server> {
        let data = DataDir::at(self.home.join("data"));
        let began = Instant::now();
        loop {
            if let Some(server) = data.server()? {
                return Ok(server);
            }
            let log = || fs::read_to_string(self.home.join("server.log")).unwrap_or_default();
            ensure!(self.server.try_wait()?.is_none(), "the server has ended: {}", log());
            ensure!(began.elapsed() < PATIENCE, "the server is not ready: {}", log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Runs a command to its end on a thread of its own; what it printed, and whether it was content.
    async fn run(&self, arguments: &[&str]) -> Result<(Vec<u8>, bool)> {
        let mut command = program(&self.home)?;
        command.args(arguments).args(["--data"]).arg(self.home.join("data"));
        let what = arguments.join(" ");
        let output = tokio::task::spawn_blocking(move || command.output()).await?;
        let output = output.with_context(|| what.clone())?;
        if output.stdout.is_empty() && !output.status.success() {
            bail!("banyan {what}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok((output.stdout, output.status.success()))
    }
}

/// This program, in a directory of its own, with nothing of the caller's settings.
fn program(home: &std::path::Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.current_dir(home).env_clear();
    command
        .env("BANYAN_DATA", home.join("data"))
        .env("BANYAN_INTERNAL_LISTEN", "127.0.0.1:0")
        .env("BANYAN_HTTP_LISTEN", "127.0.0.1:0");
    Ok(command)
}

/// Shows it, telling `say` what it does.
pub async fn show(say: impl Fn(&str)) -> Result<Shown> {
    let began = Instant::now();
    say("a fresh shop: one process, SQLite, nothing installed");
    let mut stage = Stage::open()?;
    let server = stage.ready().await?;
    let token = DataDir::at(stage.home.join("data")).operator_token()?;
    let sample = stage.home.join("sample.csv");
    fs::write(&sample, SAMPLE)?;
    let sample = sample.display().to_string();
    say("a month of trade is imported as history");
    stage.run(&["import", "online-retail", &sample]).await?;
    say("eight buyers buy all the time, and keep a ledger of what they were told");
    let client = HttpClient::new(&server.public, token.as_str(), BUYERS)?;
    let load = Load::start(client, BUYERS, PAUSE).await?;
    bought(&load, PURCHASES).await?;
    say("banyan carve inventory: code, tables, events and timers move into a process of their own");
    let carve =
        ["carve", MODULE, "--observe", "2s", "--format", "json", "--reason", "a demonstration"];
    let (certificate, carved) = stage.run(&carve).await?;
    let certificate: Value = serde_json::from_slice(&certificate).context("the certificate")?;
    say("it has moved; the buyers buy on");
    bought(&load, load.bought() + PURCHASES).await?;
    let (ledger, balance) = load.finish().await?;
    say("the books are closed: banyan verify, and the ledger against the shop");
    let (_, verified) = stage.run(&["verify", "--format", "json"]).await?;
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
