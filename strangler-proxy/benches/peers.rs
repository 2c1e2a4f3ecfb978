//! The speed table: CPU per proxied request of this proxy, nginx and HAProxy, side by side in one run.
//!
//! `cargo bench -p strangler-proxy --bench peers` starts everything itself. With one worker the proxies have a core to
//! themselves, the upstream and the load generator the other; rounds of the peers are interleaved and each figure is the
//! median of its rounds. `--quick` takes a tenth of the requests; `--rounds 3`, `--only ours,nginx` and `--case base,512`
//! narrow it down; `--format json` is for programs. `--soak 10m` loads this proxy alone and fails where anything grows.
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

#[path = "peers/calls.rs"]
mod calls;
#[path = "peers/launch.rs"]
mod launch;
#[path = "peers/load.rs"]
mod load;
#[path = "peers/measure.rs"]
mod measure;
#[path = "peers/pace.rs"]
mod pace;
#[path = "peers/proxies.rs"]
mod proxies;
#[path = "peers/secured.rs"]
mod secured;
#[path = "peers/soak.rs"]
mod soak;
#[path = "peers/streams.rs"]
mod streams;
#[path = "peers/table.rs"]
mod table;
#[path = "peers/upstream.rs"]
mod upstream;

use std::time::Duration;

use crate::{
    launch::{Peer, Running},
    load::Load,
    measure::Sample,
    proxies::Contender,
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
        ["calls", address, _] => calls::serve(address),
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
    if let Some(time) = option(options, "--soak") {
        let case = Case::ALL.iter().find(|case| wanted(option(options, "--case"), case.name));
        let is_steady = soak::run(case.unwrap(), duration(time));
        std::process::exit(i32::from(!is_steady));
    }
    let peers: Vec<Peer> = Peer::ALL
        .into_iter()
        .filter(|peer| wanted(option(options, "--only"), peer.name()))
        .filter(|peer| peer.installed())
        .collect();
    let is_json = option(options, "--format") == Some("json");
    let mut found = Vec::new();
    for case in Case::ALL.iter().filter(|case| wanted(option(options, "--case"), case.name)) {
        let requests = if quick { case.requests.div_ceil(10) } else { case.requests };
        let case = Case { requests, ..*case };
        let contenders = Contender::all(&case, &peers);
        let samples = rounds_of(&case, &contenders, rounds);
        if is_json {
            found.push(table::json(&case, &contenders, &samples));
        } else {
            table::print(&case, &contenders, &samples);
        }
    }
    if is_json {
        println!("{}", serde_json::to_string_pretty(&found).unwrap());
    }
}

/// `90s` or `10m`.
fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().expect("a time like 90s or 10m");
    Duration::from_secs(if unit == "m" { number * 60 } else { number })
}

/// `rounds` samples of each, interleaved so that a slow minute of the machine hits all alike.
fn rounds_of(case: &Case, contenders: &[Contender], rounds: usize) -> Vec<Vec<Sample>> {
    let backend = proxies::upstream(case);
    let running: Vec<Running> =
        contenders.iter().map(|contender| contender.start(case, backend.address())).collect();
    let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
    for proxy in &running {
        measure::round(&Case { requests: case.requests.div_ceil(5), ..*case }, proxy);
    }
    for _ in 0..rounds {
        for (proxy, samples) in running.iter().zip(&mut samples) {
            samples.push(measure::round(case, proxy));
        }
    }
    samples
}
