//! The move of one module's data, as the coordinator sees it: what it may ask, and how that may fail.
//!
//! Every call may be made again, by another process, and goes on where the one before stopped. It may also still go on
//! after its caller has given up on it or died: whoever writes to a target has its turn there before it looks at the
//! source, and no switch comes about without this carve's capture and the expected epoch. That is what makes a second
//! coordinator harmless.

mod stores;

pub(crate) use stores::of_stores;

use std::{sync::Arc, time::Duration};

use contract::async_trait;
use kernel_api::Id;
use placement_api::{Blocker, Carve, Database, Leg, Module, Pause, Size, TableCompared};

use crate::domain::{At, Seen};

/// Which move it is.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub carve: Id<Carve>,
    pub module: Module,
    pub from: Database,
    pub to: Database,
    /// The rows by which `to` says that earlier carves have moved the module away from there.
    pub given_up: Vec<At>,
}

/// Makes the hands of a move.
pub(crate) trait Movements: Send + Sync + 'static {
    /// The hands of this move; it connects to nothing yet.
    fn of(&self, which: &Move) -> Result<Arc<dyn Movement>, Trouble>;
}

/// The hands of one move. `leg` says which side is the source.
#[async_trait]
pub(crate) trait Movement: Send + Sync + 'static {
    /// What stands in the way, in both directions, and how much there is. Changes nothing.
    async fn readiness(&self) -> Result<(Vec<Blocker>, Size), Trouble>;

    /// Makes the target's tables and seals them: nobody owns them. Refuses data that is not known to be nobody's.
    async fn prepare(&self) -> Result<(), Trouble>;

    /// Has the source write down what changes.
    async fn capture(&self) -> Result<(), Trouble>;

    /// Copies rows for about `slice`.
    async fn copy(&self, slice: Duration, rows_per_s: Option<u32>) -> Result<Copied, Trouble>;

    /// Follows one batch of what changed at the source. [`Trouble::Unknown`] when the source's row is no longer the
    /// owner's of `epoch`.
    async fn follow(&self, leg: Leg, epoch: u64) -> Result<Followed, Trouble>;

    /// Compares both sides, table by table.
    async fn compare(&self, leg: Leg) -> Result<Vec<TableCompared>, Trouble>;

    /// What of a switch need not be done while callers are held; a switch soon after has little left to do.
    async fn approach(&self, leg: Leg, wish: &Switch) -> Result<(), Trouble>;

    /// Fences the source, follows to the end, gives it up, opens the target, which writes down what changes from then on.
    /// Every other trouble than
    /// [`Trouble::Unknown`] is certain to have changed nothing.
    async fn switch(&self, leg: Leg, wish: &Switch) -> Result<Switched, Trouble>;

    /// Opens the target of a source that was given up.
    async fn flip(&self, leg: Leg, wish: &Switch) -> Result<(), Trouble>;

    /// What the fence rows say, of `from` and of `to`; none for one that cannot be read now.
    async fn standing(&self) -> (Option<(u64, String)>, Option<(u64, String)>);

    /// Takes the capture away in the lock that a switch needs, if the source's row is still the owner's of `epoch`:
    /// after that no switch comes about. [`Trouble::Unknown`] when one has.
    async fn withdraw(&self, epoch: u64) -> Result<(), Trouble>;

    /// Removes all that the move made on both sides; what could not be removed, by name.
    async fn remove(&self) -> Result<Vec<String>, Trouble>;
}

/// A slice of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copied {
    pub rows: u64,
    pub finished: bool,
}

/// A batch of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Followed {
    pub rows: u64,
    /// What is left.
    pub left: u64,
}

/// A wish to switch sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Switch {
    /// The source's epoch; the switch makes it one more.
    pub epoch: u64,
    /// Who owns it then.
    pub owner: String,
    /// Not when more than this is left to follow.
    pub lag_max: u64,
    /// The fence is waited for this long.
    pub lock_within: Duration,
    /// All of it takes no longer than this, or it is not begun.
    pub within: Duration,
}

/// A switch that came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Switched {
    /// Its part of the pause.
    pub pause: Pause,
    /// What was left to follow when the fence was had.
    pub lag_rows: u64,
}

/// Why a move could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Something that passes: a lock not had, too much to follow.
    NotNow(String),
    /// Something that does not pass by itself.
    Blocked(String),
    /// A database is away or refuses; what was asked is not done, or may be done again.
    Failed(String),
    /// The row is not what it should be, or the commit's answer was lost.
    Unknown(String),
}

impl Trouble {
    /// What the machine makes of it, and what people are told.
    pub fn seen(self) -> (Seen, String) {
        match self {
            Self::NotNow(why) => (Seen::NotNow, why),
            Self::Blocked(why) => (Seen::Blocked, why),
            Self::Failed(why) => (Seen::Failed, why),
            Self::Unknown(why) => (Seen::Unknown, why),
        }
    }
}
