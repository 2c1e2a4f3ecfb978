//! The actions outside the pause.

use std::time::{Duration, Instant};

use placement_api::{Blocker, DryRun, Host, HostError, Leg, PortError, Sides, Site, Step};

use ::store::Abort;
use contract::{Fault, Never};

use super::hands::Hands;
use crate::{
    desk::{leading, placed},
    domain::{Action, Seen, State, limits::LAG_MAX, stands},
    movement::Trouble,
    store,
};

/// How long rows are copied before the journal is looked at again.
const COPY_SLICE: Duration = Duration::from_millis(500);

/// How long a query or a note beside the journal may take.
pub(super) const NOTE_TIME: Duration = Duration::from_secs(2);

impl From<PortError> for Trouble {
    fn from(error: PortError) -> Self {
        Self::Failed(error.0)
    }
}

impl From<HostError> for Trouble {
    fn from(error: HostError) -> Self {
        match error {
            HostError::NotReady(why) => Self::Failed(why),
            HostError::Blocked(blocker) => Self::Blocked(told(&[blocker])),
        }
    }
}

impl From<Fault<Never>> for Trouble {
    fn from(fault: Fault<Never>) -> Self {
        Self::Failed(fault.to_string())
    }
}

/// Blockers in a line.
fn told(blockers: &[Blocker]) -> String {
    let each = blockers.iter().map(|b| format!("{} ({}): {}", b.kind, b.about, b.detail));
    each.collect::<Vec<_>>().join("; ")
}

impl Hands {
    /// Does one action.
    pub async fn act(&mut self, action: Action, state: &State) -> Result<Seen, Trouble> {
        match action {
            Action::Wait(_) | Action::Rest | Action::Record => Ok(Seen::Done),
            Action::Locate => self.locate().await,
            Action::Inspect => self.inspect(state).await,
            Action::Prepare => self.movement()?.prepare().await.map(|()| Seen::Done),
            Action::MakeReady => self.make_ready().await,
            Action::Capture => self.movement()?.capture().await.map(|()| Seen::Done),
            Action::Copy => self.copy().await,
            Action::Follow => self.follow(state).await,
            Action::Compare => self.compare(state).await,
            Action::MoveReads(percent) => self.move_reads(percent).await.map(|()| Seen::Done),
            Action::Hold => self.hold(state).await,
            Action::Fence => self.fence(state).await,
            Action::Ask => self.ask(state).await,
            Action::Unhold => self.unhold().await,
            Action::Flip => self.flip(state).await,
            Action::Settle => self.settle(state).await,
            Action::Audit => self.audit().await,
            Action::Withdraw => self.withdraw(state).await,
            Action::ReadsBack => self.reads_back(state).await,
            Action::Clean => self.clean().await,
            Action::StopHost => self.stop_host(state).await,
        }
    }

    async fn locate(&mut self) -> Result<Seen, Trouble> {
        let (module, source, target) =
            (self.row.module.clone(), self.row.source.clone(), self.row.target.clone());
        let sides = self
            .desk
            .store
            .read::<_, Never>(&self.desk.call(NOTE_TIME), move |c| {
                let (from, _) = store::site(c, &module, &source)?;
                let (to, _) = store::site(c, &module, &target)?;
                Ok(Sides { module: module.clone(), from, to })
            })
            .await?;
        let (from, to) = self.desk.ports.hosts.locations(&sides).await?;
        if from == to {
            return Err(Trouble::Blocked(format!("both sides would be at {from}")));
        }
        let (id, module) = (self.row.id, self.row.module.clone());
        let data = (from.clone(), to.clone());
        self.given_up = self
            .desk
            .store
            .write::<_, Never>(&self.desk.call(NOTE_TIME), move |tx| {
                store::set_data(tx.connection(), id, &data.0, &data.1)?;
                Ok(store::given_up(tx.connection(), &module, &data.1)?)
            })
            .await?;
        self.row.facts.says = format!("from {from} to {to}");
        (self.row.source_data, self.row.target_data) = (Some(from), Some(to));
        self.count_clients().await;
        Ok(Seen::Done)
    }

    async fn inspect(&mut self, state: &State) -> Result<Seen, Trouble> {
        let movement = self.movement()?;
        let (from, _) = movement.standing().await;
        let (epoch, owner) = from
            .ok_or_else(|| Trouble::Failed("the source's fence row cannot be read".to_owned()))?;
        let owned = owner.is_empty() || owner == self.row.source.as_str();
        if epoch != state.epoch || !owned {
            return Err(Trouble::Blocked(format!(
                "placement knows {} at epoch {}, the data says `{owner}` at {epoch}",
                self.row.source, state.epoch
            )));
        }
        let (mut blockers, size) = movement.readiness().await?;
        let wish = DryRun {
            module: self.row.module.clone(),
            to: self.row.target.clone(),
            url: None,
            database: self.row.target_data.clone(),
            reads: Vec::new(),
        };
        blockers.extend(self.desk.ports.surveyor.survey(&wish).await?.blockers);
        self.row.facts.progress.rows = size.rows;
        self.row.facts.says = format!("{} rows in {} tables", size.rows, size.tables.len());
        self.row.facts.size = size;
        if blockers.is_empty() { Ok(Seen::Done) } else { Err(Trouble::Blocked(told(&blockers))) }
    }

    async fn make_ready(&mut self) -> Result<Seen, Trouble> {
        let host = self.host(Leg::There).await?;
        let hosted = self.desk.ports.hosts.ready(&host).await?;
        let module = self.row.module.clone();
        let site = Site { url: Some(hosted.url.clone()), ..host.site };
        self.row.facts.says = format!("{} is ready at {}", site.deployment, hosted.url);
        self.desk
            .store
            .write::<_, Never>(&self.desk.call(NOTE_TIME), move |tx| {
                let public_url = hosted.public_url.as_ref();
                Ok(store::put_site(tx.connection(), &module, &site, public_url)?)
            })
            .await?;
        Ok(Seen::Done)
    }

    /// The deployment that takes the module on a leg.
    async fn host(&self, leg: Leg) -> Result<Host, Trouble> {
        let (module, taker) = (self.row.module.clone(), self.row.taker(leg).clone());
        let site = self
            .desk
            .store
            .read::<_, Never>(&self.desk.call(NOTE_TIME), move |c| {
                Ok(store::site(c, &module, &taker)?.0)
            })
            .await?;
        let database = match leg {
            Leg::There => self.row.target_data.clone(),
            Leg::Back => self.row.source_data.clone(),
        };
        Ok(Host { carve: self.row.id, module: self.row.module.clone(), site, database })
    }

    async fn copy(&mut self) -> Result<Seen, Trouble> {
        let movement = self.movement()?;
        let began = Instant::now();
        let copied = movement.copy(COPY_SLICE, self.row.plan.copy_rows_per_s).await?;
        self.row.facts.copied(copied.rows, began.elapsed());
        Ok(if copied.finished { Seen::Done } else { Seen::NotYet })
    }

    async fn follow(&mut self, state: &State) -> Result<Seen, Trouble> {
        let (leg, epoch) = state.followed();
        let movement = self.movement()?;
        let began = Instant::now();
        let followed = movement.follow(leg, epoch).await?;
        self.row.facts.followed(followed.rows, followed.left, began.elapsed());
        self.read_ahead(state, began).await;
        if state.step == Step::Observe {
            self.count_clients().await;
        }
        if followed.left > LAG_MAX {
            return Ok(Seen::NotYet);
        }
        if state.step == Step::Approach && !state.paused {
            // The gates close next: what can be done before they do is done now.
            self.warm(state).await?;
            movement.approach(leg, &self.wish(state)).await?;
        }
        Ok(Seen::Done)
    }

    async fn compare(&mut self, state: &State) -> Result<Seen, Trouble> {
        let (leg, _) = state.followed();
        let compared = self.movement()?.compare(leg).await?;
        let differing: Vec<_> =
            compared.iter().filter(|table| !table.equal).map(|table| table.table.clone()).collect();
        let rows: u64 = compared.iter().map(|table| table.rows).sum();
        self.row.facts.compared = compared;
        if !differing.is_empty() {
            return Err(Trouble::Blocked(format!("{} differ", differing.join(", "))));
        }
        self.row.facts.says = format!("{rows} rows are equal on both sides");
        Ok(Seen::Done)
    }

    async fn audit(&mut self) -> Result<Seen, Trouble> {
        let invariants = self.desk.ports.auditor.audit(&self.row.module).await?;
        let broken = invariants.iter().any(|invariant| !invariant.broken.is_empty());
        self.row.facts.invariants = invariants;
        Ok(if broken { Seen::Blocked } else { Seen::Done })
    }

    /// Before the places are known nothing was made.
    async fn withdraw(&mut self, state: &State) -> Result<Seen, Trouble> {
        if self.row.target_data.is_none() {
            return Ok(Seen::Done);
        }
        // What is withdrawn is emptied.
        self.take_reads_back(state).await;
        self.movement()?.withdraw(state.epoch).await.map(|()| Seen::Done)
    }

    pub(super) async fn reads_back(&mut self, state: &State) -> Result<Seen, Trouble> {
        let owner = self.row.giver(state.leg).to_string();
        let (module, since) = (self.row.module.clone(), self.live_since());
        let at = (state.epoch, owner);
        let place = self
            .desk
            .store
            .read::<_, Never>(&self.desk.call(NOTE_TIME), move |c| {
                let owner = at.1.parse().map_err(|_bad| Abort::from(diesel::NotFound))?;
                let said = store::site(c, &module, &owner)?;
                let live = store::live_processes(c, since)?;
                Ok(placed(module.clone(), &at, &live, Some(&said), None))
            })
            .await?;
        if let Some(stage) = place.as_ref().and_then(leading) {
            self.desk.ports.traffic.stage(&self.row.module, self.row.id, &stage).await?;
        }
        Ok(Seen::Done)
    }

    async fn clean(&mut self) -> Result<Seen, Trouble> {
        self.count_clients().await;
        if self.row.target_data.is_none() {
            return Ok(Seen::Done);
        }
        match self.movement()?.remove().await {
            Ok(left) => {
                let done = left.is_empty();
                self.row.facts.leftovers = left;
                Ok(if done { Seen::Done } else { Seen::NotYet })
            }
            Err(trouble) => {
                self.row.facts.leftovers = vec![format!("{trouble:?}")];
                Err(trouble)
            }
        }
    }

    /// Ends the process that has the module no longer, or never got it.
    async fn stop_host(&mut self, state: &State) -> Result<Seen, Trouble> {
        let without = match (state.step, state.leg) {
            (Step::Complete, Leg::There) => Leg::Back,
            (_, _) => Leg::There,
        };
        let host = self.host(without).await?;
        self.desk.ports.hosts.stop(&host).await?;
        Ok(Seen::Done)
    }

    async fn ask(&mut self, state: &State) -> Result<Seen, Trouble> {
        let (from, to) = self.movement()?.standing().await;
        let (source, target) = match state.leg {
            Leg::There => (&from, &to),
            Leg::Back => (&to, &from),
        };
        let taker = self.row.taker(state.leg).as_str();
        let seen = stands(
            source.as_ref().map(|(epoch, owner)| (*epoch, owner.as_str())),
            target.as_ref().map(|(epoch, owner)| (*epoch, owner.as_str())),
            state.epoch,
            taker,
        );
        self.row.facts.says = format!("the rows say {from:?} and {to:?}");
        Ok(seen)
    }

    /// What clients have seen so far, where somebody counts.
    async fn count_clients(&mut self) {
        let traffic = &self.desk.ports.traffic;
        if !traffic.is_steerable(&self.row.module).await {
            return;
        }
        match traffic.counted(&self.row.module).await {
            Ok(counted) => self.row.facts.counted(counted),
            Err(error) => tracing::warn!(carve = %self.row.id, %error, "clients were not counted"),
        }
    }
}
