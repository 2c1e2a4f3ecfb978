//! The figures of a replay: what was asked, how long it took, what was refused.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use kernel_api::{Currency, Exact};
use serde::Serialize;

use super::lane::{Sample, Step};
use crate::online_retail::{Document, Kind};

/// The longest time that is told apart: an hour.
const MICROS_MAX: u64 = 3_600_000_000;

/// How many significant digits a time keeps.
const DIGITS: u8 = 3;

/// How many examples of each refusal are kept.
const EXAMPLES_MAX: usize = 5;

/// How a document ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the shop's books.
    Settled,
    /// The shop said no.
    Refused {
        /// For counting.
        why: String,
        /// For looking.
        detail: String,
    },
}

/// All figures so far.
#[derive(Debug, Default)]
pub struct Figures {
    kinds: BTreeMap<Kind, Count>,
    steps: BTreeMap<Step, Asked>,
    documents: Times,
    refusals: BTreeMap<(Kind, String), Refusal>,
    net_micros: i64,
    rows: u64,
}

/// How many documents of a kind ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Settled.
    pub settled: u64,
    /// Refused.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Asked {
    times: Times,
    failed: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_max(MICROS_MAX, DIGITS).expect("an hour fits three digits"))
    }
}

impl Times {
    fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(MICROS_MAX));
    }
}

/// What was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Documents of which kind.
    pub kind: &'static str,
    /// Why.
    pub why: String,
    /// How many.
    pub count: u64,
    /// Some of them, with what the shop said.
    pub examples: Vec<String>,
}

/// Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Half take no longer.
    pub p50: f64,
    /// 90 % take no longer.
    pub p90: f64,
    /// 99 % take no longer.
    pub p99: f64,
    /// 99.9 % take no longer.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// What was asked of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Requests {
    /// What for.
    pub step: Step,
    /// How long answers took, each from its own request.
    pub latency: Latency,
    /// How often it was asked again, by what the try before had met.
    pub retries: BTreeMap<String, u64>,
}

impl Figures {
    /// Takes in the tries of a lane.
    pub fn asked(&mut self, samples: impl IntoIterator<Item = Sample>) {
        for Sample { step, took } in samples {
            let asked = self.steps.entry(step).or_default();
            match took {
                Ok(took) => asked.times.record(took),
                Err(problem) => *asked.failed.entry(problem).or_default() += 1,
            }
        }
    }

    /// Takes in a document that ended `took` after it was due.
    pub fn ended(&mut self, facts: &Facts, outcome: Outcome, took: Duration) {
        self.documents.record(took);
        let count = self.kinds.entry(facts.kind).or_default();
        match outcome {
            Outcome::Settled => {
                count.settled += 1;
                self.net_micros = self.net_micros.saturating_add(facts.micros);
                self.rows += facts.rows;
            }
            Outcome::Refused { why, detail } => {
                count.refused += 1;
                let refusal = self.refusals.entry((facts.kind, why.clone())).or_insert_with(|| {
                    Refusal { kind: name(facts.kind), why, count: 0, examples: Vec::new() }
                });
                refusal.count += 1;
                if refusal.examples.len() < EXAMPLES_MAX {
                    refusal.examples.push(format!("{}: {detail}", facts.invoice));
                }
            }
        }
    }

    /// How many documents have ended.
    pub fn documents(&self) -> u64 {
        self.kinds.values().map(|count| count.settled + count.refused).sum()
    }

    /// How many sales have become orders.
    pub fn orders(&self) -> u64 {
        self.kinds.get(&Kind::Sale).map_or(0, |count| count.settled)
    }

    /// How many rows of the file have been traded.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The exact sum of what was settled, as a decimal.
    pub fn net(&self) -> String {
        Exact::new(self.net_micros, Currency::GBP).amount()
    }

    /// Documents by kind.
    pub fn kinds(&self) -> BTreeMap<&'static str, Count> {
        self.kinds.iter().map(|(kind, count)| (name(*kind), *count)).collect()
    }

    /// From when a document was due to its end.
    pub fn document_latency(&self) -> Latency {
        latency(&self.documents)
    }

    /// Requests by step.
    pub fn requests(&self) -> Vec<Requests> {
        let steps = self.steps.iter();
        steps
            .map(|(step, asked)| Requests {
                step: *step,
                latency: latency(&asked.times),
                retries: asked.failed.clone(),
            })
            .collect()
    }

    /// What was refused.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.refusals.values().cloned().collect()
    }
}

/// What is kept of a document while it is traded.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its kind.
    pub kind: Kind,
    /// Its number.
    pub invoice: String,
    micros: i64,
    rows: u64,
}

impl Facts {
    /// Of this document.
    pub fn of(document: &Document) -> Self {
        Self {
            kind: document.kind,
            invoice: document.invoice.clone(),
            micros: document.micros().unwrap_or_default(),
            rows: u64::try_from(document.lines.len()).unwrap_or(0),
        }
    }
}

fn latency(times: &Times) -> Latency {
    let Times(times) = times;
    #[allow(clippy::cast_precision_loss, reason = "an hour of microseconds is exact")]
    let millis = |micros: u64| micros as f64 / 1000.0;
    let at = |quantile| millis(times.value_at_quantile(quantile));
    Latency {
        count: times.len(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: millis(times.max()),
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sale => "sales",
        Kind::Return => "returns",
        Kind::StockAdjustment => "stock adjustments",
        Kind::BadDebt => "bad debts",
    }
}
