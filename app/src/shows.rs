//! What Banyan promises end to end, shown on the real program with a real file: `banyan bench toggles|carves`.
//!
//! Each show trades the file through the proxy, lets buyers keep a [ledger](crate::load) beside it, and does meanwhile
//! what must not be noticed.

pub mod carves;
pub mod probes;
pub mod toggles;
pub mod trade;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::{
    data_dir::Server,
    http_client::HttpClient,
    load::{Balance, Load},
    replay::{Options, patience::Patience, plan::Days},
    trial::{LOOK_EVERY, Trial},
};
use trade::{Trade, Traded};

/// Buyers beside the trade of the file, and the pause of each: enough to keep a ledger, too few to be the load.
const BUYERS: usize = 2;
const PAUSE: Duration = Duration::from_millis(50);

/// How long the first orders may take: the file is read and what it needs is brought in before.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a request of the trade is asked again: nothing that is shown may take so long.
const AWAY_FOR: Duration = Duration::from_secs(30);

/// What is traded.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The file.
    pub file: PathBuf,
    /// Only so many documents of it.
    pub documents: Option<usize>,
    /// Documents a second; as fast as allowed when absent.
    pub rate: Option<f64>,
    /// Documents in flight at once.
    pub concurrency: u16,
    /// A PostgreSQL server on which a database is made for the show, and dropped.
    pub server: String,
}

/// What all who asked have seen.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// The trade of the file.
    pub traded: Traded,
    /// What the buyers were answered, and errors that they saw.
    pub answered: u64,
    /// Errors.
    pub errors: u64,
    /// The first of them.
    pub told: Vec<String>,
    /// Their ledger against the shop.
    pub balance: Balance,
    /// `banyan verify` held.
    pub verified: bool,
}

impl Seen {
    /// Nobody saw an error, nothing was lost, and every invariant holds.
    pub fn is_clean(&self) -> bool {
        self.traded.is_clean() && self.errors == 0 && self.balance.is_even() && self.verified
    }
}

/// A shop that trades.
struct Trading {
    load: Load,
    trade: Trade,
}

impl Trading {
    /// Begins, and is there once something is sold.
    async fn begin(trial: &Trial, server: &Server, wish: &Wish) -> Result<Self> {
        let token = trial.data().operator_token()?;
        let client = HttpClient::new(&server.public, token.as_str(), BUYERS)?;
        let load = Load::start(client, BUYERS, PAUSE).await?;
        let trade = Trade::start(Options {
            file: wish.file.clone(),
            target: server.public.clone(),
            token: token.as_str().to_owned(),
            run: None,
            days: Days { documents: wish.documents, ..Days::default() },
            rate: wish.rate,
            concurrency: wish.concurrency,
            patience: Patience { limit: AWAY_FOR, ..Patience::default() },
        });
        let began = Instant::now();
        while load.bought() < BUYERS || trade.documents() == 0 {
            let told = || load.ledger().told.join("; ");
            ensure!(!trade.is_over(), "the trade has ended: {}", told());
            ensure!(began.elapsed() < PATIENCE, "nothing is sold: {}", told());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(Self { load, trade })
    }

    /// Lets all end what they are at, and closes the books.
    async fn close(self, trial: &Trial) -> Result<Seen> {
        let traded = self.trade.finish().await?;
        let (ledger, balance) = self.load.finish().await?;
        let (_, verified) = trial.run(&["verify", "--format", "json"]).await?;
        let (answered, errors, told) = (ledger.answered, ledger.errors, ledger.told);
        Ok(Seen { traded, answered, errors, told, balance, verified })
    }
}
