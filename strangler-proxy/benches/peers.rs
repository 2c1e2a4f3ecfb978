//! The speed table: CPU per proxied request of this proxy, nginx and HAProxy, side by side in one run.
//!
//! `cargo bench -p strangler-proxy --bench peers` starts everything itself. The proxies run on one core, the upstream and
//! the load generator on the other; rounds of the peers are interleaved and each figure is the median of its rounds.
//! `--quick` takes a tenth of the requests; `--only ours,nginx` and `--case base` narrow it down.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "a bench: it prints, and it stops where it cannot measure"
)]

#[path = "peers/launch.rs"]
mod launch;
#[path = "peers/load.rs"]
mod load;
#[path = "peers/measure.rs"]
mod measure;
#[path = "peers/proxies.rs"]
mod proxies;
#[path = "peers/table.rs"]
mod table;
#[path = "peers/upstream.rs"]
mod upstream;

use crate::{
    launch::{Peer, Running},
    load::Load,
    measure::Sample,
    table::Case,
};

/// Each figure is the median of this many rounds.
const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["upstream", address, body] => upstream::serve(address, body.parse().unwrap()),
        ["load", rest @ ..] => Load::of(rest).run(),
        ["ours", file] => launch::ours(file),
        options => compare(options),
    }
}

/// The value that follows `name`.
fn option<'a>(options: &[&'a str], name: &str) -> Option<&'a str> {
    options.iter().position(|word| *word == name).and_then(|at| options.get(at + 1)).copied()
}

fn compare(options: &[&str]) {
    let quick = options.contains(&"--quick");
    let rounds = option(options, "--rounds").map_or(ROUNDS, |text| text.parse().unwrap());
    let wanted = |list: Option<&str>, name: &str| {
        list.is_none_or(|list| list.split(',').any(|word| word == name))
    };
    let peers: Vec<Peer> = Peer::ALL
        .into_iter()
        .filter(|peer| wanted(option(options, "--only"), peer.name()))
        .filter(|peer| peer.installed())
        .collect();
    for case in Case::ALL.iter().filter(|case| wanted(option(options, "--case"), case.name)) {
        let case =
            Case { requests: if quick { case.requests / 10 } else { case.requests }, ..*case };
        let samples = rounds_of(&case, &peers, rounds);
        table::print(&case, &peers, &samples);
    }
}

/// `rounds` samples of each peer, interleaved so that a slow minute of the machine hits all alike.
fn rounds_of(case: &Case, peers: &[Peer], rounds: usize) -> Vec<Vec<Sample>> {
    let backend = proxies::upstream(case);
    let running: Vec<Running> =
        peers.iter().map(|peer| proxies::start(*peer, case, backend.address())).collect();
    let mut samples: Vec<Vec<Sample>> = peers.iter().map(|_| Vec::new()).collect();
    for proxy in &running {
        measure::round(&Case { requests: case.requests / 5, ..*case }, proxy);
    }
    for _ in 0..rounds {
        for (proxy, samples) in running.iter().zip(&mut samples) {
            samples.push(measure::round(case, proxy));
        }
    }
    samples
}
