//! `banyan bench faults`: carves under load, each struck at one of its steps, on the real program. Whatever is struck, the
//! module ends wholly on one side, nothing acknowledged is lost and nothing happens twice.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use contract::{Call, Caller, Client, Deadline, Keyring, Remote};
use kernel_api::Id;
use placement_api::{Carve, Name, Outcome, Placement, Step};
use serde::{Deserialize, Serialize};

use crate::{
    data_dir::{DataDir, Server},
    http_client::HttpClient,
    load::{Balance, Load},
    trial::{LOOK_EVERY, Trial},
};

/// The module that moves.
const MODULE: &str = "inventory";

/// Buyers at once, and the pause of each after a purchase.
const BUYERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);

/// Purchases before the move, and after all is over.
const PURCHASES: usize = 10;

/// How long a struck carve may take to its end: leases run out and processes start again in it.
const END_TIME: Duration = Duration::from_secs(120);

/// How often a carve is looked at on its way to the step at which it is struck.
const STALK_EVERY: Duration = Duration::from_millis(1);

/// How long one question to placement may take.
const CALL_TIME: Duration = Duration::from_secs(5);

/// How long a stopped process stands still: longer than a call waits, shorter than a process is taken for gone.
const STOPPED_FOR: Duration = Duration::from_secs(3);

/// What is done to a carve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// kill -9 of the server: the coordinator, the source and, where there is one, the proxy. It is started again.
    KillServer,
    /// kill -9 of the process that the module moves to.
    KillTarget,
    /// That process stands still for seconds: what is asked of it runs into time-outs.
    StopTarget,
    /// The server stands still for seconds: its leases run out.
    StopServer,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::KillServer, Self::KillTarget, Self::StopTarget, Self::StopServer];
}

/// The steps at which carves are struck: those in which work is done.
pub const STEPS: [Step; 14] = [
    Step::Plan,
    Step::Preflight,
    Step::Prepare,
    Step::Host,
    Step::Capture,
    Step::Copy,
    Step::CatchUp,
    Step::Verify,
    Step::Approach,
    Step::Hold,
    Step::Record,
    Step::Release,
    Step::Observe,
    Step::Complete,
];

/// One struck carve.
#[derive(Debug, Serialize)]
pub struct Struck {
    /// At which step it was to be struck.
    pub step: Step,
    /// Where it stood when it was: a short step may have passed.
    pub struck_at: Step,
    /// By what.
    pub fault: Fault,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Who owns the module.
    pub owner: String,
    /// Errors that clients saw, all of them answered in the end.
    pub errors: u64,
    /// The ledger against the shop.
    pub balance: Balance,
    /// `banyan verify` holds.
    pub verified: bool,
    /// `banyan doctor` finds nothing.
    pub healthy: bool,
    /// What went wrong with the trial itself.
    pub trouble: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Struck {
    /// It ended as it must.
    pub fn is_well(&self) -> bool {
        let ended = self.outcome.is_some() && self.trouble.is_none();
        ended && self.balance.is_even() && self.verified && self.healthy
    }
}

/// Strikes a carve of a fresh shop.
pub async fn strike(step: Step, fault: Fault) -> Struck {
    let began = Instant::now();
    let mut struck = Struck {
        step,
        struck_at: step,
        fault,
        outcome: None,
        owner: String::new(),
        errors: 0,
        balance: Balance::default(),
        verified: false,
        healthy: false,
        trouble: None,
        seconds: 0.0,
    };
    if let Err(error) = struck.run().await {
        struck.trouble = Some(format!("{error:#}"));
    }
    struck.seconds = began.elapsed().as_secs_f64();
    struck
}

impl Struck {
    async fn run(&mut self) -> Result<()> {
        let mut trial = Trial::start(&[])?;
        let server = trial.ready().await?;
        let token = trial.data().operator_token()?;
        let client = HttpClient::new(&server.public, token.as_str(), BUYERS)?;
        let load = Load::start(client, BUYERS, PAUSE).await?;
        bought(&load, PURCHASES).await?;
        let begun = ["carve", MODULE, "--observe", "1s", "--detach", "--format", "json"];
        let (carve, _) = trial.run(&begun).await?;
        let carve: Carve = serde_json::from_slice(&carve).context("the carve")?;
        self.struck_at = self.stalk(&trial, &server, carve.id).await?;
        self.hit(&mut trial).await?;
        let ended = ended(&mut trial, carve.id).await?;
        self.outcome = ended.outcome;
        bought(&load, load.bought() + PURCHASES).await?;
        let (ledger, balance) = load.finish().await?;
        (self.errors, self.balance) = (ledger.errors, balance);
        (_, self.verified) = trial.run(&["verify", "--format", "json"]).await?;
        self.healthy = healthy(&trial).await?;
        let server = trial.ready().await?;
        let placed = placement(&trial, &server)?.placed(&call(), ()).await?.placed;
        let module: Name = MODULE.parse()?;
        let placed = placed.into_iter().find(|placed| placed.module == module);
        self.owner = placed.map(|placed| placed.owner.to_string()).unwrap_or_default();
        Ok(())
    }

    /// Waits until the carve is at the step or past it; where it stands.
    async fn stalk(&self, trial: &Trial, server: &Server, id: Id<Carve>) -> Result<Step> {
        let placement = placement(trial, server)?;
        let began = Instant::now();
        loop {
            let carve = placement.carve(&call(), id).await?;
            if carve.step >= self.step || carve.outcome.is_some() {
                return Ok(carve.step);
            }
            ensure!(began.elapsed() < END_TIME, "it never comes to {}", self.step.as_str());
            tokio::time::sleep(STALK_EVERY).await;
        }
    }

    async fn hit(&self, trial: &mut Trial) -> Result<()> {
        match self.fault {
            Fault::KillServer => {
                trial.kill()?;
                trial.restart()?;
            }
            Fault::KillTarget => {
                if let Some(target) = target(trial)? {
                    signal(target, "-KILL")?;
                }
            }
            Fault::StopTarget => {
                if let Some(target) = target(trial)? {
                    stand_still(target).await?;
                }
            }
            Fault::StopServer => stand_still(trial.pid()).await?,
        }
        Ok(())
    }
}

/// The process that the module moves to, once there is one.
fn target(trial: &Trial) -> Result<Option<u32>> {
    let home = trial.data().path().join("carved").join(MODULE);
    Ok(DataDir::at(home).server()?.map(|server| server.pid))
}

async fn stand_still(pid: u32) -> Result<()> {
    signal(pid, "-STOP")?;
    tokio::time::sleep(STOPPED_FOR).await;
    signal(pid, "-CONT")
}

fn signal(pid: u32, signal: &str) -> Result<()> {
    // A process that has ended meanwhile is no trouble.
    let sent = Command::new("kill").args([signal, &pid.to_string()]).output();
    sent.map(drop).context("kill")
}

/// Waits for the carve's end, whoever was killed on the way.
async fn ended(trial: &mut Trial, id: Id<Carve>) -> Result<Carve> {
    let began = Instant::now();
    loop {
        let server = trial.ready().await?;
        let last = match placement(trial, &server)?.carve(&call(), id).await {
            Ok(carve) if carve.outcome.is_some() => return Ok(carve),
            Ok(carve) => format!("{}: {}", carve.step.as_str(), carve.says),
            Err(fault) => fault.to_string(),
        };
        ensure!(began.elapsed() < END_TIME, "the carve does not end: {last}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// `banyan doctor` finds nothing.
pub(crate) async fn healthy(trial: &Trial) -> Result<bool> {
    let began = Instant::now();
    loop {
        // A process that has just started is not known to all yet.
        let (_, healthy) = trial.run(&["doctor", "--format", "json"]).await?;
        if healthy || began.elapsed() > CALL_TIME {
            return Ok(healthy);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn bought(load: &Load, wanted: usize) -> Result<()> {
    let began = Instant::now();
    while load.bought() < wanted {
        let told = || load.ledger().told.join("; ");
        ensure!(began.elapsed() < END_TIME, "the buyers get nothing: {}", told());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The placement of a shop on trial.
pub(crate) fn placement(trial: &Trial, server: &Server) -> Result<std::sync::Arc<dyn Placement>> {
    let secret = trial.data().deployment_secret()?;
    let client = Client::new(tokio::runtime::Handle::current());
    let keyring = Keyring::derive(&secret.rpc(), &[]);
    Ok(contract::remote(Remote::new(client, &server.internal, keyring)?))
}

/// An operator's question.
pub(crate) fn call() -> Call {
    let operator: Caller = "operator".parse().expect("a fixed name is a caller");
    Call::new(operator, Deadline::within(CALL_TIME))
}
