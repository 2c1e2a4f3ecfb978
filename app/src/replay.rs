//! `banyan replay online-retail`: a client that trades a file's invoices live, through the public HTTP API.
//!
//! Reading order: [`plan`] (what is to be traded and what must be there first) -> [`prepare`] (products, customers,
//! stock) -> [`order`] (what may be traded at the same time) -> [`trade`] (what is asked for one document) -> [`lane`]
//! (one connection that asks again until there is an answer) -> [`report`].
//!
//! It shares its processors with the shop, so it is one thread: a lane is a connection, the documents in flight are as
//! many futures, and nothing is locked or handed to another thread but what the reader of the file has parsed.

pub mod figures;
pub mod known;
pub mod lane;
pub mod order;
pub mod patience;
pub mod plan;
pub mod prepare;
pub mod report;
pub mod target;
pub mod trade;
mod wire;

use std::{
    io::{self, Write},
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::{
    StreamExt,
    future::{self, LocalBoxFuture},
    stream::FuturesUnordered,
};
use indicatif::ProgressBar;
use tokio::sync::mpsc;

use crate::online_retail::Document;
use figures::{Facts, Figures, Outcome};
use lane::{Away, Lane};
use order::{Order, Place};
use patience::Patience;
use plan::{Days, Plan};
pub use report::Report;
use target::Target;
use trade::Trade;

/// How many documents are looked ahead over those that wait for others: as many as keep all lanes busy while a customer
/// who buys often is served one by one.
const WINDOW: usize = 1024;

/// How often the progress bar's figures are renewed, in documents.
const SHOW_EVERY: u64 = 32;

/// What to replay, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file.
    pub file: PathBuf,
    /// The shop's URL.
    pub target: String,
    /// The operator's token.
    pub token: String,
    /// A name that sets the keys of this run apart, to trade the same file again.
    pub run: Option<String>,
    /// Which days.
    pub days: Days,
    /// Documents per second; as fast as allowed when absent.
    pub rate: Option<f64>,
    /// Documents in flight at once.
    pub concurrency: u16,
    /// How patient to be with a shop that is away.
    pub patience: Patience,
}

/// Replays. Blocks, on a runtime of its own.
pub fn run(options: &Options, progress: &ProgressBar) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the client")?.block_on(replay(options, progress))
}

async fn replay(options: &Options, progress: &ProgressBar) -> Result<Report> {
    let target = Rc::new(Target::new(&options.target, &options.token)?);
    if let Err(problem) = lane::knock(&target).await {
        let (url, limit) = (&options.target, options.patience.limit.as_secs());
        // A bar is not shown in a log; whoever waits should know for what.
        progress.suspend(|| {
            writeln!(
                io::stderr(),
                "nobody answers at {url} ({problem}): asking again for {limit} s"
            )
        })?;
    }
    progress.set_message("reading");
    let plan = Plan::of(&options.file, options.days)?;
    progress.set_message("products, customers, opening stock");
    let key = key(&plan, options.run.as_deref());
    let lanes =
        (0..options.concurrency.max(1)).map(|_| Lane::new(Rc::clone(&target), options.patience));
    let mut lanes: Vec<_> = lanes.collect();
    let (prepared, known) = prepare::prepare(&mut lanes, &plan, &key).await?;

    progress.set_message("trading");
    progress.set_length(plan.documents);
    let mut figures = Figures::default();
    figures.asked(lanes.iter_mut().flat_map(|lane| lane.samples.drain(..)));
    let trade = Trade { key, known };
    let began = Instant::now();
    let drive = Drive {
        trade: &trade,
        idle: lanes,
        busy: FuturesUnordered::new(),
        order: Order::default(),
        due: Due { began, rate: options.rate, begun: 0 },
        figures,
        progress,
    };
    let (figures, ended) = drive.drive(plan.read()).await?;
    progress.finish_and_clear();
    Ok(Report::new(&plan, prepared, &figures, began.elapsed(), ended))
}

/// The beginning of every key. The same file and run name make the same keys, so a second run changes nothing.
fn key(plan: &Plan, run: Option<&str>) -> String {
    let hash: String = plan.hash.chars().take(16).collect();
    match run {
        Some(run) => format!("replay:{hash}:{run}"),
        None => format!("replay:{hash}"),
    }
}

/// Why a replay ended.
#[derive(Debug, Clone)]
pub enum Ended {
    /// Every document was traded.
    Complete,
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// The shop was away for too long.
    Away(Away),
}

/// When documents are due.
#[derive(Debug)]
struct Due {
    began: Instant,
    rate: Option<f64>,
    begun: u64,
}

impl Due {
    /// When the next document is due; nothing where it is due as soon as there is a lane.
    fn next(&self) -> Option<Instant> {
        #[allow(clippy::cast_precision_loss, reason = "exact for any count of documents")]
        let seconds = self.begun as f64 / self.rate?;
        Duration::try_from_secs_f64(seconds).ok().map(|after| self.began + after)
    }
}

/// A document that has been traded, or could not be.
struct Done {
    lane: Lane,
    place: Place,
    facts: Facts,
    outcome: Result<Outcome, Away>,
    due_at: Instant,
}

/// The trade under way.
struct Drive<'a> {
    trade: &'a Trade,
    idle: Vec<Lane>,
    busy: FuturesUnordered<LocalBoxFuture<'a, Done>>,
    order: Order,
    due: Due,
    figures: Figures,
    progress: &'a ProgressBar,
}

impl Drive<'_> {
    async fn drive(
        mut self,
        mut documents: mpsc::Receiver<Result<Document>>,
    ) -> Result<(Figures, Ended)> {
        let (mut unread, mut away) = (true, None);
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            let due = if away.is_none() { self.begin() } else { None };
            let nothing_to_come = away.is_some() || (!unread && self.order.open() == 0);
            if nothing_to_come && self.busy.is_empty() {
                return Ok((self.figures, away.map_or(Ended::Complete, Ended::Away)));
            }
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => future::pending().await,
                }
            };
            let room = unread && away.is_none() && self.order.open() < WINDOW;
            tokio::select! {
                Some(done) = self.busy.next(), if !self.busy.is_empty() => {
                    away = away.or(self.end(done));
                }
                document = documents.recv(), if room => match document {
                    Some(document) => drop(self.order.admit(document?)),
                    None => unread = false,
                },
                () = due => {}
                // What is in flight is left to the next run: it asks with the same keys.
                _ = &mut interrupted => return Ok((self.figures, Ended::Interrupted)),
            }
        }
    }

    /// Begins all documents that are due and have a lane; answers when the next one is due, where that is all it waits
    /// for.
    fn begin(&mut self) -> Option<Instant> {
        while self.order.has_ready() && !self.idle.is_empty() {
            let now = Instant::now();
            let due_at = self.due.next().unwrap_or(now);
            if due_at > now {
                return Some(due_at);
            }
            let (Some((place, document)), Some(lane)) = (self.order.next_ready(), self.idle.pop())
            else {
                return None;
            };
            self.due.begun += 1;
            self.busy.push(Box::pin(traded(self.trade, lane, place, document, due_at)));
        }
        None
    }

    fn end(&mut self, done: Done) -> Option<Away> {
        let Done { mut lane, place, facts, outcome, due_at } = done;
        self.figures.asked(lane.samples.drain(..));
        self.idle.push(lane);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // Not settled: what waits for it must not begin.
            Err(away) => return Some(away),
        };
        self.order.settled(place);
        self.figures.ended(&facts, outcome, due_at.elapsed());
        self.progress.inc(1);
        if self.figures.documents().is_multiple_of(SHOW_EVERY) {
            let orders = self.figures.orders();
            let rate = per_second(orders, self.due.began.elapsed());
            self.progress.set_message(format!("{orders} orders, {rate:.0}/s"));
        }
        None
    }
}

/// Trades one document on a lane.
async fn traded(
    trade: &Trade,
    mut lane: Lane,
    place: Place,
    document: Document,
    due_at: Instant,
) -> Done {
    let outcome = trade.document(&mut lane, &document).await;
    Done { lane, place, facts: Facts::of(&document), outcome, due_at }
}

fn per_second(count: u64, time: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let count = count as f64;
    count / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
