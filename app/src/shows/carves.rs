//! `banyan bench carves`: a shop on SQLite whose modules move to PostgreSQL and back while the file is traded, once each and
//! then again and again, and no client sees an error.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use kernel_api::{Id, PageRequest};
use placement_api::{Carve, Certificate, Journal, Outcome, Pause, Placement, Step};
use serde::Serialize;
use serde_json::Value;
use store::Scratch;

use super::{Seen, Trading, Wish, probes::Probes};
use crate::{
    faults::{call, healthy, placement},
    http_client::HttpClient,
    trial::Trial,
};

/// The modules that move, in their order.
pub const MODULES: [&str; 3] = ["inventory", "payments", "ordering"];

/// How long both sides are kept equal after a switch.
const OBSERVE: &str = "1s";

/// The shop is left alone for so long before a move, to see what its requests take then.
const QUIET: Duration = Duration::from_secs(3);

/// A pause that nobody notices, for 99 of 100 switches.
pub const PAUSE_P99_MS: f64 = 50.0;

/// What it has shown.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// No client saw an error, nothing was lost, all certificates are clean, and the pauses are as short as promised.
    pub clean: bool,
    /// How long all of it took.
    pub seconds: f64,
    /// Every move.
    pub moves: Vec<Moved>,
    /// The pauses of all moves.
    pub pause_ms: Spread,
    /// The p99 of requests to modules that did not move, while one moved against before: the median over all moves.
    pub others_ratio: f64,
    /// What clients saw.
    pub seen: Seen,
    /// What the small requests to all modules met instead of an answer.
    pub probes_failed: BTreeMap<String, u64>,
    /// `banyan doctor` found nothing.
    pub healthy: bool,
}

/// How a figure is spread.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Spread {
    /// Half are at most this.
    pub p50: f64,
    /// 99 of 100 are.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        let last = all.len().saturating_sub(1);
        let at =
            |percent: usize| all.get((last * percent).div_ceil(100)).copied().unwrap_or_default();
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// One move.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    /// What.
    pub module: String,
    /// To where.
    pub to: String,
    /// Rows that were copied.
    pub rows: u64,
    /// Bytes of the module's data before, as its database counts them.
    pub bytes: u64,
    /// How long the copy took.
    pub copy_seconds: f64,
    /// How long the module's writes stood still, and where the time went.
    pub pause: Pause,
    /// How often the switch was tried.
    pub tries: u32,
    /// The p99 of requests to the other modules before the move, in milliseconds.
    pub others_before_ms: f64,
    /// And while it was under way.
    pub others_during_ms: f64,
    /// How long all of it took.
    pub seconds: f64,
    /// What the certificate names.
    pub faults: Vec<String>,
    /// It was completed, and nothing is wrong with it.
    pub clean: bool,
}

impl Moved {
    /// The pause in milliseconds.
    pub fn pause_ms(&self) -> f64 {
        millis(self.pause.total_us)
    }

    /// Rows a second.
    pub fn rows_per_second(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rows = self.rows as f64;
        rows / self.copy_seconds.max(f64::MIN_POSITIVE)
    }
}

/// Microseconds in milliseconds.
#[allow(clippy::cast_precision_loss, reason = "a pause is far below 2^52 µs")]
pub fn millis(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// Shows it, telling `say` what it does and each move as it ends.
pub async fn show(
    wish: &Wish,
    (modules, cycles): (&[String], u32),
    say: impl Fn(&str),
    moved: impl Fn(&Moved),
) -> Result<Shown> {
    let began = Instant::now();
    say("a fresh shop on SQLite with the proxy in front; the file is traded");
    let database = Scratch::create(&wish.server).context("--server")?;
    let mut trial = Trial::start(&[])?;
    let server = trial.ready().await?;
    let trading = Trading::begin(&trial, &server, wish).await?;
    let token = trial.data().operator_token()?;
    let client = HttpClient::new(&server.public, token.as_str(), MODULES.len() + 1)?;
    let probes = Probes::start(&client);
    let placement = placement(&trial, &server)?;
    let move_of = |module, way| Move {
        trial: &trial,
        placement: placement.as_ref(),
        probes: &probes,
        module,
        way,
    };
    let url = database.admin_url();
    let mut moves = Vec::new();
    for (module, way) in course(modules, cycles, &url) {
        ensure!(!trading.trade.is_over(), "the trade has ended");
        let done = move_of(module, way).run().await.with_context(|| format!("{way:?} {module}"))?;
        moved(&done);
        moves.push(done);
    }
    say("the books are closed: banyan verify and doctor, and the ledger against the shop");
    let probes_failed = probes.finish().await?;
    let seen = trading.close(&trial).await?;
    let healthy = healthy(&trial).await?;
    let pause_ms = Spread::of(moves.iter().map(Moved::pause_ms).collect());
    let ratio = |one: &Moved| one.others_during_ms / one.others_before_ms.max(f64::MIN_POSITIVE);
    let well = moves.iter().all(|one| one.clean) && pause_ms.p99 < PAUSE_P99_MS;
    Ok(Shown {
        clean: well && seen.is_clean() && probes_failed.is_empty() && healthy,
        seconds: began.elapsed().as_secs_f64(),
        pause_ms,
        others_ratio: Spread::of(moves.iter().map(ratio).collect()).p50,
        moves,
        seen,
        probes_failed,
        healthy,
    })
}

/// All of them out, one after the other, and back; then by turns.
fn course<'a>(modules: &'a [String], cycles: u32, url: &'a str) -> Vec<(&'a str, Way<'a>)> {
    let (out, back) = (Way::Carve(url), Way::Merge);
    let mut course: Vec<_> = modules.iter().map(|module| (module.as_str(), out)).collect();
    course.extend(modules.iter().map(|module| (module.as_str(), back)));
    let turns = modules.iter().cycle().zip(0..cycles);
    course.extend(turns.flat_map(|(module, _)| [(module.as_str(), out), (module.as_str(), back)]));
    course
}

/// Which way a module goes.
#[derive(Debug, Clone, Copy)]
enum Way<'a> {
    /// Out, to this database.
    Carve(&'a str),
    /// Back to the shop's own.
    Merge,
}

struct Move<'a> {
    trial: &'a Trial,
    placement: &'a dyn Placement,
    probes: &'a Probes,
    module: &'a str,
    way: Way<'a>,
}

impl Move<'_> {
    async fn run(&self) -> Result<Moved> {
        let quiet = Instant::now();
        tokio::time::sleep(QUIET).await;
        let bytes = self.bytes().await?;
        let began = Instant::now();
        let mut arguments = match self.way {
            Way::Carve(url) => {
                vec!["carve", self.module, "--database", url, "--admin-url", url]
            }
            Way::Merge => vec!["merge", self.module],
        };
        arguments.extend(["--observe", OBSERVE, "--reason", "a show", "--format", "json"]);
        let (certificate, _) = self.trial.run(&arguments).await?;
        let ended = Instant::now();
        let certificate: Certificate =
            serde_json::from_slice(&certificate).context("the certificate")?;
        let switch = certificate.switches.last();
        Ok(Moved {
            module: self.module.to_owned(),
            to: certificate.to.to_string(),
            rows: certificate.rows_copied,
            bytes,
            copy_seconds: self.copied(certificate.carve).await?,
            pause: switch.map(|switch| switch.pause).unwrap_or_default(),
            tries: switch.map_or(0, |switch| switch.tries),
            others_before_ms: self.probes.p99_of_others(self.module, quiet, began).0,
            others_during_ms: self.probes.p99_of_others(self.module, began, ended).0,
            seconds: ended.duration_since(began).as_secs_f64(),
            clean: certificate.clean && certificate.outcome == Some(Outcome::Completed),
            faults: certificate.faults,
        })
    }

    /// How large the module's data is now.
    async fn bytes(&self) -> Result<u64> {
        let mut arguments = vec!["carve", self.module, "--dry-run", "--format", "json"];
        if matches!(self.way, Way::Merge) {
            arguments.extend(["--deployment", placement_api::Name::MONOLITH.as_str()]);
        }
        let (found, _) = self.trial.run(&arguments).await?;
        let found: Value = serde_json::from_slice(&found).context("the readiness")?;
        found.pointer("/size/bytes").and_then(Value::as_u64).context("the size")
    }

    /// How long the copy took, as the journal says; nothing where it never came to it.
    async fn copied(&self, carve: Id<Carve>) -> Result<f64> {
        let wish = Journal { carve, page: PageRequest::default() };
        let entries = self.placement.journal(&call(), wish).await?.items;
        let mut from_copy = entries.iter().skip_while(|entry| entry.step != Step::Copy);
        let (Some(began), Some(ended)) = (from_copy.next(), from_copy.next()) else {
            return Ok(0.0);
        };
        #[allow(clippy::cast_precision_loss, reason = "a time for people")]
        let micros = (ended.at.micros() - began.at.micros()) as f64;
        Ok(micros / 1_000_000.0)
    }
}
