//! The cases, and how the table looks.

use crate::{launch::Peer, measure::Sample};

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub connections: usize,
    pub body: usize,
    pub workers: usize,
    pub requests: u64,
}

impl Case {
    pub const ALL: [Self; 4] = [
        Self { name: "base", connections: 64, body: 200, workers: 1, requests: 200_000 },
        Self { name: "16k", connections: 64, body: 16 * 1024, workers: 1, requests: 100_000 },
        Self { name: "512", connections: 512, body: 200, workers: 1, requests: 200_000 },
        Self { name: "two", connections: 64, body: 200, workers: 2, requests: 200_000 },
    ];
}

/// One line per peer: medians, the spread of the CPU figure, and its ratio to ours.
pub fn print(case: &Case, peers: &[Peer], samples: &[Vec<Sample>]) {
    println!(
        "\n{}: {} connections, {} bytes, {} worker(s), {} requests",
        case.name, case.connections, case.body, case.workers, case.requests
    );
    println!("  proxy      CPU us/req  (min..max)     p50 us  p99 us  req/s   RSS MB  ours/theirs");
    let cpu = |samples: &[Sample]| median(samples.iter().map(|sample| sample.cpu_micros));
    let ours = peers
        .iter()
        .zip(samples)
        .find(|(peer, _)| matches!(peer, Peer::Ours))
        .map(|(_, samples)| cpu(samples));
    for (peer, samples) in peers.iter().zip(samples) {
        let of = |field: fn(&Sample) -> f64| median(samples.iter().map(field));
        let all = samples.iter().map(|sample| sample.cpu_micros);
        let (low, high) = (all.clone().fold(f64::MAX, f64::min), all.fold(0.0, f64::max));
        println!(
            "  {:<10} {:>10.2}  ({low:>5.2}..{high:>5.2}) {:>9.0} {:>7.0} {:>6.0} {:>8.1}  {:>6.2}",
            peer.name(),
            cpu(samples),
            of(|sample| sample.p50_micros),
            of(|sample| sample.p99_micros),
            of(|sample| sample.per_second),
            of(|sample| sample.resident_mb),
            ours.map_or(f64::NAN, |ours| ours / cpu(samples)),
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
