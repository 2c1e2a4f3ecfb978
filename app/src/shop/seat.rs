//! A seat: what one process has for one module, wherever the module is. Everybody in the process calls and hears the
//! module through it, and none of them learns where it is.

mod finding;
mod nowhere;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use contract::{
    Call, Caller, Contract, Deadline, Descriptor, Edge, GateLimits, Handshake, Lent, Ownership,
    Place, Rehearsal, Switch, Target,
};
use events::{Feed, FeedSwitch, LocalFeed};
use kernel_api::Id;
use placement_api::{Carve, Housed, InFlight, Name, Placed, SeatError, SeatState, Waits};
use store::{Standing, Store, mover::MoveId};
use tokio::sync::watch;

pub use finding::Unnamed;
use finding::{Finding, Whose, find};
pub use nowhere::feed as no_feed;

use super::{data::Own, ways::Ways};

/// How long a look at the fence row may take: one row by its key.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// How long workers wait for callers who were held.
const WORK_AFTER: Duration = Duration::from_millis(10);

/// A seat, whichever module it is for.
#[async_trait]
pub trait Seated: Send + Sync + 'static {
    /// The module.
    fn module(&self) -> &'static str;

    /// The hashes of the module's contract, as this program has it.
    fn contract(&self) -> Handshake;

    /// How it is.
    fn state(&self) -> SeatState;

    /// The module's data in this process and what its fence row says now; none where it is not open here.
    async fn housed(&self) -> Option<Housed>;

    /// Opens what this process needs to have the module: it may be about to get it. Says whether all is open in time.
    async fn warm(&self, within: Duration) -> bool;

    /// Closes the gate in the name of `by`, for `ttl` at most, and waits so long for what is under way.
    async fn hold(&self, by: &str, ttl: Duration, drain: Duration) -> Result<InFlight, SeatError>;

    /// Opens the gate that was closed in the name of `by`. How long callers were held.
    fn release(&self, by: &str) -> Waits;

    /// Takes the place that the module's own row and placement give it, where that is newer than what it knows, and
    /// opens the gate. How long callers were held.
    async fn settle(&self, placed: &Placed) -> Result<Waits, SeatError>;

    /// The same, without a word from whoever switches: the gate opens only where there is a new owner.
    async fn learn(&self, placed: Option<&Placed>);

    /// Lends this process its copy of the module's data for so long from now on, while this carve fills it: requests that may
    /// be answered from a copy are. No time takes it back for good.
    async fn lend(
        &self,
        carve: Id<Carve>,
        time: Duration,
    ) -> Result<placement_api::Lent, SeatError>;

    /// Rehearses the module's extraction on the calls of this process from now on, or no more.
    fn rehearse(&self, wire: Option<Rehearsal>) -> Result<(), SeatError>;
}

/// The seat for the module of one contract.
pub struct Seat<C: Contract + ?Sized> {
    ways: Ways,
    switch: Arc<Switch<C>>,
    feed: Arc<FeedSwitch>,
    house: Option<House<C>>,
    known: Mutex<Known>,
    /// The copy that is lent, or was taken back.
    lending: Mutex<Option<Lending<C>>>,
    /// One change of place at a time.
    settling: tokio::sync::Mutex<()>,
}

/// The module in this process.
struct House<C: ?Sized> {
    store: Store,
    service: Arc<C>,
    /// The same over data that this deployment does not own, counted apart.
    copy: Arc<C>,
    feed: Arc<dyn Feed>,
    ownership: watch::Sender<Ownership>,
}

/// A copy of the module's data.
struct Lending<C: ?Sized> {
    carve: Id<Carve>,
    lent: Arc<Lent<C>>,
}

/// What was found last.
struct Known {
    whose: Whose,
    rehearsal: Option<Rehearsal>,
}

impl<C: Contract + ?Sized> Seat<C> {
    /// A seat for a module whose data is open here (`own`), or is not. It stands where `row` says, else nowhere yet.
    pub(super) fn new(
        ways: &Ways,
        house: Option<(&Own, Arc<C>, Edge)>,
        rehearsal: Option<Rehearsal>,
        feed: Arc<FeedSwitch>,
    ) -> Arc<Self> {
        let row = house.as_ref().map(|(own, ..)| own.standing.clone());
        let house = house.map(|(own, service, copied)| House {
            store: own.store.clone(),
            copy: contract::local(Arc::clone(&service), copied),
            service,
            feed: Arc::new(LocalFeed::new(own.store.clone(), Arc::clone(&own.readers))),
            ownership: own.ownership.clone(),
        });
        let nobody = Whose::Theirs { owner: String::new(), url: None };
        let target = Target::elsewhere(nowhere::service());
        let seat = Arc::new(Self {
            ways: ways.clone(),
            switch: Switch::with(0, target, GateLimits::default(), ways.doubt().clone()),
            feed,
            house,
            known: Mutex::new(Known { whose: nobody, rehearsal }),
            lending: Mutex::default(),
            settling: tokio::sync::Mutex::default(),
        });
        if let Some(found) = seat.found(row.as_ref(), None) {
            seat.apply(&found);
        } else if let Some(url) = ways.told(C::MODULE) {
            let whose = Whose::Theirs { owner: String::new(), url: Some(url.to_owned()) };
            seat.apply(&Finding { epoch: 0, whose });
        }
        seat
    }

    /// The switch that callers go through.
    pub fn switch(&self) -> &Arc<Switch<C>> {
        &self.switch
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Replaced whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self, row: Option<&Standing>, placed: Option<&Placed>) -> Option<Finding> {
        find(self.ways.deployment(), row, placed)
    }

    /// What the fence row says now, having taken the place that it gives the store. None where it cannot be read.
    async fn row(&self) -> Option<Standing> {
        let house = self.house.as_ref()?;
        let call = Call::new(Caller::module(C::MODULE), Deadline::within(LOOK_TIME));
        let row = house.store.settle(&call).await.ok()?;
        if self.found(Some(&row), None).is_none_or(|found| found.whose != Whose::Ours) {
            house.store.renounce();
        }
        Some(row)
    }

    /// The copy that is lent for a carve; one is made where it is the first time.
    fn lent(&self, carve: Id<Carve>, house: &House<C>) -> Arc<Lent<C>> {
        // Replaced whole.
        let mut lending = self.lending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lending.as_ref().filter(|known| known.carve == carve) {
            return Arc::clone(&known.lent);
        }
        let lent = Lent::new(Arc::clone(&house.copy));
        if let Some(before) = lending.replace(Lending { carve, lent: Arc::clone(&lent) }) {
            before.lent.take_back();
        }
        self.switch.lend(&lent);
        lent
    }

    /// Does this carve, and no other one, fill the data here now?
    async fn is_filled_by(&self, carve: Id<Carve>, house: &House<C>) -> bool {
        let call = Call::new(Caller::module(C::MODULE), Deadline::within(LOOK_TIME));
        let row = house.store.standing(&call).await;
        let by = MoveId::new(&carve.uuid().simple().to_string());
        row.is_ok_and(|row| by.is_ok_and(|by| row.owner == by.nobody()))
    }

    /// Goes where the module is, if that is news.
    fn apply(&self, found: &Finding) {
        let mut known = self.known();
        let epoch = self.switch.epoch();
        let is_new_owner = found.epoch > epoch;
        let is_here = self.switch.place() == Place::Here;
        let differs = match &found.whose {
            Whose::Ours => !is_here,
            Whose::Theirs { url, .. } => is_here || (url.is_some() && known.whose != found.whose),
        };
        if found.epoch < epoch || !(is_new_owner || differs) {
            return;
        }
        let (target, feed, ownership) = match (&found.whose, &self.house) {
            (Whose::Ours, Some(house)) => {
                let service = rehearsed(&house.service, known.rehearsal.as_ref());
                let here = Ownership::Here { epoch: found.epoch };
                (Target::here(service), Arc::clone(&house.feed), here)
            }
            // A row is only ever read where there is a house.
            (Whose::Ours, None) => return,
            (Whose::Theirs { owner, url }, _) => {
                let (service, feed) = self.way(url.as_deref());
                let elsewhere = Ownership::Elsewhere { epoch: found.epoch, owner: owner.clone() };
                (Target::elsewhere(service), feed, elsewhere)
            }
        };
        // Workers stop before others may begin elsewhere, and begin after the door is known to be open.
        let (is_here, is_waited_for) = (ownership.is_here(), self.switch.holder().is_some());
        let workers = self.house.as_ref().map(|house| &house.ownership);
        if let Some(workers) = workers.filter(|_| !is_here) {
            workers.send_replace(ownership.clone());
        }
        self.feed.swap(feed);
        let done = if is_new_owner {
            self.switch.swap(found.epoch, target)
        } else {
            self.switch.readdress(found.epoch, target)
        };
        match workers.filter(|_| is_here) {
            Some(workers) if is_waited_for => begin_soon(workers, ownership),
            Some(workers) => drop(workers.send_replace(ownership)),
            None => {}
        }
        tracing::info!(module = C::MODULE, epoch = found.epoch, whose = ?found.whose, stale = done.is_err(), "settled");
        known.whose = found.whose.clone();
    }

    /// The way to a process, if it is known and its URL is one.
    fn way(&self, url: Option<&str>) -> (Arc<C>, Arc<dyn Feed>) {
        let remote = url.and_then(|url| match self.ways.remote(url) {
            Ok(remote) => Some(remote),
            Err(error) => {
                tracing::error!(module = C::MODULE, %error, "it cannot be reached");
                None
            }
        });
        match remote {
            Some(remote) => {
                let feed = self.ways.feed(C::MODULE, remote.clone());
                (contract::remote(remote), feed)
            }
            None => (nowhere::service(), nowhere::feed(C::MODULE)),
        }
    }

    /// How long callers are held so far.
    fn waits(&self) -> Waits {
        let mut waits = Waits::default();
        for held in self.switch.waits() {
            waits.record(u64::try_from(held.as_micros()).unwrap_or(u64::MAX));
        }
        waits
    }
}

/// Workers begin once the callers who were held are on their way: they find much to do at once, and somebody who waits for
/// this process's word to open its gate has to get it first. Not at all where the module has gone on by then.
fn begin_soon(told: &watch::Sender<Ownership>, ownership: Ownership) {
    let told = told.clone();
    tokio::spawn(async move {
        tokio::time::sleep(WORK_AFTER).await;
        told.send_if_modified(|known| {
            let is_news = known.epoch() <= ownership.epoch();
            if is_news {
                *known = ownership;
            }
            is_news
        });
    });
}

fn rehearsed<C: Contract + ?Sized>(service: &Arc<C>, wire: Option<&Rehearsal>) -> Arc<C> {
    match wire {
        Some(wire) => contract::rehearsal(Arc::clone(service), wire.clone()),
        None => Arc::clone(service),
    }
}

#[async_trait]
impl<C: Contract + ?Sized> Seated for Seat<C> {
    fn module(&self) -> &'static str {
        C::MODULE
    }

    fn contract(&self) -> Handshake {
        Descriptor::of::<C>().handshake()
    }

    fn state(&self) -> SeatState {
        let (name, _) = self.ways.deployment();
        let owner = match &self.known().whose {
            Whose::Ours => name.to_owned(),
            Whose::Theirs { owner, .. } => owner.clone(),
        };
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        SeatState {
            module: named(C::MODULE),
            epoch: self.switch.epoch(),
            owner: owner.parse().unwrap_or(Name::MONOLITH),
            is_local: self.switch.place() == Place::Here,
            held_by: self.switch.holder().and_then(|by| by.parse().ok()),
            in_flight: count(self.switch.in_flight()),
            parked: count(self.switch.parked()),
        }
    }

    async fn housed(&self) -> Option<Housed> {
        let row = self.row().await?;
        Some(Housed { module: named(C::MODULE), epoch: row.epoch, owner: row.owner })
    }

    async fn warm(&self, within: Duration) -> bool {
        match &self.house {
            Some(house) => house.store.warm(within).await,
            None => true,
        }
    }

    async fn hold(&self, by: &str, ttl: Duration, drain: Duration) -> Result<InFlight, SeatError> {
        if !self.switch.hold(by, ttl) {
            let holder = self.switch.holder();
            let holder = holder.as_deref().unwrap_or("somebody");
            return Err(SeatError::Refused(format!("{holder} holds the gate of {}", C::MODULE)));
        }
        // What is still under way then comes too late at the fence and is asked again at the new owner.
        drop(tokio::time::timeout(drain, self.switch.drained()).await);
        Ok(InFlight(u32::try_from(self.switch.in_flight()).unwrap_or(u32::MAX)))
    }

    fn release(&self, by: &str) -> Waits {
        let waits = self.waits();
        if self.switch.release(by) { waits } else { Waits::default() }
    }

    async fn settle(&self, placed: &Placed) -> Result<Waits, SeatError> {
        let waits = self.waits();
        self.learn(Some(placed)).await;
        if self.switch.epoch() < placed.epoch {
            let detail = format!("{} is not where it is said to be yet", C::MODULE);
            return Err(SeatError::Refused(detail));
        }
        self.switch.open();
        Ok(waits)
    }

    async fn learn(&self, placed: Option<&Placed>) {
        let _one = self.settling.lock().await;
        let row = self.row().await;
        if self.house.is_some() && row.is_none() {
            // The database is away: who may write is not known, and nobody does.
            return;
        }
        if let Some(found) = self.found(row.as_ref(), placed) {
            self.apply(&found);
        }
    }

    async fn lend(
        &self,
        carve: Id<Carve>,
        time: Duration,
    ) -> Result<placement_api::Lent, SeatError> {
        let refused = |why: &str| Err(SeatError::Refused(format!("{}: {why}", C::MODULE)));
        let Some(house) = &self.house else { return refused("it has no data here") };
        let lent = self.lent(carve, house);
        if time.is_zero() {
            lent.take_back();
        } else if !self.is_filled_by(carve, house).await {
            return refused("another carve fills it, or none");
        } else if !lent.prolong(time) {
            return refused("its copy was taken back");
        }
        Ok(placement_api::Lent { answered: lent.answered() })
    }

    fn rehearse(&self, wire: Option<Rehearsal>) -> Result<(), SeatError> {
        let Some(house) = &self.house else {
            let detail = format!("{} does not run in this process", C::MODULE);
            return Err(SeatError::Refused(detail));
        };
        let mut known = self.known();
        if wire.is_some() && known.whose != Whose::Ours {
            let detail = format!("{} is elsewhere: its calls go over a real wire", C::MODULE);
            return Err(SeatError::Refused(detail));
        }
        known.rehearsal = wire;
        if known.whose == Whose::Ours {
            let service = rehearsed(&house.service, known.rehearsal.as_ref());
            let epoch = self.switch.epoch();
            self.switch
                .readdress(epoch, Target::here(service))
                .map_err(|stale| SeatError::Refused(stale.to_string()))?;
        }
        Ok(())
    }
}

fn named(module: &str) -> Name {
    module.parse().expect("the modules of this program have names")
}
