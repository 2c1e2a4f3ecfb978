//! Groups of routes that the program which the proxy is a part of leads to their new side, over what the files say.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Config;
use crate::route::Stage;

/// Where each group is led to. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Leads(Arc<Mutex<BTreeMap<String, String>>>);

impl Leads {
    fn groups(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where this group is led to, if it is.
    pub fn of(&self, group: &str) -> Option<String> {
        self.groups().get(group).cloned()
    }

    /// Leads these and no others; says which were led before.
    pub(crate) fn put(&self, groups: BTreeMap<String, String>) -> BTreeMap<String, String> {
        std::mem::replace(&mut self.groups(), groups)
    }

    /// Lays them over a configuration. What is retired has no way back, and a redirect asks nobody: both stay as they are.
    pub(crate) fn apply(&self, config: &mut Config) {
        let groups = self.groups();
        for route in &mut config.routes {
            let led = route.group.as_ref().and_then(|group| groups.get(group));
            if let Some(to) = led
                && route.stage != Stage::Retired
                && route.redirect.is_none()
            {
                (route.stage, route.weight, route.to) = (Stage::Live, None, Some(to.clone()));
            }
        }
    }
}
