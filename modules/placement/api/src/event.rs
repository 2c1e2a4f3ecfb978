//! The facts that placement tells others.

use contract::Event;
use kernel_api::{Id, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Carve, Deployment, Module, Outcome};

/// A module is going to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CarveBegun {
    /// Which carve.
    pub carve: Id<Carve>,
    /// What moves.
    pub module: Module,
    /// From where.
    pub from: Deployment,
    /// To where.
    pub to: Deployment,
    /// Who wants it.
    pub who: Text<100>,
    /// Why.
    pub reason: Text<200>,
}

/// A module has another owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    /// What moved.
    pub module: Module,
    /// The epoch that began.
    pub epoch: u64,
    /// Who owns it now.
    pub owner: Deployment,
}

/// A carve is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CarveEnded {
    /// Which.
    pub carve: Id<Carve>,
    /// What moved, or did not.
    pub module: Module,
    /// How it ended.
    pub outcome: Outcome,
    /// Who owns the module now.
    pub owner: Deployment,
}

impl Event for CarveBegun {
    const NAME: &'static str = "placement.carve.begun";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.module.to_string()
    }
}
impl Event for Moved {
    const NAME: &'static str = "placement.module.moved";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.module.to_string()
    }
}
impl Event for CarveEnded {
    const NAME: &'static str = "placement.carve.ended";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.module.to_string()
    }
}
