//! Logs, metrics and health, without a web framework: the app mounts them on its internal port.
//!
//! ```
//! use telemetry::{Health, Metrics, State};
//!
//! let health = Health::new();
//! let inventory = health.check("inventory");
//! assert!(!health.ready().healthy, "not before it has started");
//! inventory.set(State::Ok);
//! health.started();
//! assert!(health.ready().healthy);
//!
//! let metrics = Metrics::new();
//! assert!(metrics.text().contains("process_resident_memory_bytes"));
//! ```
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod health;
mod http_metrics;
mod log;
mod log_line;
mod metrics;
mod process;

pub use health::{Check, Health, HealthReport, State};
pub use http_metrics::HttpMetrics;
pub use log::{LogError, LogFormat, LogHandle, Logging};
pub use metrics::Metrics;
pub use process::ProcessMetrics;

// Modules register their own series with these.
pub use prometheus_client;
