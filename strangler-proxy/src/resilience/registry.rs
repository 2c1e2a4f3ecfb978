//! What all workers share, by the names of routes and upstreams. Asked when a configuration is taken up, never for a
//! request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use super::{breaker::Breaker, bulkhead::Bulkhead, fleet::Fleet, rate::Limiter};
use crate::{
    config::{Rate, Snapshot},
    engine::Address,
};

/// Clones share it. The number of names is bounded: what is gone is [forgotten](Self::forget_unused).
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    routes: Mutex<HashMap<Box<str>, Arc<RouteGuards>>>,
    fleets: Mutex<HashMap<Arc<str>, Arc<Fleet<Address>>>>,
    /// Wakes the health checks: an endpoint was taken out.
    ejected: Notify,
}

/// What guards a route.
#[derive(Debug, Default)]
pub struct RouteGuards {
    /// Its old side.
    pub old: Arc<Breaker>,
    /// Its new side.
    pub new: Arc<Breaker>,
    /// Its places.
    pub bulkhead: Arc<Bulkhead>,
    limiter: Mutex<Option<Arc<Limiter>>>,
}

impl RouteGuards {
    /// The limit for this rate: the same as long as the rate is the same, so that a change elsewhere in the file forgives
    /// nobody.
    pub fn limiter(&self, rate: Option<&Rate>) -> Option<Arc<Limiter>> {
        let mut kept = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        match (rate, &*kept) {
            (None, _) => *kept = None,
            (Some(rate), Some(limiter)) if limiter.rate() == rate => {}
            (Some(rate), _) => *kept = Some(Arc::new(Limiter::new(rate.clone()))),
        }
        kept.clone()
    }
}

impl Registry {
    /// What guards this route.
    pub fn route(&self, name: &str) -> Arc<RouteGuards> {
        let mut routes = self.0.routes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(name.into()).or_default())
    }

    /// The endpoints of this upstream.
    pub fn fleet(&self, upstream: &Arc<str>) -> Arc<Fleet<Address>> {
        let mut fleets = self.0.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(fleets.entry(Arc::clone(upstream)).or_default())
    }

    /// Forgets the routes and upstreams that no worker has any more.
    pub fn forget_unused(&self) {
        let mut routes = self.0.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|_, guards| Arc::strong_count(guards) > 1);
        let mut fleets = self.0.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        fleets.retain(|_, fleet| Arc::strong_count(fleet) > 1);
    }

    /// An endpoint was taken out: the health checks bring it back.
    pub fn ejected(&self) {
        self.0.ejected.notify_one();
    }

    /// Waits for the next such word.
    pub async fn wait_for_ejection(&self) {
        self.0.ejected.notified().await;
    }

    /// The guards of all routes that a snapshot has.
    pub fn routes_of(&self, snapshot: &Snapshot) -> Vec<(Arc<str>, Arc<RouteGuards>)> {
        let routes = snapshot.routes.iter();
        routes.map(|route| (Arc::clone(&route.name), self.route(&route.name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Registry, RouteGuards};
    use crate::config::{Rate, RateKey};

    #[test]
    fn what_no_worker_has_is_forgotten() {
        let registry = Registry::default();
        let (route, fleet) = (registry.route("stays"), registry.fleet(&"stays".into()));
        drop((registry.route("goes"), registry.fleet(&"goes".into())));
        registry.forget_unused();
        assert!(Arc::ptr_eq(&route, &registry.route("stays")));
        assert!(Arc::ptr_eq(&fleet, &registry.fleet(&"stays".into())));
        let lengths =
            (registry.0.routes.lock().unwrap().len(), registry.0.fleets.lock().unwrap().len());
        assert_eq!(lengths, (1, 1));
    }

    #[test]
    fn a_limit_outlives_what_does_not_change_it() {
        let rate = Rate { requests: 1, per: Duration::from_secs(1), burst: 1, key: RateKey::Route };
        let guards = RouteGuards::default();
        let one = guards.limiter(Some(&rate)).unwrap();
        assert!(Arc::ptr_eq(&one, &guards.limiter(Some(&rate)).unwrap()));
        let other = guards.limiter(Some(&Rate { burst: 2, ..rate })).unwrap();
        assert!(!Arc::ptr_eq(&one, &other));
        assert!(guards.limiter(None).is_none());
    }
}
