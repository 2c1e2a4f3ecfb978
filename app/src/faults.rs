//! `banyan bench faults`: carves under load, each struck at one of its steps, on the real program. Whatever is struck, the
//! module ends wholly on one side, nothing acknowledged is lost and nothing happens twice.

mod ground;
mod hitting;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use contract::{Call, Caller, Client, Deadline, Keyring, Remote};
use kernel_api::{Clock, Id, PageRequest, Timestamp};
use placement_api::{Carve, Certificate, Journal, Name, Outcome, Placement, Step};
use serde::{Deserialize, Serialize};

pub use ground::Pair;
pub use hitting::Fault;

use crate::{
    data_dir::Server,
    faults::ground::Ground,
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

/// How long rows, placement and seats may take to agree after the end: a process that was killed is taken for gone only
/// after five seconds of silence, and whoever follows it has to be learnt of.
const HEAL_TIME: Duration = Duration::from_secs(15);

/// How long after the gates began to close the fence is struck; each time another moment of the pause.
const INTO_THE_PAUSE: [Duration; 6] = [
    Duration::from_millis(4),
    Duration::from_millis(1),
    Duration::from_millis(8),
    Duration::from_millis(12),
    Duration::from_millis(16),
    Duration::from_millis(24),
];

/// How many entries of a journal are read: a carve that is struck once has far fewer.
const ENTRIES_MAX: u32 = 500;

/// Which way the module moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Out of the monolith: its process is the source.
    Out,
    /// Back into it: its process is the target.
    Back,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Out, Self::Back];

    /// Whose the module is before, and after.
    fn owners(self) -> (&'static str, &'static str) {
        match self {
            Self::Out => ("monolith", MODULE),
            Self::Back => (MODULE, "monolith"),
        }
    }
}

/// A carve to strike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Between which databases.
    pub pair: Pair,
    /// Which way.
    pub way: Way,
    /// At which step.
    pub step: Step,
    /// By what.
    pub fault: Fault,
    /// Struck the how-manieth time: 0, 1, 2 …
    pub turn: usize,
}

/// The steps at which carves are struck: those in which work is done.
pub const STEPS: [Step; 15] = [
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
    Step::Fence,
    Step::Record,
    Step::Release,
    Step::Observe,
    Step::Complete,
];

/// One struck carve.
#[derive(Debug, Serialize)]
pub struct Struck {
    /// What was wanted.
    #[serde(flatten)]
    pub cell: Cell,
    /// Something was there to strike.
    pub hit: bool,
    /// The step that had begun when it was: a short one may have passed.
    pub struck_at: Option<Step>,
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
        let ended = self.trouble.is_none() && self.is_wholly_on_one_side();
        ended && self.balance.is_even() && self.verified && self.healthy
    }

    fn is_wholly_on_one_side(&self) -> bool {
        let (before, after) = self.cell.way.owners();
        match self.outcome {
            Some(Outcome::Completed) => self.owner == after,
            Some(Outcome::Cancelled | Outcome::Refused | Outcome::Reversed) => self.owner == before,
            None => false,
        }
    }
}

/// Strikes a carve of a fresh shop. `server` is an administrator's URL of a PostgreSQL server, for pairs that have one.
pub async fn strike(cell: Cell, server: &str) -> Struck {
    let began = Instant::now();
    let mut struck = Struck {
        cell,
        hit: false,
        struck_at: None,
        outcome: None,
        owner: String::new(),
        errors: 0,
        balance: Balance::default(),
        verified: false,
        healthy: false,
        trouble: None,
        seconds: 0.0,
    };
    if let Err(error) = struck.run(server).await {
        struck.trouble = Some(format!("{error:#}"));
    }
    struck.seconds = began.elapsed().as_secs_f64();
    struck
}

impl Struck {
    async fn run(&mut self, server: &str) -> Result<()> {
        let Cell { pair, way, fault, .. } = self.cell;
        let home = Trial::place();
        let ground = Ground::new(&home, pair, server)?;
        let variables = ground.variables()?;
        let variables: Vec<_> = variables.iter().map(|(name, of)| (*name, of.as_str())).collect();
        let mut trial = Trial::start_in(home, &variables)?;
        let server = trial.ready().await?;
        let token = trial.data().operator_token()?;
        let client = HttpClient::new(&server.public, token.as_str(), BUYERS)?;
        let load = Load::start(client, BUYERS, PAUSE).await?;
        bought(&load, PURCHASES).await?;
        let target = ground.target();
        let out = [&["carve", MODULE], &*texts(&target), &["--observe", "1s"]].concat();
        let begin = match way {
            Way::Out => out,
            Way::Back => {
                // Whatever its certificate finds fault with: where it is is what counts.
                let (told, _) = trial.run(&[&*out, &["--format", "json"]].concat()).await?;
                let told: Certificate = serde_json::from_slice(&told).context("it moves out")?;
                ensure!(told.outcome == Some(Outcome::Completed), "it did not move out: {told:?}");
                vec!["merge", MODULE, "--observe", "1s"]
            }
        };
        let (carve, _) = trial.run(&[&*begin, &["--detach", "--format", "json"]].concat()).await?;
        let carve: Carve = serde_json::from_slice(&carve).context("the carve")?;
        self.stalk(&trial, &server, carve.id).await?;
        let at = Clock::system().now();
        self.hit = fault.hit(way, &mut trial, &ground).await?;
        let ended = ended(&mut trial, carve.id).await?;
        self.outcome = ended.outcome;
        bought(&load, load.bought() + PURCHASES).await?;
        let (ledger, balance) = load.finish().await?;
        (self.errors, self.balance) = (ledger.errors, balance);
        (_, self.verified) = trial.run(&["verify", "--format", "json"]).await?;
        self.healthy = healthy(&trial).await?;
        self.told(&mut trial, carve.id, at).await
    }

    /// Waits until the carve is at the step or past it.
    async fn stalk(&self, trial: &Trial, server: &Server, id: Id<Carve>) -> Result<()> {
        let placement = placement(trial, server)?;
        let began = Instant::now();
        // What happens inside the pause is told when it is over.
        let is_inside = self.cell.step == Step::Fence;
        let step = if is_inside { Step::Hold } else { self.cell.step };
        loop {
            let carve = placement.carve(&call(), id).await?;
            if carve.step >= step || carve.outcome.is_some() {
                break;
            }
            ensure!(began.elapsed() < END_TIME, "it never comes to {}", step.as_str());
            tokio::time::sleep(STALK_EVERY).await;
        }
        if is_inside {
            let turns = INTO_THE_PAUSE.iter().cycle().nth(self.cell.turn);
            tokio::time::sleep(turns.copied().unwrap_or_default()).await;
        }
        Ok(())
    }

    /// Who owns it now, and where it stood when it was struck.
    async fn told(&mut self, trial: &mut Trial, id: Id<Carve>, at: Timestamp) -> Result<()> {
        let server = trial.ready().await?;
        let placement = placement(trial, &server)?;
        let placed = placement.placed(&call(), ()).await?.placed;
        let module: Name = MODULE.parse()?;
        let placed = placed.into_iter().find(|placed| placed.module == module);
        self.owner = placed.map(|placed| placed.owner.to_string()).unwrap_or_default();
        let page = PageRequest { after: None, limit: Some(ENTRIES_MAX) };
        let journal = placement.journal(&call(), Journal { carve: id, page }).await?;
        let before = journal.items.into_iter().take_while(|entry| entry.at <= at);
        self.struck_at = before.last().map(|entry| entry.step);
        Ok(())
    }
}

fn texts(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
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
        if healthy || began.elapsed() > HEAL_TIME {
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
pub(crate) fn placement(trial: &Trial, server: &Server) -> Result<Arc<dyn Placement>> {
    let secret = trial.secret()?;
    let client = Client::new(tokio::runtime::Handle::current());
    let keyring = Keyring::derive(&secret.rpc(), &[]);
    Ok(contract::remote(Remote::new(client, &server.internal, keyring)?))
}

/// An operator's question.
pub(crate) fn call() -> Call {
    let operator: Caller = "operator".parse().expect("a fixed name is a caller");
    Call::new(operator, Deadline::within(CALL_TIME))
}
