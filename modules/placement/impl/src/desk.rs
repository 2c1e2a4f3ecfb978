//! What the service and the coordinator share: the journal, the ports, and what both read of it.

use std::{sync::Arc, time::Duration};

use contract::{Answer, Call, Caller, Deadline, Never};
use diesel::QueryResult;
use kernel_api::Timestamp;
use placement_api::{
    Auditor, Carve, Database, Deployment, Hosts, Leg, Module, Moving, Outcome, Placed, Process,
    Seats, Stage, Surveyor, Table, Traffic,
};
use tokio::sync::Notify;

use ::store::{Connection, Store};

use crate::{
    domain::At,
    movement::Movements,
    store::{self, CarveRow},
};

/// What placement asks of its surroundings.
#[derive(Clone)]
pub struct Ports {
    /// The proxy.
    pub traffic: Arc<dyn Traffic>,
    /// The seats of every process.
    pub seats: Arc<dyn Seats>,
    /// The processes that modules move to.
    pub hosts: Arc<dyn Hosts>,
    /// The books.
    pub auditor: Arc<dyn Auditor>,
    /// Real traffic.
    pub surveyor: Arc<dyn Surveyor>,
}

/// What the service and the coordinator share.
pub(crate) struct Desk {
    pub store: Store,
    pub ports: Ports,
    pub movements: Arc<dyn Movements>,
    /// A process that was silent for this long is not asked.
    pub silent_after: Duration,
    pub configuration_sha256: String,
    /// This process's name in leases.
    pub process: String,
    /// Somebody wants something.
    pub wake: Notify,
}

impl Desk {
    /// The moment at which other processes' leases count as over: of a process that is alone on the data, at once, since
    /// whoever had one has ended.
    pub fn leases_over(&self) -> Option<Timestamp> {
        self.store.is_alone().then_some(Timestamp::from_micros(i64::MAX))
    }

    /// A call in placement's own name.
    pub fn call(&self, within: Duration) -> Call {
        Call::new(Caller::module("placement"), Deadline::within(within))
    }

    /// The processes that told of themselves of late.
    pub async fn live(&self, within: Duration) -> Answer<Vec<Process>, Never> {
        let since = self.store.clock().now().minus(self.silent_after);
        self.store.read(&self.call(within), move |c| Ok(store::live_processes(c, since)?)).await
    }
}

/// Where every module is.
pub(crate) fn table(c: &mut Connection, since: Timestamp) -> QueryResult<Table> {
    let live = store::live_processes(c, since)?;
    let sites = store::sites(c)?;
    let open = store::open_carves(c)?;
    let placed = store::places(c)?.into_iter().map(|(module, at)| {
        let said =
            sites.iter().find(|(of, (site, _))| *of == module && site.deployment.as_str() == at.1);
        let moving = open.iter().find(|carve| carve.module == module).map(|carve| Moving {
            carve: carve.id,
            from: carve.source.clone(),
            to: carve.target.clone(),
            step: carve.state.step,
        });
        placed(module, &at, &live, said.map(|(_, said)| said), moving)
    });
    Ok(Table { placed: placed.flatten().collect() })
}

/// Where one module is, and how its owner is reached: by a process that told of itself of late, else where it was said
/// to be. None when the owner's name is none.
pub(crate) fn placed(
    module: Module,
    at: &At,
    live: &[Process],
    said: Option<&store::Said>,
    moving: Option<Moving>,
) -> Option<Placed> {
    let owner: Deployment = at.1.parse().ok()?;
    let has_it = |process: &&Process| {
        process.deployment == owner && process.modules.iter().any(|housed| housed.module == module)
    };
    // Always the same one of several, so that callers do not hop; and the one that was started last, for one that was
    // killed counts as live for a while beside the one that follows it.
    let process = live.iter().filter(has_it).max_by_key(|process| process.id);
    let (url, public_url) = match (process, said) {
        (Some(process), _) => (Some(process.url.clone()), process.public_url.clone()),
        (None, Some((site, public_url))) => (site.url.clone(), public_url.clone()),
        (None, None) => (None, None),
    };
    Some(Placed { module, epoch: at.0, owner, url, public_url, moving })
}

/// Where the proxy leads the routes of a module of this owner; none where its address is not known.
pub(crate) fn leading(placed: &Placed) -> Option<Stage> {
    if placed.owner == Deployment::MONOLITH {
        return Some(Stage::Off);
    }
    placed.public_url.clone().map(|to| Stage::Live { to })
}

impl CarveRow {
    /// Who is the source on this leg.
    pub fn giver(&self, leg: Leg) -> &Deployment {
        match leg {
            Leg::There => &self.source,
            Leg::Back => &self.target,
        }
    }

    /// Who is the target on this leg.
    pub fn taker(&self, leg: Leg) -> &Deployment {
        match leg {
            Leg::There => &self.target,
            Leg::Back => &self.source,
        }
    }

    /// The data that it has moved the module away from, once it is over.
    pub fn given_up(&self) -> Option<Database> {
        match (self.state.outcome, self.state.leg) {
            (Some(Outcome::Completed), Leg::There) => self.source_data.clone(),
            (Some(Outcome::Reversed), Leg::Back) => self.target_data.clone(),
            (_, _) => None,
        }
    }

    /// The carve as others see it.
    pub fn shown(&self) -> Carve {
        let state = &self.state;
        let waits = state.not_before > state.since && !state.is_over();
        Carve {
            id: self.id,
            module: self.module.clone(),
            from: self.source.clone(),
            to: self.target.clone(),
            plan: self.plan.clone(),
            who: self.who.clone(),
            reason: self.reason.clone(),
            leg: state.leg,
            step: state.step,
            paused: state.paused,
            wish: state.wish,
            outcome: if state.is_over() { state.outcome } else { None },
            says: self.facts.says.clone(),
            progress: self.facts.progress.clone(),
            switch_tries: state.switch_tries,
            next_try_at: waits.then_some(state.not_before),
            begun_at: self.begun_at,
            ended_at: self.ended_at,
        }
    }
}
