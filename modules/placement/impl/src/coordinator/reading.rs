//! Reads that move ahead of the switch: the target's process answers them from the copy that is followed.
//!
//! Types: [`Lend`] tells the process that it may answer from its copy, for a moment; [`Traffic::holds`] tells the proxy what
//! that copy holds, and until when that is told. Both are said again after each batch that is followed, and neither lasts
//! longer than [`FRESH_WITHIN`] after the batch began. Invariants:
//!
//! - A batch takes the copy from one state that the source had to a later one, and holds all that was committed when it
//!   began. So a copy has no half of a transaction, and `as_of` is the moment before the batch.
//! - Whatever ends or stands still, coordinator, process, proxy or database: nothing is prolonged then, the proxy leads reads
//!   to the owner by itself, and the process asks the owner what it is still asked. Nothing has to be told for that.
//! - A copy is emptied only after it was taken back, and an answer of a copy counts only if it stood until after the answer.
//! - After the switch nothing is lent: the process owns the data, and what is led to it is its own.
//!
//! [`Traffic::holds`]: placement_api::Traffic::holds

use std::time::{Duration, Instant};

use contract::Never;
use placement_api::{Address, Ahead, Deployment, Lend, Percent, Process, Stage};

use super::{hands::Hands, steps::NOTE_TIME, switching::within_seat};
use crate::{
    desk::placed,
    domain::{State, ahead, limits::FRESH_WITHIN},
    movement::Trouble,
    store,
};

/// Shorter than this nothing is lent: it would be over before it is told.
const WORTH: Duration = Duration::from_millis(50);

impl Hands {
    /// Leads this part of the reads to the target from when its copy is known to be fresh.
    pub(super) async fn move_reads(&mut self, percent: Percent) -> Result<(), Trouble> {
        let target = self.row.target.clone();
        if target == Deployment::MONOLITH {
            return Err(Trouble::Blocked("what the proxy leads nowhere is the monolith's".into()));
        }
        if !self.desk.ports.traffic.is_steerable(&self.row.module).await {
            return Err(Trouble::Failed("there is no proxy to steer".into()));
        }
        let (_, to) = self.reader().await?;
        self.lead_reads(percent, to).await?;
        self.row.facts.says = format!("{} % of the reads go to {target}", percent.get());
        Ok(())
    }

    /// A batch that began at `as_of` is followed. It only eases the way: what goes wrong is that reads go to the owner.
    pub(super) async fn read_ahead(&mut self, state: &State, as_of: Instant) {
        let Some(percent) = ahead(state, &self.row.plan) else { return };
        if let Err(trouble) = self.lend(percent, as_of).await {
            let (_, why) = trouble.seen();
            tracing::info!(carve = %self.row.id, why, "reads go to the owner");
            return;
        }
        let share = format!("{} % of the reads go to {}", percent.get(), self.row.target);
        self.row.facts.says = format!("{}; {share}", self.row.facts.says);
    }

    async fn lend(&mut self, percent: Percent, as_of: Instant) -> Result<(), Trouble> {
        let (at, to) = self.reader().await?;
        self.lead_reads(percent, to).await?;
        let left = FRESH_WITHIN.saturating_sub(as_of.elapsed());
        if left < WORTH {
            return Err(Trouble::NotNow(format!("the copy is {FRESH_WITHIN:?} behind")));
        }
        self.asked_to_lend(&at, left).await?;
        let (module, id) = (&self.row.module, self.row.id);
        self.desk.ports.traffic.holds(module, id, as_of, as_of + FRESH_WITHIN).await?;
        Ok(())
    }

    /// Before the copy is no more what it was: nobody reads it from here on.
    pub(super) async fn take_reads_back(&mut self, state: &State) {
        if self.row.plan.reads.is_empty() || self.row.target == Deployment::MONOLITH {
            return;
        }
        if let Err(trouble) = self.reads_back(state).await {
            tracing::warn!(carve = %self.row.id, why = trouble.seen().1, "reads were not led back");
        }
        let taken = match self.reader().await {
            Ok((at, _)) => self.asked_to_lend(&at, Duration::ZERO).await,
            Err(trouble) => Err(trouble),
        };
        if taken.is_err() {
            // What cannot be told ends by itself.
            tokio::time::sleep(FRESH_WITHIN).await;
        }
        self.row.facts.progress.ahead = self.row.facts.progress.ahead.take().map(Ahead::ended);
    }

    /// The process is told; how many reads it has answered is taken note of.
    async fn asked_to_lend(&mut self, at: &Process, time: Duration) -> Result<(), Trouble> {
        let ttl_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let wish = Lend { module: self.row.module.clone(), carve: self.row.id, ttl_ms };
        let lent = within_seat(self.desk.ports.seats.lend(at, &wish)).await;
        let lent = lent.map_err(|error| Trouble::Failed(error.to_string()))?;
        self.row.facts.answered_ahead(lent.answered);
        Ok(())
    }

    async fn lead_reads(&mut self, percent: Percent, to: Address) -> Result<(), Trouble> {
        let led = (percent, to);
        if self.led.as_ref() == Some(&led) {
            return Ok(());
        }
        let stage = Stage::Canary { percent, to: led.1.clone() };
        self.desk.ports.traffic.stage(&self.row.module, self.row.id, &stage).await?;
        self.row.facts.progress.ahead.get_or_insert_default().percent = percent.get();
        self.led = Some(led);
        Ok(())
    }

    /// The target's process that has the copy, and where it answers everybody. One that was started again answers elsewhere.
    async fn reader(&self) -> Result<(Process, Address), Trouble> {
        let (module, target) = (self.row.module.clone(), self.row.target.clone());
        let since = self.live_since();
        let place = self
            .desk
            .store
            .read::<_, Never>(&self.desk.call(NOTE_TIME), move |c| {
                let said = store::site(c, &module, &target)?;
                let live = store::live_processes(c, since)?;
                Ok(placed(module.clone(), &(0, target.to_string()), &live, Some(&said), None))
            })
            .await?;
        let found = place.and_then(|place| Some((self.said(&place)?, place.public_url?)));
        found.ok_or_else(|| Trouble::Failed("the target's public address is not known".into()))
    }
}
