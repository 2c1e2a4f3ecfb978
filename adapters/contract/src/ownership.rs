//! Whether this deployment owns a module now: what background workers watch.

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
