//! Where modules are, and the processes that have them.

use kernel_api::{Id, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Address, Carve, Deployment, Module, Step};

/// The most modules that a process may say it has.
pub const MODULES_MAX: usize = 64;

/// Where every module is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// One row a module, by name.
    pub placed: Vec<Placed>,
}

/// Where one module is: `(module, epoch, owner)` and how to reach the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placed {
    /// The module.
    pub module: Module,
    /// It rises whenever the owner changes. Who knows a higher one knows better.
    pub epoch: u64,
    /// The deployment whose processes may write.
    pub owner: Deployment,
    /// The internal address of a process of the owner that has the module, where one has told of itself of late. It may
    /// change while the epoch stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Address>,
    /// The public address of the same process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<Address>,
    /// The carve that moves it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Moving>,
}

/// A move under way, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moving {
    /// Which.
    pub carve: Id<Carve>,
    /// From where.
    pub from: Deployment,
    /// To where.
    pub to: Deployment,
    /// How far it is.
    pub step: Step,
}

/// A process that told of itself of late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its own id, new at each start.
    pub id: Id<Process>,
    /// The deployment that it is part of.
    pub deployment: Deployment,
    /// Where it answers other processes: RPC, feeds and control.
    pub url: Address,
    /// Where it answers everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<Address>,
    /// The modules whose data it has open, as owner or as standby. It calls others too: every process has a seat for
    /// every module.
    pub modules: Vec<Housed>,
    /// When it last told.
    pub seen_at: Timestamp,
}

/// A module whose data a process has open, and what the fence row of that data says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Housed {
    /// The module.
    pub module: Module,
    /// The epoch in the row.
    pub epoch: u64,
    /// The owner in the row as it stands there: empty where the module was never moved, `carve:…` while it is filled.
    pub owner: String,
}

/// A process tells that it is there. It does so every second: it is a heartbeat, and its key is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Announce {
    /// Its own id, new at each start.
    pub process: Id<Process>,
    /// The deployment that it is part of.
    pub deployment: Deployment,
    /// Where it answers other processes.
    pub url: Address,
    /// Where it answers everybody.
    #[serde(default)]
    pub public_url: Option<Address>,
    /// The modules whose data it has open; at most [`MODULES_MAX`].
    pub modules: Vec<Housed>,
    /// It ends now and need not be waited for.
    #[serde(default)]
    pub leaving: bool,
}

/// Why a process was not taken note of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum AnnounceError {
    /// It names more modules than a process can have.
    #[error("a process has at most {MODULES_MAX} modules")]
    TooManyModules,
}
