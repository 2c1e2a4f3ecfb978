//! `banyan bench carves`: a shop on SQLite whose modules move to PostgreSQL and back while the file is traded, once each and
//! then again and again, and no client sees an error.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use kernel_api::{Id, PageRequest, Timestamp};
use placement_api::{Carve, Certificate, Entry, Journal, Outcome, Pause, Placement, Step};
use serde::Serialize;
use serde_json::Value;
use store::Scratch;

use super::{
    Seen, Trading, Wish,
    probes::{Probes, p99_ms},
};
use crate::{
    faults::{call, healthy, placement},
    http_client::HttpClient,
    trial::Trial,
};

/// The modules that move, in their order.
pub const MODULES: [&str; 3] = ["inventory", "payments", "ordering"];

/// How long both sides are kept equal after a switch.
const OBSERVE: &str = "1s";

/// The shop is left alone for so long before a move and after it, to see what its requests take then.
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
    /// What a move costs modules that do not move, on the way to the switch and from it on: the median over all moves.
    pub others_ratio: (f64, f64),
    /// Where that comes from.
    pub others_by_step: Vec<Felt>,
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
    /// The p99 of requests to the other modules.
    pub others: Others,
    /// How long all of it took.
    pub seconds: f64,
    /// Its steps, in their order.
    #[serde(skip)]
    pub steps: Vec<Stretch>,
    /// What the certificate names.
    pub faults: Vec<String>,
    /// It was completed, and nothing is wrong with it.
    pub clean: bool,
}

/// The p99 of requests to modules that did not move, in milliseconds. Each part of a move is held against the quiet
/// time at its own side of the switch: a module that is elsewhere costs another sum than one that is here, for good.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Others {
    /// Before the move.
    pub before_ms: f64,
    /// From its beginning to the switch.
    pub leaving_ms: f64,
    /// From the switch to its end.
    pub arriving_ms: f64,
    /// After the move.
    pub after_ms: f64,
}

impl Others {
    fn ratios(&self) -> (f64, f64) {
        let ratio = |during: f64, quiet: f64| during / quiet.max(f64::MIN_POSITIVE);
        (ratio(self.leaving_ms, self.before_ms), ratio(self.arriving_ms, self.after_ms))
    }
}

/// The time between two lines of a move's journal.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The step under way.
    pub step: Step,
    /// So long.
    pub time: Duration,
    /// How long requests to modules that did not move took meanwhile.
    pub others: Vec<Duration>,
}

/// What modules that did not move felt of one step, over all moves.
#[derive(Debug, Serialize)]
pub struct Felt {
    /// The step.
    pub step: Step,
    /// How long it took, in all.
    pub seconds: f64,
    /// Requests to the others meanwhile.
    pub requests: usize,
    /// What 99 of 100 of them stayed under, in milliseconds.
    pub p99_ms: f64,
}

fn felt(moves: &[Moved]) -> Vec<Felt> {
    let mut by_step: BTreeMap<Step, (Duration, Vec<Duration>)> = BTreeMap::new();
    for stretch in moves.iter().flat_map(|one| &one.steps) {
        let (time, others) = by_step.entry(stretch.step).or_default();
        *time += stretch.time;
        others.extend_from_slice(&stretch.others);
    }
    let felt = by_step.into_iter().map(|(step, (time, others))| Felt {
        step,
        seconds: time.as_secs_f64(),
        requests: others.len(),
        p99_ms: p99_ms(others),
    });
    felt.collect()
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
    let (leaving, arriving) = moves.iter().map(|one| one.others.ratios()).unzip();
    let well = moves.iter().all(|one| one.clean) && pause_ms.p99 < PAUSE_P99_MS;
    Ok(Shown {
        clean: well && seen.is_clean() && probes_failed.is_empty() && healthy,
        seconds: began.elapsed().as_secs_f64(),
        pause_ms,
        others_ratio: (Spread::of(leaving).p50, Spread::of(arriving).p50),
        others_by_step: felt(&moves),
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
        let quieted = Instant::now();
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
        let steps = self.steps(certificate.carve, ended).await?;
        let copies = steps.iter().filter(|stretch| stretch.step == Step::Copy);
        tokio::time::sleep(QUIET).await;
        let p99 = |from, to| p99_ms(self.probes.of_others(self.module, from, to));
        let (left, arrived): (Vec<_>, Vec<_>) =
            steps.iter().partition(|stretch| stretch.step < Step::Observe);
        let p99_of = |stretches: Vec<&Stretch>| {
            p99_ms(stretches.into_iter().flat_map(|one| one.others.iter().copied()).collect())
        };
        Ok(Moved {
            module: self.module.to_owned(),
            to: certificate.to.to_string(),
            rows: certificate.rows_copied,
            bytes,
            copy_seconds: copies.map(|stretch| stretch.time.as_secs_f64()).sum(),
            pause: switch.map(|switch| switch.pause).unwrap_or_default(),
            tries: switch.map_or(0, |switch| switch.tries),
            others: Others {
                before_ms: p99(quiet, quieted),
                leaving_ms: p99_of(left),
                arriving_ms: p99_of(arrived),
                after_ms: p99(ended, Instant::now()),
            },
            seconds: ended.duration_since(began).as_secs_f64(),
            clean: certificate.clean && certificate.outcome == Some(Outcome::Completed),
            steps,
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

    /// What the journal says was done when, until the move ended.
    async fn steps(&self, carve: Id<Carve>, ended: Instant) -> Result<Vec<Stretch>> {
        let wish = Journal { carve, page: PageRequest::default() };
        let entries = self.placement.journal(&call(), wish).await?.items;
        let (now, by_clock) = (Instant::now(), Timestamp::now());
        let at = |entry: &Entry| now.checked_sub(by_clock.since(entry.at)).unwrap_or(ended);
        let ends = entries.iter().skip(1).map(at).chain([ended]);
        let stretches = entries.iter().zip(ends).map(|(entry, to)| Stretch {
            step: entry.step,
            time: to.saturating_duration_since(at(entry)),
            others: self.probes.of_others(self.module, at(entry), to),
        });
        Ok(stretches.collect())
    }
}
