//! Who reads a module's feed, and how far: what retention may not outrun.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kernel_api::Timestamp;

use crate::Reader;

/// Readers in one process's memory: far more than a deployment has, so that a peer cannot fill it with made-up names.
const READERS_MAX: usize = 1000;

/// What this process has heard from the readers of one module's feed. The retention worker writes it down from time to
/// time; what is not written down is older, and so on the safe side.
#[derive(Debug, Default)]
pub struct Readers(Mutex<BTreeMap<String, (u64, Timestamp)>>);

impl Readers {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<String, (u64, Timestamp)>> {
        // One insertion cannot be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader told how far it is. It may go back: an operator can set a cursor to an earlier position.
    pub(crate) fn see(&self, reader: &Reader, now: Timestamp) {
        let mut heard = self.heard();
        if let Some(known) = heard.get_mut(&reader.name) {
            *known = (reader.done, now);
        } else if heard.len() < READERS_MAX {
            heard.insert(reader.name.clone(), (reader.done, now));
        }
    }

    /// What was heard since the last time this was asked.
    pub(crate) fn take(&self) -> BTreeMap<String, (u64, Timestamp)> {
        std::mem::take(&mut *self.heard())
    }
}
