//! The series of a listener: how many requests, and how long they took.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};

use crate::Metrics;

/// Bounds in seconds: fine where a healthy answer lies, out to the longest deadline.
const BUCKETS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// Requests by module, method, route pattern and status; times by module and route pattern.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    module: String,
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    module: String,
    method: String,
    route: String,
}

impl HttpMetrics {
    /// Registers the series.
    pub fn new(metrics: &Metrics) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let seconds = Family::new_with_constructor(histogram);
        let made = Self { requests: Family::default(), seconds };
        metrics.register(|registry| {
            let requests = made.requests.clone();
            registry.register("banyan_http_requests", "Requests answered", requests);
            let seconds = made.seconds.clone();
            registry.register("banyan_http_request_seconds", "Time to the answer's head", seconds);
        });
        made
    }

    /// A request has its answer. `route` is the pattern, never the path.
    pub fn answered(&self, module: &str, method: &str, route: &str, status: u16, took: Duration) {
        let (module, method, route) = (module.to_owned(), method.to_owned(), route.to_owned());
        let by_route =
            Route { module: module.clone(), method: method.clone(), route: route.clone() };
        self.seconds.get_or_create(&by_route).observe(took.as_secs_f64());
        self.requests.get_or_create(&Request { module, method, route, status }).inc();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::HttpMetrics;
    use crate::Metrics;

    #[test]
    fn requests_are_counted_by_route() {
        let metrics = Metrics::new();
        let http = HttpMetrics::new(&metrics);
        http.answered("inventory", "GET", "/v1/stock/{sku}", 200, Duration::from_millis(3));
        http.answered("inventory", "GET", "/v1/stock/{sku}", 404, Duration::from_millis(1));
        let text = metrics.text();
        assert!(text.contains(r#"banyan_http_requests_total{module="inventory",method="GET",route="/v1/stock/{sku}",status="200"} 1"#), "{text}");
        assert!(text.contains(r#"banyan_http_request_seconds_count{module="inventory",method="GET",route="/v1/stock/{sku}"} 2"#), "{text}");
    }
}
