//! Groups of routes that the program which the proxy is a part of leads to their new side, over what the files say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{Config, Snapshot, document::FallbackPart};
use crate::route::{
    KeySource, Stage, Weight,
    replica::{Replica, Writers},
};

/// Where a group is led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The new side.
    pub to: String,
    /// How much of it.
    pub share: Share,
}

/// How much of a group is led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    /// All of it.
    All,
    /// Reads (`GET` and `HEAD`) of a share of the clients: the new side is a replica of what the old side owns. None of them
    /// before [`Steering::fresh`](crate::steer::Steering::fresh) says how fresh it is; whatever fails there is asked of the
    /// old side.
    Reads {
        /// This share.
        weight: Weight,
        /// A field, its name and its value, by which the new side knows that it is asked as a replica.
        mark: (String, String),
    },
}

impl Lead {
    /// All of a group.
    pub fn all(to: impl Into<String>) -> Self {
        Self { to: to.into(), share: Share::All }
    }
}

/// Where each group is led to. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Leads(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    groups: Mutex<BTreeMap<String, Led>>,
    writers: Arc<Writers>,
}

#[derive(Debug, Clone)]
struct Led {
    lead: Lead,
    /// Of a group whose reads are led.
    replica: Option<Arc<Replica>>,
}

/// What was led before.
pub(crate) struct Former(BTreeMap<String, Led>);

impl Leads {
    fn groups(&self) -> MutexGuard<'_, BTreeMap<String, Led>> {
        // Replaced whole.
        self.0.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where this group is led to, if it is.
    pub fn of(&self, group: &str) -> Option<String> {
        self.groups().get(group).map(|led| led.lead.to.clone())
    }

    /// Leads these and no others; none where it was so. What was led before is [done](Self::done) with once that is in force,
    /// or [taken back](Self::back).
    pub(crate) fn put(&self, leads: &BTreeMap<String, Lead>) -> Option<Former> {
        let mut groups = self.groups();
        if groups.iter().map(|(name, led)| (name, &led.lead)).eq(leads) {
            return None;
        }
        let led = leads.iter().map(|(name, lead)| {
            let known = groups.get(name).and_then(|led| led.replica.clone());
            let replica = match &lead.share {
                Share::All => None,
                Share::Reads { .. } => {
                    self.0.writers.watch();
                    Some(known.unwrap_or_else(|| Replica::new(&self.0.writers)))
                }
            };
            (name.clone(), Led { lead: lead.clone(), replica })
        });
        let led = led.collect();
        Some(Former(std::mem::replace(&mut groups, led)))
    }

    /// Leads what was led before.
    pub(crate) fn back(&self, former: Former) {
        *self.groups() = former.0;
        self.rest();
    }

    /// Nobody is led any more as it was before.
    pub(crate) fn done(&self, former: &Former) {
        let groups = self.groups();
        for (name, Led { replica, .. }) in &former.0 {
            let is_led = groups.get(name).is_some_and(|led| led.replica.is_some());
            // Whoever still decides by what was in force asks the old side.
            replica.iter().filter(|_| !is_led).for_each(|replica| replica.close());
        }
        drop(groups);
        self.rest();
    }

    fn rest(&self) {
        if self.groups().values().all(|led| led.replica.is_none()) {
            self.0.writers.rest();
        }
    }

    /// The replica that the group's reads are led to holds all that was committed by `as_of`; good until `until`. False
    /// where none are.
    pub(crate) fn fresh(&self, group: &str, (as_of, until): (Instant, Instant)) -> bool {
        let replica = self.groups().get(group).and_then(|led| led.replica.clone());
        replica.is_some_and(|replica| {
            replica.holds(as_of, until);
            true
        })
    }

    /// Lays them over a configuration. What is retired has no way back, and a redirect asks nobody: both stay as they are.
    pub(crate) fn apply(&self, config: &mut Config) {
        let groups = self.groups();
        for route in &mut config.routes {
            let Some(led) = route.group.as_ref().and_then(|group| groups.get(group)) else {
                continue;
            };
            if route.stage == Stage::Retired || route.redirect.is_some() {
                continue;
            }
            match &led.lead.share {
                Share::All => (route.stage, route.weight) = (Stage::Live, None),
                // What takes no read has nothing to be led.
                Share::Reads { .. }
                    if !route.method.is_empty() && !route.method.iter().any(is_read) =>
                {
                    continue;
                }
                Share::Reads { weight, mark: (name, value) } => {
                    (route.stage, route.weight) = (Stage::Canary, Some(*weight));
                    route.fallback = Some(FallbackPart::Word("monolith".to_owned()));
                    route.request_headers.set.insert(name.clone(), value.clone());
                }
            }
            route.to = Some(led.lead.to.clone());
        }
    }

    /// Gives the routes of a configuration that they were laid over what is known of their replicas.
    pub(crate) fn bind(&self, snapshot: &mut Snapshot) {
        let groups = self.groups();
        snapshot.writers = Arc::clone(&self.0.writers);
        if groups.values().all(|led| led.replica.is_none()) {
            return;
        }
        let mut routes = snapshot.routes.to_vec();
        let mut identities: BTreeSet<Vec<KeySource>> = BTreeSet::new();
        for route in routes.iter_mut().filter(|route| route.stage == Stage::Canary) {
            let led = route.group.as_deref().and_then(|group| groups.get(group));
            route.replica = led.and_then(|led| led.replica.clone());
            if route.replica.is_some() {
                identities.insert(route.sticky.sources.to_vec());
            }
        }
        snapshot.routes = routes.into();
        snapshot.identities = identities.into_iter().map(Into::into).collect();
    }
}

fn is_read(method: &String) -> bool {
    method == "GET" || method == "HEAD"
}
