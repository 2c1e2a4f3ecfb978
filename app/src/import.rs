//! `banyan import online-retail`: a file of real trade becomes the history of the shop.
//!
//! Two readings: the first learns the file's hash, its products, customers, opening balances and exact sums; the second
//! books the documents in batches through the modules' contracts. Every id, key and batch follows from the file alone
//! (but who is a customer already keeps the id that the shop gave), so that each step has its effect once, however often
//! and from wherever the import is started again.

mod batch;
mod opening;
mod report;
mod steps;

use std::{path::Path, time::Instant};

use anyhow::{Context, Result};
use contract::Caller;
use indicatif::ProgressBar;
use tokio::sync::mpsc;

pub use batch::{customer_id, service_kind};
pub use report::Report;

use crate::{
    modules::Modules,
    online_retail::{Documents, Item, Scan, scan},
};
use batch::{Batch, Batches, Known};
use steps::Steps;

/// How many batches may be read ahead: enough that reading and booking overlap, and a bound on memory.
const READ_AHEAD: usize = 2;

/// Imports the file.
pub async fn online_retail(
    modules: &Modules,
    path: &Path,
    progress: &ProgressBar,
) -> Result<Report> {
    let began = Instant::now();
    progress.set_message("reading");
    let scan = scanned(path).await?;
    let caller: Caller =
        format!("import:{}", scan.hash).parse().context("the file's hash is a caller")?;
    let steps = Steps { modules, caller, scan: &scan };

    steps.refuse_overlap().await?;
    progress.set_message("products, customers, opening stock");
    let products = steps.products().await?;
    let (customers, known) = steps.customers().await?;
    let opened = steps.opening().await?;

    progress.set_message("documents");
    progress.set_length(scan.rows);
    let mut documents = steps::Counts::default();
    let mut batches = read_batches(path, &scan, known);
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        let rows = batch.rows;
        documents.add(steps.book(batch).await?);
        progress.inc(rows);
    }
    steps.record(path).await?;
    progress.finish_and_clear();
    Ok(Report::new(
        path,
        &scan,
        report::Booked { products, customers, opened, documents },
        began.elapsed(),
    ))
}

async fn scanned(path: &Path) -> Result<Scan> {
    let owned = path.to_owned();
    let scan =
        tokio::task::spawn_blocking(move || scan(&owned)).await.context("reading was cut off")?;
    scan.with_context(|| format!("cannot import {}", path.display()))
}

/// Reads the batches on a thread of their own, a little ahead of the booking.
fn read_batches(path: &Path, scan: &Scan, known: Known) -> mpsc::Receiver<Result<Batch>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let (path, source) = (path.to_owned(), scan.hash.clone());
    tokio::task::spawn_blocking(move || {
        let read = || -> Result<()> {
            let mut batches = Batches::new(source, known);
            for item in Documents::open(&path)? {
                // What is listed was counted by the first reading.
                let Item::Document(document) = item? else { continue };
                if let Some(batch) = batches.take(document) {
                    sender.blocking_send(Ok(batch)).context("the import ended")?;
                }
            }
            if let Some(batch) = batches.rest() {
                sender.blocking_send(Ok(batch)).context("the import ended")?;
            }
            Ok(())
        };
        if let Err(error) = read() {
            // Nobody listens any more when the import itself has failed: its own error is the one to show.
            drop(sender.blocking_send(Err(error)));
        }
    });
    receiver
}
