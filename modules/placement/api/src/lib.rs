//! What others may ask of placement: where each module is, and moving it; and the ports that it needs to do so.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may"))]

mod carve;
mod certificate;
mod event;
mod name;
mod place;
mod ports;
mod readiness;
mod waits;

pub use carve::{
    Ahead, Begin, BeginError, Carve, CarveError, Carves, Entry, Journal, JournalError, Leg,
    Outcome, PageError, Percent, Plan, Progress, READS_MAX, Steer, SteerError, Step, Wish,
};
pub use certificate::{
    Certificate, Clients, HeldReport, Invariant, Pause, SwitchReport, TableCompared,
};
pub use event::{CarveBegun, CarveEnded, Moved};
pub use name::{
    Address, AddressError, Database, DatabaseError, Deployment, Module, Name, NameError,
};
pub use place::{Announce, AnnounceError, Housed, MODULES_MAX, Moving, Placed, Process, Table};
pub use ports::{
    Auditor, Counted, Hold, Host, HostError, Hosted, Hosts, InFlight, Lend, Lent, PortError,
    SeatError, SeatState, Seats, Sides, Site, Stage, Survey, Surveyor, Traffic,
};
pub use readiness::{Blocker, CallCount, DryRun, DryRunError, Readiness, Size, TableSize};
pub use waits::Waits;

use contract::{Answer, Call, Command, Never};
use kernel_api::{Id, Page};

/// Where each module is, and moving it while it serves.
///
/// The fence row of a module's own database decides who may write; placement follows it. What is told here may
/// therefore be a moment old: whoever acts on an old epoch is refused by the database and asks again.
#[contract::contract("placement")]
pub trait Placement: Send + Sync + 'static {
    /// Where every module is.
    #[query]
    async fn placed(&self, call: &Call, nothing: ()) -> Answer<Table, Never>;

    /// The processes that told of themselves of late, by deployment.
    #[query]
    async fn processes(&self, call: &Call, nothing: ()) -> Answer<Vec<Process>, Never>;

    /// The carves, the newest first.
    #[query]
    async fn carves(&self, call: &Call, wish: Carves) -> Answer<Page<Carve>, PageError>;

    /// One carve, with how far it is.
    #[query]
    async fn carve(&self, call: &Call, id: Id<Carve>) -> Answer<Carve, CarveError>;

    /// What a carve did, step by step.
    #[query]
    async fn journal(&self, call: &Call, wish: Journal) -> Answer<Page<Entry>, JournalError>;

    /// What a carve proves; so far, while it is under way.
    #[query]
    async fn certificate(&self, call: &Call, id: Id<Carve>) -> Answer<Certificate, CarveError>;

    /// What a carve would meet. Changes nothing.
    #[query]
    async fn readiness(&self, call: &Call, wish: DryRun) -> Answer<Readiness, DryRunError>;

    /// Wishes a move. It is under way when this answers, and goes on whoever dies.
    #[command]
    async fn begin(&self, command: &Command, wish: Begin) -> Answer<Carve, BeginError>;

    /// Pauses, resumes, reverses, completes or cancels a carve. It is noted when this answers, and done soon after.
    #[command]
    async fn steer(&self, command: &Command, wish: Steer) -> Answer<Carve, SteerError>;

    /// A process tells that it is there, and learns where every module is. The same again is the next heartbeat: the
    /// key is not kept.
    #[command]
    async fn announce(&self, command: &Command, wish: Announce) -> Answer<Table, AnnounceError>;
}

#[cfg(test)]
mod tests;
