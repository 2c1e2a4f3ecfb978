//! What a carve would meet, before it begins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Address, Database, Deployment, Module, Percent};

/// A question before a carve: nothing is changed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    /// What would move.
    pub module: Module,
    /// To where.
    pub to: Deployment,
    /// The internal address of a process of that deployment that runs already.
    #[serde(default)]
    pub url: Option<Address>,
    /// Where the data would be.
    #[serde(default)]
    pub database: Option<Database>,
    /// By which percentages reads would move ahead.
    #[serde(default)]
    pub reads: Vec<Percent>,
}

/// What a carve would meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// What would move.
    pub module: Module,
    /// From where.
    pub from: Deployment,
    /// To where.
    pub to: Deployment,
    /// Nothing stands in the way.
    pub ready: bool,
    /// What stands in the way.
    pub blockers: Vec<Blocker>,
    /// What would move.
    pub size: Size,
    /// How often it is called now, by caller.
    pub calls: Vec<CallCount>,
    /// What a call would take longer from another process, in microseconds: measured against its process where there is
    /// one, or on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_us: Option<u64>,
    /// How long the copy would take at the rate of carves on machines like this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_s: Option<u64>,
}

/// One thing that stands in the way of a carve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocker {
    /// What kind: `no_primary_key`, `no_room`, `no_right`, `version_skew`, `contract_differs`, `not_empty` …
    pub kind: String,
    /// What it is about: a table, a side, a method.
    pub about: String,
    /// What it is and what to do, in a line.
    pub detail: String,
}

/// How large a module's data is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Size {
    /// Its tables, by name, with their rows.
    pub tables: Vec<TableSize>,
    /// Rows in all.
    pub rows: u64,
    /// Bytes in all, as the database counts them.
    pub bytes: u64,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableSize {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
}

/// How often one module calls another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallCount {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: Module,
    /// How often so far.
    pub calls: u64,
    /// How often a second, since the process began.
    pub per_s: u64,
    /// How long such a call takes now on average, in microseconds.
    pub mean_us: u64,
}

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum DryRunError {
    /// No process with this module has ever told of itself.
    #[error("no process has told of a module of this name")]
    UnknownModule,
    /// It is there already.
    #[error("{owner} owns the module already")]
    ThereAlready {
        /// Who owns it.
        owner: Deployment,
    },
    /// Placement itself stays where it is.
    #[error("placement is where carves are steered from, and stays")]
    Placement,
}
