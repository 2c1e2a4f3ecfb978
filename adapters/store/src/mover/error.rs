//! What can go wrong with a move, by what the caller does about it.

use serde::{Deserialize, Serialize};

/// A move that could not go on. Unless a variant says otherwise the same call may be made again, by any process, and
/// goes on where this one stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum MoveError {
    /// A database does not answer, or the connection to it broke: again, later.
    #[error("the {side} database is away: {what}")]
    Away {
        /// Which of the two.
        side: SideName,
        /// What it said.
        what: String,
    },
    /// A lock was not to be had within its bound: again, later.
    #[error("the {side} database is busy: {what}")]
    Busy {
        /// Which of the two.
        side: SideName,
        /// What was waited for.
        what: String,
    },
    /// No room: again, when somebody has made some.
    #[error("the disk of the {side} database is full: {what}")]
    Full {
        /// Which of the two.
        side: SideName,
        /// What it said.
        what: String,
    },
    /// What [`readiness`](super::Mover::readiness) names stands in the way.
    #[error("the module cannot be moved: {}", .0.join("; "))]
    Blocked(Vec<String>),
    /// The target holds data that is neither this move's nor given up.
    #[error(
        "the target is not empty, and may be another shop's: {0}; empty it, or take another database"
    )]
    NotEmpty(String),
    /// The call does not fit the state of the move: a step before it is missing, or the other side leads by now.
    #[error("{0}")]
    OutOfOrder(String),
    /// The two sides differ where they must not.
    #[error("the sides differ: {0}")]
    Diverged(String),
    /// The data or the tables are not what the move can carry.
    #[error("{0}")]
    Unfit(String),
    /// The database refused a statement: a defect of ours, or of the database's set-up.
    #[error("the {side} database failed: {what}")]
    Failed {
        /// Which of the two.
        side: SideName,
        /// What it said.
        what: String,
    },
}

/// One of the two databases of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SideName {
    /// Where the data comes from.
    Source,
    /// Where it goes to.
    Target,
}

impl std::fmt::Display for SideName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// A switch that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SwitchError {
    /// It gave up before the point of no return, for a reason that passes: nothing is changed, try again later.
    #[error("not now: {0}")]
    NotNow(String),
    /// It failed before the point of no return: nothing is changed.
    #[error(transparent)]
    Failed(#[from] MoveError),
    /// It failed at the point of no return or right after it. The source's row tells: where it names the new owner,
    /// [`flip`](super::Mover::flip) brings the switch to its end; where it does not, nothing is changed. Until then
    /// nobody, or only the old owner, writes.
    #[error("ask the fence rows how it ended: {0}")]
    Doubtful(MoveError),
}
