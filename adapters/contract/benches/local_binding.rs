//! What the local binding costs over the bare trait call, with the default subscriber at its default level.
//!
//! `cargo bench -p banyan-contract`. The two are measured by turns, so that a change of the machine's mood meets both.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use contract::{
    Answer, Call, CallGraph, Caller, Command, Deadline, Never, Switch, Target, async_trait,
    contract,
};
use tracing::Level;

/// Calls per round: some milliseconds, far above the clock's grain.
const CALLS: u32 = 200_000;

/// Rounds of each; an odd number has a median.
const ROUNDS: usize = 31;

/// The most that the binding may add.
const TARGET_NS: f64 = 100.0;

/// The least that a module can do.
#[contract("counter")]
pub trait Counter: Send + Sync + 'static {
    /// The next number.
    #[query]
    async fn next(&self, call: &Call, number: u64) -> Answer<u64, Never>;
    /// The next number, as a command.
    #[command]
    async fn step(&self, command: &Command, number: u64) -> Answer<u64, Never>;
}

struct Service;

#[async_trait]
impl Counter for Service {
    async fn next(&self, _call: &Call, number: u64) -> Answer<u64, Never> {
        Ok(number.wrapping_add(1))
    }
    async fn step(&self, _command: &Command, number: u64) -> Answer<u64, Never> {
        Ok(number.wrapping_add(1))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_max_level(Level::INFO).init();
    let graph = CallGraph::default();
    let bare: Arc<dyn Counter> = Arc::new(Service);
    let bound = contract::local::<dyn Counter>(Arc::clone(&bare), graph.edge("bench", "counter"));
    let call = Call::new(Caller::module("bench"), Deadline::within(Duration::from_secs(3600)));
    let command = call.command("one".parse().expect("it is a key"));

    println!("{:<22} {:<8} {:>8} {:>8} {:>8}", "binding", "method", "bare ns", "ns", "added");
    let worst = compare("local", &*bare, &*bound, &call, &command).await;
    // For comparison: what a module that can be carved out pays.
    let switch = Switch::new(1, Target::here(Arc::clone(&bare)));
    let edge = graph.edge("bench", "switched");
    let switched = contract::local::<dyn Counter>(contract::switchable(&switch), edge);
    compare("local over switchable", &*bare, &*switched, &call, &command).await;
    println!("target: local adds at most {TARGET_NS:.0} ns, {}", verdict(worst));
}

/// The worse of what a query and a command pay.
async fn compare(
    binding: &str,
    bare: &dyn Counter,
    bound: &dyn Counter,
    call: &Call,
    command: &Command,
) -> f64 {
    let (mut bare_ns, mut bound_ns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare_ns.push(queries(bare, call).await);
        bound_ns.push(queries(bound, call).await);
    }
    let query = report(binding, "query", bare_ns, bound_ns);
    let (mut bare_ns, mut bound_ns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare_ns.push(commands(bare, command).await);
        bound_ns.push(commands(bound, command).await);
    }
    report(binding, "command", bare_ns, bound_ns).max(query)
}

fn verdict(added: f64) -> &'static str {
    if added <= TARGET_NS { "reached" } else { "missed" }
}

async fn queries(counter: &dyn Counter, call: &Call) -> f64 {
    let started = Instant::now();
    let mut number = 0;
    for _ in 0..CALLS {
        number = counter.next(black_box(call), number).await.unwrap_or_default();
    }
    black_box(number);
    started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

async fn commands(counter: &dyn Counter, command: &Command) -> f64 {
    let started = Instant::now();
    let mut number = 0;
    for _ in 0..CALLS {
        number = counter.step(black_box(command), number).await.unwrap_or_default();
    }
    black_box(number);
    started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// Prints the medians and gives back what is added.
fn report(binding: &str, method: &str, bare: Vec<f64>, bound: Vec<f64>) -> f64 {
    let (bare, bound) = (median(bare), median(bound));
    println!("{binding:<22} {method:<8} {bare:>8.1} {bound:>8.1} {:>8.1}", bound - bare);
    bound - bare
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}
