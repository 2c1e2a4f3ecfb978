//! A carve: one move of one module, from the wish to its end.

use kernel_api::{Id, PageRequest, Text, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{Address, Database, Deployment, Module};

/// The most steps in which reads may move ahead.
pub const READS_MAX: usize = 10;

/// A wish to move a module. Towards [`MONOLITH`](crate::Name::MONOLITH) it is a merge: the same move, the sides swapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// The new carve's id, given by the caller.
    pub carve: Id<Carve>,
    /// What moves.
    pub module: Module,
    /// The deployment that shall own it.
    pub to: Deployment,
    /// The internal address of a process of that deployment that runs already; none: one is started, or it is the
    /// monolith.
    #[serde(default)]
    pub url: Option<Address>,
    /// Where the data shall be; none: where the deployment keeps it by itself.
    #[serde(default)]
    pub database: Option<Database>,
    /// How to go about it.
    #[serde(default)]
    pub plan: Plan,
    /// Who wants it, for the certificate.
    pub who: Text<100>,
    /// Why, for the certificate.
    pub reason: Text<200>,
}

/// How to go about a carve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// How long both sides are kept equal after the switch before it completes by itself; none: until somebody says so.
    pub observe_s: Option<u32>,
    /// Reads move ahead by these percentages, which rise; at most [`READS_MAX`]. Needs a proxy in front of the source: where
    /// there is none they stay, and the journal says so.
    pub reads: Vec<Percent>,
    /// How long each of them lasts.
    pub reads_each_s: u32,
    /// The most rows copied in a second; none: as fast as it goes.
    pub copy_rows_per_s: Option<u32>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { observe_s: None, reads: Vec::new(), reads_each_s: 30, copy_rows_per_s: None }
    }
}

/// 1 to 100 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Percent(u8);

impl Percent {
    /// This many, when it is 1 to 100.
    pub fn new(percent: u8) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}
impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = u8::deserialize(deserializer)?;
        Self::new(percent).ok_or_else(|| de::Error::custom("a percentage is 1 to 100"))
    }
}
impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 100 })
    }
}

/// Which way a move goes now.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// From `from` to `to`.
    There,
    /// It was reversed: from `to` to `from`, by the same steps.
    Back,
}

/// Where a carve stands. The step is written down before its work begins.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is wished. Where both sides' data is, is found out.
    Plan,
    /// Both directions are checked: what stands in the way is named, and ends it.
    Preflight,
    /// The target's tables are made, and sealed.
    Prepare,
    /// A process of the target is made ready.
    Host,
    /// What changes at the source is written down from here on.
    Capture,
    /// The rows are copied.
    Copy,
    /// What changed is followed until little is left.
    CatchUp,
    /// Both sides are compared.
    Verify,
    /// Reads move ahead, by percentages.
    SwitchReads,
    /// It follows closely and waits for the moment to switch.
    Approach,
    /// The proxy parks writes and the gates close.
    Hold,
    /// The source is fenced, followed to the end and given up, and the target opened. Not written by itself: that would
    /// be in the pause, and whoever finds [`Hold`](Self::Hold) asks the rows, which tell.
    Fence,
    /// It is not known whether the fence came about: the rows are asked.
    Ask,
    /// The switch did not come about: gates and proxy go on as before.
    Unhold,
    /// The source is given up and the target not open yet: it is opened.
    Flip,
    /// Placement says who owns it.
    Record,
    /// Every process learns it, the gates open, the proxy goes on.
    Release,
    /// The old side follows the new one, and both are watched.
    Observe,
    /// What the carve made is removed.
    Complete,
    /// It is given up before the switch: what it made is removed.
    Cancel,
    /// It is over; how, the outcome says.
    Ended,
}

impl Step {
    /// All of them, in their usual order.
    pub const ALL: [Self; 21] = [
        Self::Plan,
        Self::Preflight,
        Self::Prepare,
        Self::Host,
        Self::Capture,
        Self::Copy,
        Self::CatchUp,
        Self::Verify,
        Self::SwitchReads,
        Self::Approach,
        Self::Hold,
        Self::Fence,
        Self::Ask,
        Self::Unhold,
        Self::Flip,
        Self::Record,
        Self::Release,
        Self::Observe,
        Self::Complete,
        Self::Cancel,
        Self::Ended,
    ];

    /// The word for it, in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Preflight => "preflight",
            Self::Prepare => "prepare",
            Self::Host => "host",
            Self::Capture => "capture",
            Self::Copy => "copy",
            Self::CatchUp => "catch_up",
            Self::Verify => "verify",
            Self::SwitchReads => "switch_reads",
            Self::Approach => "approach",
            Self::Hold => "hold",
            Self::Fence => "fence",
            Self::Ask => "ask",
            Self::Unhold => "unhold",
            Self::Flip => "flip",
            Self::Record => "record",
            Self::Release => "release",
            Self::Observe => "observe",
            Self::Complete => "complete",
            Self::Cancel => "cancel",
            Self::Ended => "ended",
        }
    }
}

/// How a carve ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The module is where it was to be.
    Completed,
    /// It was there, and was brought back.
    Reversed,
    /// It never left: somebody gave it up.
    Cancelled,
    /// It never left: something stood in the way, or failed too often.
    Refused,
}

/// What an operator may want of a carve under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Go no further than it is. What was copied is kept fresh; a switch under way is brought to its end first.
    Pause,
    /// Go on.
    Resume,
    /// After the switch: bring the module back, by the same steps.
    Reverse,
    /// After the switch: give up the way back and clean up.
    Complete,
    /// Before the switch: give it up and clean up. While it goes back: stay instead.
    Cancel,
}

/// A wish about a carve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Steer {
    /// Which.
    pub carve: Id<Carve>,
    /// What is wanted.
    pub wish: Wish,
}

/// One carve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Carve {
    /// Its id.
    pub id: Id<Carve>,
    /// What moves.
    pub module: Module,
    /// From where.
    pub from: Deployment,
    /// To where.
    pub to: Deployment,
    /// How to go about it.
    pub plan: Plan,
    /// Who wanted it.
    pub who: Text<100>,
    /// Why.
    pub reason: Text<200>,
    /// Which way it goes now.
    pub leg: Leg,
    /// Where it stands.
    pub step: Step,
    /// It goes no further until it is resumed.
    pub paused: bool,
    /// What was asked of it and is not done yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What it does or waits for, in a line, for people.
    pub says: String,
    /// How far it is.
    pub progress: Progress,
    /// How often the switch was tried.
    pub switch_tries: u32,
    /// When it goes on, where it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// When it was wished.
    pub begun_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// How far a carve is, measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Progress {
    /// The rows to copy, as counted before.
    pub rows: u64,
    /// The rows copied.
    pub rows_copied: u64,
    /// Of late, a second.
    pub rows_per_s: u64,
    /// Changed rows that are not followed yet.
    pub lag_rows: u64,
    /// Changed rows that were followed of late, a second.
    pub followed_per_s: u64,
    /// Changed rows that came of late, a second.
    pub changed_per_s: u64,
    /// When the step under way is done at this rate; none where that is not known or never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<u64>,
    /// Reads that moved ahead, where any did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Ahead>,
}

/// Reads that move ahead of the switch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ahead {
    /// So many of 100 clients have their reads led to the target now; 0 before and after.
    pub percent: u8,
    /// How many reads the target has answered from its copy.
    pub answered: u64,
}

impl Ahead {
    /// None are led any more.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { percent: 0, ..self }
    }
}

/// Which carves are wanted; the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Carves {
    /// Only of this module.
    pub module: Option<Module>,
    /// Which page.
    pub page: PageRequest,
}

/// A line of a carve's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// 1, 2, 3 …
    pub number: u64,
    /// Which way.
    pub leg: Leg,
    /// The step that begins.
    pub step: Step,
    /// Why: how the step before ended, for people.
    pub says: String,
    /// When.
    pub at: Timestamp,
}

/// Which entries of a journal are wanted; the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    /// Of which carve.
    pub carve: Id<Carve>,
    /// Which page.
    #[serde(default)]
    pub page: PageRequest,
}

/// Why a carve did not begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum BeginError {
    /// No process with this module has ever told of itself.
    #[error("no process has told of a module of this name")]
    UnknownModule,
    /// It is there already.
    #[error("{owner} owns the module already")]
    ThereAlready {
        /// Who owns it.
        owner: Deployment,
    },
    /// Another carve moves the module.
    #[error("carve {carve} moves the module: let it end first, or complete, reverse or cancel it")]
    Moving {
        /// Which.
        carve: Id<Carve>,
    },
    /// The carve's id was used before, for another wish.
    #[error("the carve's id was used before")]
    IdTaken,
    /// Placement itself stays where it is.
    #[error("placement is where carves are steered from, and stays")]
    Placement,
    /// The plan has too many steps for reads.
    #[error("reads move ahead in at most {READS_MAX} steps")]
    TooManyReads,
    /// The plan would lead reads back and forth.
    #[error("reads move ahead by percentages that rise")]
    ReadsFall,
}

/// Why a wish about a carve was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum SteerError {
    /// No carve has this id.
    #[error("no carve has this id")]
    NotFound,
    /// It is over.
    #[error("the carve is over")]
    Ended,
    /// Only before the switch.
    #[error("too late: once the module has switched sides it can be reversed until it completes")]
    TooLate,
    /// Only after the switch.
    #[error("the module has not switched sides yet: wait, or cancel it instead")]
    TooEarly,
}

/// Why there is no carve to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum CarveError {
    /// No carve has this id.
    #[error("no carve has this id")]
    NotFound,
}

/// Why there is no page to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum PageError {
    /// The cursor is none that was given out.
    #[error("the cursor is none that was given out")]
    BadCursor,
}

/// Why there is no journal to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum JournalError {
    /// No carve has this id.
    #[error("no carve has this id")]
    NotFound,
    /// The cursor is none that was given out.
    #[error("the cursor is none that was given out")]
    BadCursor,
}
