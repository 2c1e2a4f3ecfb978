//! Stand-ins for what stands around placement: two databases, the processes, the proxy, the books.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use contract::async_trait;
use kernel_api::Id;
use placement_api::{
    Auditor, Blocker, Carve, Counted, Database, DryRun, Hold, Host, HostError, Hosted, Hosts,
    InFlight, Invariant, Leg, Lend, Lent, Module, Placed, PortError, Process, SeatError, SeatState,
    Seats, Sides, Size, Stage, Survey, Surveyor, TableCompared, Traffic, Waits,
};

use crate::{
    desk::Ports,
    movement::{Copied, Followed, Move, Movement, Movements, Switch, Switched, Trouble},
};

/// What the stand-ins are told and do.
#[derive(Default)]
pub(super) struct Script {
    /// The rows of both databases: epoch and owner.
    pub from: (u64, String),
    pub to: (u64, String),
    pub captured: bool,
    /// What happened, in words.
    pub done: Vec<String>,
    /// What stands in the way.
    pub blockers: Vec<Blocker>,
    /// How often each of these still fails.
    pub switch_not_now: u32,
    pub switch_lost: u32,
    pub copy_fails: u32,
    /// Both sides differ.
    pub differs: bool,
    /// The target's database is away.
    pub away: bool,
    /// The target's process does not answer.
    pub deaf: bool,
    /// The copy never ends.
    pub endless: bool,
    /// Nor does the reading of the books.
    pub long_books: bool,
    pub errors: u64,
    /// There is no proxy.
    pub bare: bool,
    /// Reads answered from the copy.
    pub answered: u64,
}

/// All stand-ins.
#[derive(Clone)]
pub(super) struct Surroundings(Arc<Mutex<Script>>);

impl Surroundings {
    pub fn new() -> Self {
        let script =
            Script { from: (1, String::new()), to: (0, String::new()), ..Script::default() };
        Self(Arc::new(Mutex::new(script)))
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    pub fn ports(&self) -> Ports {
        Ports {
            traffic: Arc::new(self.clone()),
            seats: Arc::new(self.clone()),
            hosts: Arc::new(self.clone()),
            auditor: Arc::new(self.clone()),
            surveyor: Arc::new(self.clone()),
        }
    }

    fn did(&self, what: impl Into<String>) {
        self.script().done.push(what.into());
    }
}

#[async_trait]
impl Traffic for Surroundings {
    async fn is_steerable(&self, _module: &Module) -> bool {
        !self.script().bare
    }
    async fn park(&self, _: &Module, _: Id<Carve>, _: Duration) -> Result<(), PortError> {
        self.did("park");
        Ok(())
    }
    async fn resume(&self, _: &Module, _: Id<Carve>) -> Result<Waits, PortError> {
        self.did("resume");
        let mut waits = Waits::default();
        waits.record(1_000);
        Ok(waits)
    }
    async fn stage(&self, _: &Module, _: Id<Carve>, stage: &Stage) -> Result<(), PortError> {
        self.did(match stage {
            Stage::Off => "stage off".to_owned(),
            Stage::Canary { percent, .. } => format!("stage canary {}", percent.get()),
            Stage::Live { .. } => "stage live".to_owned(),
        });
        Ok(())
    }
    async fn holds(
        &self,
        _: &Module,
        _: Id<Carve>,
        as_of: Instant,
        until: Instant,
    ) -> Result<(), PortError> {
        assert!(as_of < until);
        self.did("holds");
        Ok(())
    }
    async fn counted(&self, _: &Module) -> Result<Counted, PortError> {
        Ok(Counted { requests: 100, errors: self.script().errors })
    }
}

#[async_trait]
impl Seats for Surroundings {
    async fn warm(&self, at: &Process, _: &Module) -> Result<(), SeatError> {
        self.did(format!("warm {}", at.deployment));
        Ok(())
    }
    async fn hold(&self, at: &Process, _: &Hold) -> Result<InFlight, SeatError> {
        if self.script().deaf && at.deployment.as_str() == "child" {
            return Err(SeatError::Away("it is dead".to_owned()));
        }
        self.did("hold");
        Ok(InFlight(0))
    }
    async fn settle(&self, at: &Process, placed: &Placed) -> Result<Waits, SeatError> {
        self.did(format!("settle {} at {}: {}", at.deployment, placed.epoch, placed.owner));
        Ok(Waits::default())
    }
    async fn release(&self, _: &Process, _: &Module, _: Id<Carve>) -> Result<Waits, SeatError> {
        self.did("release");
        Ok(Waits::default())
    }
    async fn lend(&self, at: &Process, wish: &Lend) -> Result<Lent, SeatError> {
        if self.script().deaf && at.deployment.as_str() == "child" {
            return Err(SeatError::Away("it is dead".to_owned()));
        }
        self.did(if wish.ttl_ms > 0 { "lend" } else { "take back" });
        let mut script = self.script();
        script.answered += 5;
        Ok(Lent { answered: script.answered })
    }
    async fn state(&self, _: &Process) -> Result<Vec<SeatState>, SeatError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Hosts for Surroundings {
    async fn locations(&self, sides: &Sides) -> Result<(Database, Database), HostError> {
        let at = |name: &str| Database::File(format!("/{name}/{}.db", sides.module).into());
        let to = sides.to.database.clone();
        let to = to.unwrap_or_else(|| at(sides.to.deployment.as_str()));
        Ok((at(sides.from.deployment.as_str()), to))
    }
    async fn ready(&self, host: &Host) -> Result<Hosted, HostError> {
        self.did(format!("start {}", host.site.deployment));
        let url = "http://127.0.0.1:9102".parse().unwrap();
        Ok(Hosted { url, public_url: Some("http://127.0.0.1:9002".parse().unwrap()) })
    }
    async fn stop(&self, host: &Host) -> Result<(), HostError> {
        self.did(format!("stop {}", host.site.deployment));
        Ok(())
    }
}

#[async_trait]
impl Auditor for Surroundings {
    async fn audit(&self, _: &Module) -> Result<Vec<Invariant>, PortError> {
        if self.script().long_books {
            std::future::pending::<()>().await;
        }
        let name = "stock is never oversold".to_owned();
        Ok(vec![Invariant { name, checked: 7, broken: Vec::new() }])
    }
}

#[async_trait]
impl Surveyor for Surroundings {
    async fn survey(&self, _: &DryRun) -> Result<Survey, PortError> {
        Ok(Survey { added_us: Some(250), ..Survey::default() })
    }
}

impl Movements for Surroundings {
    fn of(&self, _: &Move) -> Result<Arc<dyn Movement>, Trouble> {
        Ok(Arc::new(Moving { around: self.clone() }))
    }
}

struct Moving {
    around: Surroundings,
}

impl Moving {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.around.script()
    }
}

#[async_trait]
impl Movement for Moving {
    async fn readiness(&self) -> Result<(Vec<Blocker>, Size), Trouble> {
        if self.script().away {
            return Err(Trouble::Failed("the target database is away".to_owned()));
        }
        let size = Size { rows: 3_000_000, ..Size::default() };
        Ok((self.around.script().blockers.clone(), size))
    }
    async fn prepare(&self) -> Result<(), Trouble> {
        self.script().to = (1, "carve:".to_owned());
        Ok(())
    }
    async fn capture(&self) -> Result<(), Trouble> {
        self.script().captured = true;
        Ok(())
    }
    async fn copy(&self, _: Duration, _: Option<u32>) -> Result<Copied, Trouble> {
        let mut script = self.script();
        if script.copy_fails > 0 {
            script.copy_fails -= 1;
            return Err(Trouble::Failed("the disk of the target is full".to_owned()));
        }
        Ok(Copied { rows: 1000, finished: !script.endless })
    }
    async fn follow(&self, leg: Leg, epoch: u64) -> Result<Followed, Trouble> {
        let script = self.script();
        let source = if leg == Leg::There { &script.from } else { &script.to };
        if source.0 != epoch {
            return Err(Trouble::Unknown("the row moved".to_owned()));
        }
        Ok(Followed { rows: 3, left: 0 })
    }
    async fn compare(&self, _: Leg) -> Result<Vec<TableCompared>, Trouble> {
        let equal = !self.script().differs;
        Ok(vec![TableCompared { table: "levels".to_owned(), rows: 1000, equal }])
    }
    async fn approach(&self, _leg: Leg, _wish: &Switch) -> Result<(), Trouble> {
        Ok(())
    }
    async fn switch(&self, leg: Leg, wish: &Switch) -> Result<Switched, Trouble> {
        let mut script = self.script();
        if script.switch_not_now > 0 {
            script.switch_not_now -= 1;
            return Err(Trouble::NotNow("a transaction is open for long".to_owned()));
        }
        let row = (wish.epoch + 1, wish.owner.clone());
        let lost = script.switch_lost > 0;
        script.switch_lost = script.switch_lost.saturating_sub(1);
        match leg {
            Leg::There => script.from = row.clone(),
            Leg::Back => script.to = row.clone(),
        }
        if lost {
            return Err(Trouble::Unknown("the connection broke at the commit".to_owned()));
        }
        (script.from, script.to) = (row.clone(), row);
        Ok(Switched::default())
    }
    async fn flip(&self, leg: Leg, wish: &Switch) -> Result<(), Trouble> {
        let mut script = self.script();
        let row = (wish.epoch + 1, wish.owner.clone());
        match leg {
            Leg::There => script.to = row,
            Leg::Back => script.from = row,
        }
        script.done.push("flip".to_owned());
        Ok(())
    }
    async fn standing(&self) -> (Option<(u64, String)>, Option<(u64, String)>) {
        let script = self.around.script();
        (Some(script.from.clone()), Some(script.to.clone()))
    }
    async fn withdraw(&self, _: u64) -> Result<(), Trouble> {
        let mut script = self.script();
        script.captured = false;
        script.done.push("withdraw".to_owned());
        Ok(())
    }
    async fn remove(&self) -> Result<Vec<String>, Trouble> {
        let mut script = self.script();
        script.captured = false;
        script.done.push("remove".to_owned());
        Ok(Vec::new())
    }
}
