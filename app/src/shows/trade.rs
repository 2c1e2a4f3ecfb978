//! The file, traded round after round until it is enough.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::replay::{self, Options, Report};

/// Examples of refusals that are told; the rest is counted.
const TOLD_MAX: usize = 10;

/// What became of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Traded {
    /// How often the file was traded to its end.
    pub rounds: u64,
    /// Documents that settled.
    pub documents: u64,
    /// Orders a second in each round.
    pub orders_per_second: Vec<f64>,
    /// Requests that were answered.
    pub answered: u64,
    /// What clients saw instead of an answer, and how often: each was asked again.
    pub errors: BTreeMap<String, u64>,
    /// Documents that the shop refused.
    pub refused: u64,
    /// Some of them, and why.
    pub told: Vec<String>,
    /// Why a round was not traded to its end.
    pub cut_off: Option<String>,
}

impl Traded {
    /// Everything was traded, and no request failed.
    pub fn is_clean(&self) -> bool {
        self.rounds > 0 && self.errors.is_empty() && self.refused == 0 && self.cut_off.is_none()
    }

    fn add(&mut self, report: &Report) {
        self.rounds += u64::from(report.complete);
        self.documents += report.documents.values().map(|count| count.settled).sum::<u64>();
        self.orders_per_second.push(report.orders_per_second);
        for requests in &report.requests {
            self.answered += requests.latency.count;
            for (problem, count) in &requests.retries {
                let what = format!("{:?}: {problem}", requests.step);
                *self.errors.entry(what).or_default() += count;
            }
        }
        for refusal in &report.refusals {
            self.refused += refusal.count;
            let examples = refusal.examples.iter().map(|one| format!("{}: {one}", refusal.why));
            self.told.extend(examples);
        }
        self.told.truncate(TOLD_MAX);
        self.cut_off.clone_from(&report.cut_off);
    }
}

/// A trade under way, on a thread of its own.
pub struct Trade {
    shared: Arc<Shared>,
    progress: ProgressBar,
    task: JoinHandle<Result<()>>,
}

#[derive(Default)]
struct Shared {
    traded: Mutex<Traded>,
    stop: AtomicBool,
}

impl Shared {
    fn traded(&self) -> MutexGuard<'_, Traded> {
        // A report is added by one who does not panic.
        self.traded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trade {
    /// Begins; each round has keys of its own.
    pub fn start(options: Options) -> Self {
        let (shared, progress) = (Arc::new(Shared::default()), ProgressBar::hidden());
        let (own, bar) = (Arc::clone(&shared), progress.clone());
        let task = tokio::task::spawn_blocking(move || {
            for round in 1_u32.. {
                let run = Some(format!("round-{round}"));
                let report = replay::run(&Options { run, ..options.clone() }, &bar)?;
                own.traded().add(&report);
                if !report.complete || own.stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok(())
        });
        Self { shared, progress, task }
    }

    /// Documents of the round under way so far.
    pub fn documents(&self) -> u64 {
        self.progress.position()
    }

    /// Rounds that are over.
    pub fn rounds(&self) -> u64 {
        self.shared.traded().rounds
    }

    /// Has it ended, without being asked to?
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Lets the round under way come to its end.
    pub async fn finish(self) -> Result<Traded> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the trade")??;
        Ok(self.shared.traded().clone())
    }
}
