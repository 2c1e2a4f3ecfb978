//! Whether this deployment owns a module now: what background workers watch, and what raises doubt about it.

use std::sync::Arc;

use tokio::sync::Notify;

/// Who owns a module, as this process knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// This deployment, since this epoch.
    Here {
        /// The epoch: rises whenever the owner changes.
        epoch: u64,
    },
    /// Another deployment.
    Elsewhere {
        /// The epoch.
        epoch: u64,
        /// The owner's name.
        owner: String,
    },
}

impl Ownership {
    /// The epoch.
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Here { epoch } | Self::Elsewhere { epoch, .. } => *epoch,
        }
    }

    /// Does this deployment own the module?
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Here { .. })
    }
}

/// Doubt about who owns what: raised by whoever is told `Moved`, heard by whoever can ask. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Doubt(Arc<Notify>);

impl Doubt {
    /// Somebody was told `Moved`. However often it is raised before it is heard, it is heard once.
    pub fn raise(&self) {
        self.0.notify_one();
    }

    /// Comes back when it is raised, or was since the last time. One hears it at a time.
    pub async fn raised(&self) {
        self.0.notified().await;
    }
}
