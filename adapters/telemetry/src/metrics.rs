//! The registry of series, in the OpenMetrics text format.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::{collector::Collector, encoding::text::encode, registry::Registry};

use crate::ProcessMetrics;

/// The series of a process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    /// Held while a series is registered or all are written.
    registry: Arc<Mutex<Registry>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The content type of [`text`](Self::text).
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// The process's own series only.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessMetrics::new()));
        Self { registry: Arc::new(Mutex::new(registry)) }
    }

    /// Registers series; names carry the prefix `banyan_` by convention.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers something that makes its series when they are asked for.
    pub fn collect(&self, collector: impl Collector + 'static) {
        self.register(|registry| registry.register_collector(Box::new(collector)));
    }

    /// All series as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = encode(&mut text, &registry) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::Metrics;

    #[test]
    fn what_is_registered_is_shown() {
        let metrics = Metrics::new();
        let sold = metrics.register(|registry| {
            let sold: Counter = Counter::default();
            registry.register("banyan_sold", "Things sold", sold.clone());
            sold
        });
        sold.inc_by(3);
        let text = metrics.text();
        assert!(text.contains("banyan_sold_total 3"), "{text}");
        assert!(text.contains("process_open_fds "), "{text}");
        assert!(text.contains("process_uptime_seconds "), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
