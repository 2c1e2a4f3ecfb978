//! What placement asks of its surroundings, and the app implements: the proxy, the seats of every process, the
//! processes of the target, the books, and what is known of real traffic.
//!
//! Every method may be called again after a crash, by another process, with the same arguments: it is idempotent. Each
//! is given a bound of time by its caller and may be dropped at it; what it had begun then ends or is undone by itself.
//! None of them decides anything: the fence rows of the two databases do.

use std::time::{Duration, Instant};

use contract::async_trait;
use kernel_api::Id;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Blocker, CallCount, Carve, Database, Deployment, DryRun, Invariant, Module, Percent,
    Placed, Process, Waits,
};

/// The proxy in front, where there is one.
#[async_trait]
pub trait Traffic: Send + Sync + 'static {
    /// Is there a proxy whose routes of this module can be steered? Where not, the other methods do nothing and succeed.
    async fn is_steerable(&self, module: &Module) -> bool;

    /// Writes on the module's routes wait from now on, bounded in count, bytes and time; after `ttl` they go on by
    /// themselves.
    async fn park(&self, module: &Module, carve: Id<Carve>, ttl: Duration)
    -> Result<(), PortError>;

    /// What was parked goes on, and nothing is parked any more. How long it was held.
    async fn resume(&self, module: &Module, carve: Id<Carve>) -> Result<Waits, PortError>;

    /// Where the module's routes lead. During a carve nobody else changes that.
    async fn stage(
        &self,
        module: &Module,
        carve: Id<Carve>,
        stage: &Stage,
    ) -> Result<(), PortError>;

    /// The target's copy, to which a part of the reads is led, holds all that was committed by `as_of`. That is good until
    /// `until`: after it, and before it is said for the first time, reads go to the owner by themselves.
    async fn holds(
        &self,
        module: &Module,
        carve: Id<Carve>,
        as_of: Instant,
        until: Instant,
    ) -> Result<(), PortError>;

    /// What the proxy has counted on the module's routes so far.
    async fn counted(&self, module: &Module) -> Result<Counted, PortError>;
}

/// Where the proxy leads a module's routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// To the monolith, and the carve has no say any more.
    Off,
    /// Reads: this part of them to the address, the rest to the monolith.
    Canary {
        /// This part.
        percent: Percent,
        /// The public address of the deployment that is filled.
        to: Address,
    },
    /// All to the address, the public one of the owner.
    Live {
        /// There.
        to: Address,
    },
}

/// What a proxy has counted since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Requests.
    pub requests: u64,
    /// Those that ended in an error of the server's (5xx) or in none.
    pub errors: u64,
}

/// The seats of a module in every process that told of itself of late. Holding is a courtesy to callers, not what keeps
/// data right: a process that cannot be reached meets the fence row instead, and heals itself.
#[async_trait]
pub trait Seats: Send + Sync + 'static {
    /// The process opens what it needs to have the module, which it may be about to get: connections, above all. May be asked
    /// of a process that has it.
    async fn warm(&self, at: &Process, module: &Module) -> Result<(), SeatError>;

    /// Closes the process's gate for the module and waits for what is under way. After `ttl` it opens by itself.
    async fn hold(&self, at: &Process, hold: &Hold) -> Result<InFlight, SeatError>;

    /// The process swaps its seat to what it is told, where that is newer than what it knows, and opens the gate:
    /// local where its deployment owns the module, else remote at the owner's address. How long callers were held.
    async fn settle(&self, at: &Process, placed: &Placed) -> Result<Waits, SeatError>;

    /// Opens the gate that this carve closed; nothing is swapped. How long callers were held.
    async fn release(
        &self,
        at: &Process,
        module: &Module,
        carve: Id<Carve>,
    ) -> Result<Waits, SeatError>;

    /// Lends the process the copy of the module's data that it has for this carve: it answers from it what the proxy leads
    /// there, for so long from now on. What it cannot answer, or not any more, it asks the owner. Taken back is for good.
    async fn lend(&self, at: &Process, wish: &Lend) -> Result<Lent, SeatError>;

    /// The seats as they are.
    async fn state(&self, at: &Process) -> Result<Vec<SeatState>, SeatError>;
}

/// A wish to close a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Of which module.
    pub module: Module,
    /// For which carve.
    pub carve: Id<Carve>,
    /// It opens by itself after this long, in milliseconds.
    pub ttl_ms: u64,
    /// What is under way is waited for this long at most, in milliseconds.
    pub drain_ms: u64,
}

/// A wish that a process answer reads from its copy of a module's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lend {
    /// Of which module.
    pub module: Module,
    /// Filled for which carve.
    pub carve: Id<Carve>,
    /// For so long from now on, in milliseconds; 0 takes it back.
    pub ttl_ms: u64,
}

/// A copy that is lent, or was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// How many reads this process has answered from it.
    pub answered: u64,
}

/// How many commands were still under way at a closed gate when the wait was over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight(pub u32);

/// One process's seat for one module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatState {
    /// The module.
    pub module: Module,
    /// The epoch that the process knows.
    pub epoch: u64,
    /// The owner that it knows.
    pub owner: Deployment,
    /// It answers by itself.
    pub is_local: bool,
    /// The carve that holds its gate closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Id<Carve>>,
    /// Commands under way.
    pub in_flight: u32,
    /// Commands that the gate holds.
    pub parked: u32,
}

/// The processes of the deployment that a module moves to, and where data is.
#[async_trait]
pub trait Hosts: Send + Sync + 'static {
    /// Where the module's data is on each side: `from`, then `to`.
    async fn locations(&self, sides: &Sides) -> Result<(Database, Database), HostError>;

    /// Makes sure that a process of the deployment runs and has the module's data open, where the carve moves it, as
    /// standby and under the same contract.
    /// With an address it is the one that answers there; without, one is started and waited for, unless the deployment
    /// has processes already. The tables are there and sealed by the time it is asked.
    async fn ready(&self, host: &Host) -> Result<Hosted, HostError>;

    /// Ends what [`ready`](Self::ready) started for the module, where it started anything: the deployment no longer
    /// has it.
    async fn stop(&self, host: &Host) -> Result<(), HostError>;
}

/// Both sides of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// What moves.
    pub module: Module,
    /// From where.
    pub from: Site,
    /// To where.
    pub to: Site,
}

/// What was once said of a module in a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The deployment.
    pub deployment: Deployment,
    /// The internal address of a process of it.
    pub url: Option<Address>,
    /// Where the module's data is.
    pub database: Option<Database>,
}

/// A deployment that shall have a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// For which carve.
    pub carve: Id<Carve>,
    /// The module.
    pub module: Module,
    /// The deployment and what was said of it.
    pub site: Site,
    /// Where the module's data shall be in it, once that is known: a process that has it elsewhere is not the one.
    pub database: Option<Database>,
}

/// A process that has the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosted {
    /// Where it answers other processes.
    pub url: Address,
    /// Where it answers everybody.
    pub public_url: Option<Address>,
}

/// The books of a module.
#[async_trait]
pub trait Auditor: Send + Sync + 'static {
    /// Checks the module's invariants through its contract, where it is now.
    async fn audit(&self, module: &Module) -> Result<Vec<Invariant>, PortError>;
}

/// What is known of real traffic.
#[async_trait]
pub trait Surveyor: Send + Sync + 'static {
    /// What a move would mean for those who call the module and whom it calls, and what stands in its way that is not in
    /// the data: a contract that differs, a command without a key, a process that cannot be started.
    async fn survey(&self, wish: &DryRun) -> Result<Survey, PortError>;
}

/// What a move would mean for calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// What stands in the way.
    pub blockers: Vec<Blocker>,
    /// Who calls, and how often.
    pub calls: Vec<CallCount>,
    /// What a call would take longer, in microseconds.
    pub added_us: Option<u64>,
}

/// Something outside could not be asked, or did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PortError(pub String);

/// A process did not do what its seat was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeatError {
    /// It cannot be reached, or gives no answer.
    #[error("away: {0}")]
    Away(String),
    /// It has no seat for this, or will not.
    #[error("refused: {0}")]
    Refused(String),
}

/// A deployment is not ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It may be soon: it is away, or still starting.
    #[error("not ready: {0}")]
    NotReady(String),
    /// It never will be, as things are: another contract, another deployment, no such module there.
    #[error("{}", .0.detail)]
    Blocked(Blocker),
}
