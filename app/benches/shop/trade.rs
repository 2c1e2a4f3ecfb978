//! The client: the replay, in this process.

use banyan::replay::{self, Options, Report, patience::Patience, plan::Days};
use indicatif::ProgressBar;

use crate::{orders, processes::Deployment};

/// Orders in flight at most.
const CONCURRENCY: u16 = 64;

/// Trades fresh orders; every one must become an order.
pub fn traded(
    deployment: &Deployment,
    count: u64,
    lines: impl Fn(u64) -> u64,
    skus: u64,
    rate: Option<f64>,
) -> Report {
    let file = orders::file(count, lines, skus);
    let options = Options {
        file: file.path().to_owned(),
        target: deployment.front().to_owned(),
        token: deployment.token().to_owned(),
        run: None,
        days: Days::default(),
        rate,
        concurrency: CONCURRENCY,
        patience: Patience::default(),
    };
    let report = replay::run(&options, &ProgressBar::hidden()).unwrap();
    assert!(report.is_clean(), "{}", report.lines().join("\n"));
    report
}
