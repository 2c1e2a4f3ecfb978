//! What a carve proves when it ends.

use kernel_api::{Id, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Carve, Deployment, Leg, Module, Outcome, Plan};

/// What happened, measured. While the carve is under way it says what is known so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// Of which carve.
    pub carve: Id<Carve>,
    /// What moved.
    pub module: Module,
    /// From where.
    pub from: Deployment,
    /// To where.
    pub to: Deployment,
    /// Who wanted it.
    pub who: Text<100>,
    /// Why.
    pub reason: Text<200>,
    /// How it was gone about.
    pub plan: Plan,
    /// When it was wished.
    pub begun_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Nothing was lost, differs or is left over, and no client saw an error. False with `faults` naming why.
    pub clean: bool,
    /// What is not as it should be, in lines for people.
    pub faults: Vec<String>,
    /// The switches: one, or two where it was reversed.
    pub switches: Vec<SwitchReport>,
    /// What clients saw of it.
    pub clients: Clients,
    /// Rows that were copied.
    pub rows_copied: u64,
    /// Changed rows that were followed.
    pub rows_followed: u64,
    /// The comparison of both sides, table by table: the last one.
    pub compared: Vec<TableCompared>,
    /// What the module's own invariants say, after the last switch.
    pub invariants: Vec<Invariant>,
    /// What the carve made and could not remove.
    pub leftovers: Vec<String>,
    /// SHA-256, in hex, of the configuration under which it ran.
    pub configuration_sha256: String,
    /// How often the coordinator began anew where another had ended.
    pub restarts: u32,
}

/// One switch of sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SwitchReport {
    /// Which way.
    pub leg: Leg,
    /// The epoch that began.
    pub epoch: u64,
    /// When it was tried at first, and when it came about.
    pub at: Timestamp,
    /// How often it was tried; all but the last gave up before the fence.
    pub tries: u32,
    /// Changed rows that were not followed yet when the gates closed.
    pub lag_rows: u64,
    /// How long the module's writes stood still, and where the time went.
    pub pause: Pause,
    /// How long callers were held.
    pub held: HeldReport,
    /// It was found done by a coordinator that came after one that died: its times are not known.
    pub recovered: bool,
}

/// How long a module's writes stood still, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Pause {
    /// From the first closed gate to the last open one.
    pub total_us: u64,
    /// The gates close and what is under way ends.
    pub hold_us: u64,
    /// What came since it was approached is followed, until little is left.
    pub near_us: u64,
    /// The source's fence is waited for.
    pub lock_us: u64,
    /// What is left is followed.
    pub follow_us: u64,
    /// The source is given up.
    pub commit_us: u64,
    /// The target is opened.
    pub flip_us: u64,
    /// Placement is told.
    pub record_us: u64,
    /// Every process learns it.
    pub release_us: u64,
}

/// How long callers were held by a switch, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HeldReport {
    /// How many were.
    pub calls: u64,
    /// Half of them at most this long.
    pub p50_us: u64,
    /// 99 of 100 at most this long.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// What clients saw of a carve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Clients {
    /// There is a proxy that counts; without one both figures are zero and say nothing.
    pub counted: bool,
    /// Requests to the module's routes during the carve.
    pub requests: u64,
    /// Those that ended in an error of the server's (5xx) or in none.
    pub errors: u64,
}

/// One table on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableCompared {
    /// Its name.
    pub table: String,
    /// The rows compared.
    pub rows: u64,
    /// They are equal.
    pub equal: bool,
}

/// One invariant of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invariant {
    /// What it says.
    pub name: String,
    /// How many things were looked at.
    pub checked: u64,
    /// What breaks it, in lines for people; the first few.
    pub broken: Vec<String>,
}
