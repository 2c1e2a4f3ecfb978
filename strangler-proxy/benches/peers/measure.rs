//! One round: load on one proxy, and what it cost that proxy.

use std::fs;

use crate::{
    launch::{self, Running},
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
    let load = launch::on(load_cores(case))
        .arg(std::env::current_exe().unwrap())
        .args(["load", proxy.address()])
        .args([case.connections.to_string(), case.requests.to_string(), case.body.to_string()])
        .output()
        .expect("the load generator runs");
    let text = String::from_utf8_lossy(&load.stdout);
    let errors = String::from_utf8_lossy(&load.stderr);
    assert!(load.status.success(), "{}: {errors}", proxy.name());
    let numbers: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
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

/// With two workers the proxy has both cores, and so has everything else.
pub fn load_cores(case: &Case) -> &'static str {
    if case.workers == 1 { "0" } else { "0,1" }
}

/// User and system time of the processes, all threads, as the kernel's tick-free counter in `/proc/PID/stat` has it.
fn cpu_micros(processes: &[u32]) -> f64 {
    /// What the kernel divides a second into for user space, everywhere that matters.
    const TICKS_PER_SECOND: f64 = 100.0;
    let mut ticks = 0.0;
    for process in processes {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        // The name is in brackets and may hold anything; the fields are counted from behind it.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        ticks += fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    }
    ticks / TICKS_PER_SECOND * 1e6
}

fn resident_mb(processes: &[u32]) -> f64 {
    let mut kib = 0.0;
    for process in processes {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        kib += line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap();
    }
    kib / 1024.0
}
