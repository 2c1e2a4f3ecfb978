//! Ordering over HTTP.

use std::sync::Arc;

use http_api::Routes;
use ordering_api::Ordering;

/// The routes of ordering.
pub fn routes(ordering: Arc<dyn Ordering>) -> Routes {
    Routes::new("ordering").data(ordering)
}
