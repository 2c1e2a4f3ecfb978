//! The ceiling of orders/s on SQLite: the rows that one order of 22.6 lines (the mean of the Online Retail file) needs,
//! written as fast as raw rusqlite writes them into the real tables. One file per module, one writer thread per file,
//! write-ahead log, `synchronous=FULL`, 64 orders per commit. No contract, no HTTP, no JSON, no reads, no client.
//!
//! Two figures: `rows` puts everything that 64 orders write in a file into one commit, which is the least that can be
//! paid for durable rows. `steps` commits as often as the steps of a checkout do, each step for 64 orders at once: a
//! checkout cannot write its payment's rows in the commit of its reservation's.
//!
//! Beside them stands what the shop makes of it: orders of the same lines through `banyan up` and its public HTTP API,
//! driven by the replay on the same processors, a round of the one after a round of the other.
//!
//! `cargo bench -p banyan --bench ceiling`; all files lie in `TMPDIR`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench prints, and stops at the first surprise"
)]

mod ceiling {
    pub mod inventory;
    pub mod ordering;
    pub mod payments;
    pub mod rows;
}
#[path = "shop/orders.rs"]
mod orders;
#[allow(dead_code, reason = "the other bench uses the rest")]
#[path = "shop/processes.rs"]
mod processes;
#[path = "shop/trade.rs"]
mod trade;

use std::{
    path::Path,
    sync::Barrier,
    time::{Duration, Instant},
};

use ceiling::{
    inventory, ordering, payments,
    rows::{Module, Order, SKUS, lines_of, open},
};
use processes::Deployment;
use trade::traded;

/// Orders of one commit: as many as the replay has in flight.
const GROUP: u64 = 64;

/// How many orders each round writes: enough for several checkpoints of each file.
const ORDERS: u64 = 64 * 100;

/// Rounds; the best counts, since whatever else the machine does only takes away.
const ROUNDS: usize = 3;

fn main() {
    let modules = [inventory::MODULE, ordering::MODULE, payments::MODULE];
    let all = print_rows(&modules);
    println!("\n{:<24}{:>12}{:>12}", "orders/s, 64 at once", "rows", "steps");
    for module in &modules {
        let one = std::slice::from_ref(module);
        let (rows, steps) = (round(one, Commits::Rows), round(one, Commits::Steps));
        println!("{:<24}{rows:>12.0}{steps:>12.0}", format!("{} alone", module.name));
    }
    let shop = Deployment::one_process();
    let (mut rows, mut steps, mut replay) = (0.0_f64, 0.0_f64, 0.0_f64);
    for number in 1..=ROUNDS {
        let this = (
            round(&modules, Commits::Rows),
            round(&modules, Commits::Steps),
            traded(&shop, ORDERS, lines_of, SKUS, None).orders_per_second,
        );
        println!("round {number}: {:.0} and {:.0}, replay {:.0}", this.0, this.1, this.2);
        (rows, steps, replay) = (rows.max(this.0), steps.max(this.1), replay.max(this.2));
    }
    println!("{:<24}{rows:>12.0}{steps:>12.0}", "all files at once");
    println!("{:<24}{:>12.0}{:>12.0}", "rows/s", rows * all, steps * all);
    println!("{:<24}{replay:>12.0}{replay:>12.0}", "replay");
    println!("{:<24}{:>12.2}{:>12.2}", "replay over ceiling", replay / rows, replay / steps);
}

/// Prints what an order writes; answers how many rows.
fn print_rows(modules: &[Module]) -> f64 {
    println!(
        "rows that one order of 22.6 lines writes (inserted or updated, index entries not counted):"
    );
    let mut all = 0.0;
    for module in modules {
        let rows = rows_per_order(module);
        all += rows;
        println!("  {:<12}{rows:>6.1} in {} transactions", module.name, module.steps.len());
    }
    println!("  {:<12}{:>6.1} (it tells prices, and hears of thresholds only)", "catalog", 0.0);
    println!("  {:<12}{all:>6.1}", "all");
    all
}

/// How often is committed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Commits {
    /// Once for all that a group of orders writes.
    Rows,
    /// Once for each step of a group.
    Steps,
}

/// Orders per second when the files are written at the same time: the slowest file decides.
fn round(modules: &[Module], commits: Commits) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(modules.len());
    let took = std::thread::scope(|scope| {
        let writers: Vec<_> = modules
            .iter()
            .map(|module| scope.spawn(|| write(directory.path(), module, commits, &barrier)))
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).max().unwrap()
    });
    ORDERS as f64 / took.as_secs_f64()
}

/// Writes all orders' rows into one module's file.
fn write(directory: &Path, module: &Module, commits: Commits, barrier: &Barrier) -> Duration {
    let connection = open(&directory.join(format!("{}.db", module.name)), module.name);
    (module.fill)(&connection);
    barrier.wait();
    let began = Instant::now();
    for group in 0..ORDERS / GROUP {
        let orders: Vec<_> =
            (0..GROUP).map(|number| Order::numbered(group * GROUP + number)).collect();
        if commits == Commits::Rows {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        }
        for step in module.steps {
            if commits == Commits::Steps {
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            }
            for order in &orders {
                step(&connection, order);
            }
            if commits == Commits::Steps {
                connection.execute_batch("COMMIT").unwrap();
            }
        }
        if commits == Commits::Rows {
            connection.execute_batch("COMMIT").unwrap();
        }
    }
    began.elapsed()
}

/// Counted by the database itself, over five orders of 22.6 lines in the mean.
fn rows_per_order(module: &Module) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let connection = open(&directory.path().join("counted.db"), module.name);
    (module.fill)(&connection);
    let before = connection.total_changes();
    for number in 0..5 {
        let order = Order::numbered(number);
        module.steps.iter().for_each(|step| step(&connection, &order));
    }
    (connection.total_changes() - before) as f64 / 5.0
}
