//! What it costs to run modules as processes: the same checkouts at the same rate against one process with all modules
//! and against one process per module, on one machine. Service Weaver's table (Ghemawat et al., "Towards Modern
//! Development of Cloud Applications", HotOS '23) for us: median, 99th percentile, processor cores at the same rate;
//! and how much each can do at most.
//!
//! `cargo bench -p banyan --bench placement`. The client is the replay, as carts of guests; it runs in this process, so
//! the cores are the servers' alone, but they share the machine with it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a bench prints, and stops at the first surprise"
)]

#[path = "shop/orders.rs"]
mod orders;
#[path = "shop/processes.rs"]
mod processes;
#[path = "shop/trade.rs"]
mod trade;

use std::time::{Duration, Instant};

use processes::Deployment;
use trade::traded;

/// How long each is driven at the rate.
const AT_RATE: Duration = Duration::from_secs(15);

/// How long each is driven as fast as it can.
const AT_MOST: Duration = Duration::from_secs(6);

/// Orders that warm each up and tell how many the next run needs.
const WARM_UP: u64 = 500;

/// The part of what the slower one can do that both are driven at: busy, and no queue.
const LOAD: f64 = 0.5;

/// How many products are bought: each cart has others, and popular ones meet.
const SKUS: u64 = 500;

fn main() {
    let one = Deployment::one_process();
    let four = Deployment::process_per_module();
    let both = [&one, &four];
    for lines in [5, 23] {
        let most = both.map(|deployment| most(deployment, lines));
        let rate = (most.into_iter().fold(f64::INFINITY, f64::min) * LOAD).floor().max(1.0);
        println!("checkouts of {lines} lines at {rate:.0} orders/s for {} s", AT_RATE.as_secs());
        println!(
            "{:<24}{:>12}{:>12}{:>12}{:>18}",
            "", "median ms", "p99 ms", "cores", "orders/s at most"
        );
        let found = [0, 1].map(|which: usize| {
            let (deployment, most) = (both.get(which).unwrap(), most.get(which).unwrap());
            let at_rate = at_rate(deployment, lines, rate);
            let Measured { median, p99, cores } = at_rate;
            println!("{:<24}{median:>12.2}{p99:>12.2}{cores:>12.2}{most:>18.0}", deployment.name);
            (at_rate, *most)
        });
        let [(one, one_most), (four, four_most)] = found;
        println!(
            "{:<24}{:>12.2}{:>12.2}{:>12.2}{:>18.2}",
            "second over first",
            four.median / one.median,
            four.p99 / one.p99,
            four.cores / one.cores,
            four_most / one_most
        );
        println!();
    }
}

/// What a deployment needed at a rate.
struct Measured {
    median: f64,
    p99: f64,
    cores: f64,
}

/// Orders per second as fast as it can.
fn most(deployment: &Deployment, lines: u64) -> f64 {
    let warm = traded(deployment, WARM_UP, |_| lines, SKUS, None).orders_per_second;
    let count = (warm * AT_MOST.as_secs_f64()) as u64;
    traded(deployment, count.max(WARM_UP), |_| lines, SKUS, None).orders_per_second
}

fn at_rate(deployment: &Deployment, lines: u64, rate: f64) -> Measured {
    let count = (rate * AT_RATE.as_secs_f64()) as u64;
    let (began, before) = (Instant::now(), deployment.cpu());
    let report = traded(deployment, count, |_| lines, SKUS, Some(rate));
    let cores = (deployment.cpu() - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let latency = report.document_latency;
    Measured { median: latency.p50, p99: latency.p99, cores }
}
