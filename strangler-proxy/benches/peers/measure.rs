//! One round: load on one proxy, and what it cost that proxy.

use std::fs;

use crate::{
    launch::{self, Running},
    proxies::CERTIFICATE,
    table::Case,
};

/// What one round showed.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub cpu_micros: f64,
    pub p50_micros: f64,
    pub p99_micros: f64,
    pub per_second: f64,
    pub resident_mb: f64,
}

/// Sends the case's requests through the proxy.
pub fn round(case: &Case, proxy: &Running) -> Sample {
    let before = cpu_micros(&proxy.processes());
    let numbers = load(case, proxy, case.requests);
    let after = cpu_micros(&proxy.processes());
    let requests = f64::from(u32::try_from(case.requests).unwrap());
    Sample {
        cpu_micros: (after - before) / requests,
        p50_micros: numbers[0],
        p99_micros: numbers[1],
        per_second: requests / numbers[2],
        resident_mb: resident_mb(&proxy.processes()),
    }
}

/// Sends so many requests; p50, p99 and the seconds it took.
pub fn load(case: &Case, proxy: &Running, requests: u64) -> Vec<f64> {
    let load = launch::on(load_cores(case))
        .arg(std::env::current_exe().unwrap())
        .args(["load", proxy.address()])
        .args([case.connections.to_string(), requests.to_string()])
        .args([case.body.to_string(), case.upload.to_string()])
        .args([case.wire.words(), &case.streams.to_string(), &case.rate.to_string()])
        .arg(proxy.file(CERTIFICATE))
        .output()
        .expect("the load generator runs");
    let text = String::from_utf8_lossy(&load.stdout);
    let errors = String::from_utf8_lossy(&load.stderr);
    assert!(load.status.success(), "{}: {errors}", proxy.name());
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

/// With two workers the proxy has both cores, and so has everything else.
pub fn load_cores(case: &Case) -> &'static str {
    if case.workers == 1 { "0" } else { "0,1" }
}

/// The time that all threads of the processes had a processor, from the scheduler's own nanoseconds: the ticks in
/// `/proc/PID/stat` are too coarse for a short round.
fn cpu_micros(processes: &[u32]) -> f64 {
    let mut nanos = 0.0;
    for process in processes {
        for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
            // A thread may end while this looks.
            let stat = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            nanos += stat.split(' ').next().and_then(|on| on.parse::<f64>().ok()).unwrap_or(0.0);
        }
    }
    nanos / 1e3
}

/// What the processes have in memory.
pub fn resident_mb(processes: &[u32]) -> f64 {
    let mut kib = 0.0;
    for process in processes {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        kib += line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap();
    }
    kib / 1024.0
}
