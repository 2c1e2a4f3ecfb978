//! The process's own series: memory, files, time.

use std::{fmt, fs, time::Instant};

use kernel_api::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};

/// Read from `/proc` when they are asked for; left out where there is none.
#[derive(Debug)]
pub struct ProcessMetrics {
    started: Instant,
    started_at: Timestamp,
}

impl Default for ProcessMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcessMetrics {
    /// A process that starts now.
    pub fn new() -> Self {
        Self { started: Instant::now(), started_at: Timestamp::now() }
    }

    /// The resident memory in bytes.
    pub fn resident_bytes() -> Option<i64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    }

    /// How many files and sockets are open.
    pub fn open_files() -> Option<i64> {
        i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<i64>| -> Result<(), fmt::Error> {
            let Some(value) = value else { return Ok(()) };
            let gauge = ConstGauge::new(value);
            let series = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(series)
        };
        gauge("process_resident_memory_bytes", "Resident memory", Self::resident_bytes())?;
        gauge("process_open_fds", "Open files and sockets", Self::open_files())?;
        let uptime = i64::try_from(self.started.elapsed().as_secs()).ok();
        gauge("process_uptime_seconds", "Time since the start", uptime)?;
        let started = Some(self.started_at.micros() / 1_000_000);
        gauge("process_start_time_seconds", "When it started, in Unix time", started)
    }
}
