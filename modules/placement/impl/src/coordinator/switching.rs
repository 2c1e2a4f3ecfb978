//! The actions inside the pause: gates close, the fence falls, everybody learns it, gates open.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use contract::Never;
use futures_util::future::{join, join_all};
use kernel_api::Id;
use placement_api::{Ahead, Hold, InFlight, Placed, PortError, Process, SeatError, Waits};

use super::{
    hands::{Closed, Hands},
    journal::micros,
};
use crate::{
    desk::{leading, placed},
    domain::{
        Seen, State, Switching,
        limits::{DRAIN, HOLD_TTL, LAG_MAX, LOCK, PAUSE_MAX, SWITCH_REST, TELL},
    },
    movement::{Switch, Trouble},
    store,
};

/// How long the list of processes may take to be read.
const LIST_TIME: Duration = Duration::from_secs(1);

/// How long one process may take to open a gate.
const SEAT_TIME: Duration = Duration::from_millis(250);

/// For so long at most the proxy's callers wait until the other processes are told: about what that takes.
const TOLD_FIRST: Duration = Duration::from_millis(10);

/// How long one may take to open what it needs before the gates close.
const WARM_TIME: Duration = Duration::from_secs(1);

/// How long one may take to close it: whoever needs longer leaves too little of the pause, and the others are not held for
/// nothing.
const CLOSE_TIME: Duration = PAUSE_MAX.saturating_sub(LOCK).saturating_sub(SWITCH_REST);

impl Hands {
    /// Parks the module's writes in the proxy and closes the gate of every process, all at once. Who cannot be reached
    /// meets the fence instead; but nothing is given up for a taker of whose processes none answers.
    pub(super) async fn hold(&mut self, state: &State) -> Result<Seen, Trouble> {
        let mut live = self.desk.live(LIST_TIME).await?;
        let placed = self.placed(state, &live).await?;
        let takes = |process: &Process| process.deployment == placed.owner;
        let said = self.said(&placed).filter(|_| !live.iter().any(takes));
        live.extend(said);
        let (id, module) = (self.row.id, self.row.module.clone());
        let lag_rows = self.row.facts.progress.lag_rows;
        self.row.facts.switching =
            Some(Switching { lag_rows, measured: true, ..self.switching_so_far() });
        let closed = Instant::now();
        self.closed = Some(Closed { at: closed, known: Some((live.clone(), placed.clone())) });
        let hold = Hold {
            module: module.clone(),
            carve: id,
            ttl_ms: micros(HOLD_TTL) / 1000,
            drain_ms: micros(DRAIN) / 1000,
        };
        let seats = &self.desk.ports.seats;
        let gates = join_all(live.iter().map(|at| within(CLOSE_TIME, seats.hold(at, &hold))));
        let park = self.desk.ports.traffic.park(&module, id, HOLD_TTL);
        let (gates, parked) = join(gates, park).await;
        if let Err(error) = parked {
            tracing::warn!(carve = %id, %error, "the proxy parks nothing; the gates hold");
        }
        let mut open = String::new();
        for (at, error) in failures(&live, &gates) {
            tracing::info!(carve = %id, process = %at.id, error, "a gate was not closed");
            open = format!("; {}: {error}", at.url);
        }
        if !live.iter().zip(&gates).any(|(at, gate)| takes(at) && gate.is_ok()) {
            let owner = &placed.owner;
            return Err(Trouble::NotNow(format!("no process of {owner} answers{open}")));
        }
        let under_way: u32 = gates.iter().flatten().map(|InFlight(count)| count).sum();
        let took = closed.elapsed();
        self.pause(|pause| pause.hold_us = micros(took));
        if took + LOCK + SWITCH_REST > PAUSE_MAX {
            return Err(Trouble::NotNow(format!(
                "closing the gates took {} ms, {under_way} calls were still under way{open}",
                took.as_millis()
            )));
        }
        Ok(Seen::Done)
    }

    /// The taker's processes open what they need to have the module. Whoever does not will need longer in the pause.
    pub(super) async fn warm(&self, state: &State) -> Result<(), Trouble> {
        let taker = self.row.taker(state.leg);
        let mut takers = self.desk.live(LIST_TIME).await?;
        takers.retain(|process| process.deployment == *taker);
        let (seats, module) = (&self.desk.ports.seats, &self.row.module);
        let warmed = join_all(takers.iter().map(|at| within(WARM_TIME, seats.warm(at, module))));
        for (at, error) in failures(&takers, &warmed.await) {
            tracing::info!(carve = %self.row.id, process = %at.id, error, "it is not warm");
        }
        Ok(())
    }

    fn switching_so_far(&self) -> Switching {
        self.row.facts.switching.clone().unwrap_or_default()
    }

    fn pause(&mut self, set: impl FnOnce(&mut placement_api::Pause)) {
        set(&mut self.row.facts.switching.get_or_insert_default().pause);
    }

    fn held(&mut self, waits: &Waits) {
        self.row.facts.switching.get_or_insert_default().held.add(waits);
    }

    pub(super) fn wish(&self, state: &State) -> Switch {
        let gone = self.closed.as_ref().map_or(Duration::ZERO, |closed| closed.at.elapsed());
        Switch {
            epoch: state.epoch,
            owner: self.row.taker(state.leg).to_string(),
            lag_max: LAG_MAX,
            lock_within: LOCK,
            within: PAUSE_MAX.saturating_sub(gone + TELL),
        }
    }

    pub(super) async fn fence(&mut self, state: &State) -> Result<Seen, Trouble> {
        let wish = self.wish(state);
        let switched = self.movement()?.switch(state.leg, &wish).await?;
        self.pause(|pause| {
            *pause = placement_api::Pause { hold_us: pause.hold_us, ..switched.pause };
        });
        self.row.facts.switching.get_or_insert_default().lag_rows = switched.lag_rows;
        self.row.facts.says = format!("{} is given up", self.row.giver(state.leg));
        Ok(Seen::Done)
    }

    pub(super) async fn flip(&mut self, state: &State) -> Result<Seen, Trouble> {
        let wish = self.wish(state);
        self.movement()?.flip(state.leg, &wish).await?;
        Ok(Seen::Done)
    }

    /// Opens what was closed; the switch did not come about. What cannot be reached opens by itself.
    pub(super) async fn unhold(&mut self) -> Result<Seen, Trouble> {
        let live = self.desk.live(LIST_TIME).await?;
        let (id, module) = (self.row.id, self.row.module.clone());
        let seats = &self.desk.ports.seats;
        let gates = join_all(live.iter().map(|at| within_seat(seats.release(at, &module, id))));
        let resume = self.desk.ports.traffic.resume(&module, id);
        let (gates, resumed) = join(gates, resume).await;
        gates.iter().flatten().for_each(|waits| self.held(waits));
        if let Ok(waits) = &resumed {
            self.held(waits);
        }
        self.closed = None;
        let reached = gates.iter().all(Result::is_ok) && resumed.is_ok();
        Ok(if reached { Seen::Done } else { Seen::NotYet })
    }

    /// Every process learns who owns the module: the owner's own first, so that there is somebody to answer, then the
    /// others; what was parked goes on, and the proxy is led there. Who began during the pause has read where the module is
    /// when it did, or is refused by the database and looks again.
    pub(super) async fn settle(&mut self, state: &State) -> Result<Seen, Trouble> {
        let began = Instant::now();
        let (live, placed) = match self.closed.as_mut().and_then(|closed| closed.known.take()) {
            Some(known) => known,
            None => {
                let live = self.desk.live(LIST_TIME).await?;
                let placed = self.placed(state, &live).await?;
                (live, placed)
            }
        };
        let (mut owners, others): (Vec<&Process>, Vec<&Process>) =
            live.iter().partition(|process| process.deployment == placed.owner);
        // By another clock than ours nobody tells of himself of late: then who was made ready is asked where it was.
        let said = self.said(&placed);
        owners.extend(said.as_ref().filter(|_| owners.is_empty()));
        let seats = &self.desk.ports.seats;
        let opened = join_all(owners.iter().map(|at| within_seat(seats.settle(at, &placed)))).await;
        if !opened.iter().any(Result::is_ok) {
            let why = opened.iter().find_map(|opened| opened.as_ref().err());
            let why = why.map_or("none has told of itself".to_owned(), ToString::to_string);
            return Err(Trouble::Failed(format!("no process of {} answers: {why}", placed.owner)));
        }
        let (told, resumed) = self.let_go(&others, &placed).await;
        opened.iter().chain(&told).flatten().for_each(|waits| self.held(waits));
        match resumed {
            Ok(waits) => self.held(&waits),
            Err(error) => self.row.facts.note(format!("the proxy lets go by itself: {error}")),
        }
        let total = self.closed.take().map(|closed| closed.at.elapsed());
        self.pause(|pause| {
            pause.release_us = micros(began.elapsed());
            pause.total_us = total.map_or(0, micros);
        });
        let at = self.desk.store.clock().now();
        self.row.facts.switched(state.leg, placed.epoch, state.switch_tries, at);
        self.row.facts.says = format!("{} owns it since epoch {}", placed.owner, placed.epoch);
        let progress = &mut self.row.facts.progress;
        progress.ahead = progress.ahead.take().map(Ahead::ended);
        // Nobody waits for it: whoever is asked meanwhile passes on what is not its own.
        self.lead(&placed).await;
        Ok(Seen::Done)
    }

    /// The other processes learn it, and the proxy lets go. What it has parked comes all at once: where that came first,
    /// callers of the other processes would wait behind it.
    async fn let_go(
        &self,
        others: &[&Process],
        placed: &Placed,
    ) -> (Vec<Result<Waits, SeatError>>, Result<Waits, PortError>) {
        let seats = &self.desk.ports.seats;
        let told = join_all(others.iter().map(|at| within_seat(seats.settle(at, placed))));
        let mut told = pin!(told);
        let early = tokio::time::timeout(TOLD_FIRST, &mut told).await;
        let resume = self.desk.ports.traffic.resume(&placed.module, self.row.id);
        match early {
            Ok(told) => (told, resume.await),
            Err(_elapsed) => join(told, resume).await,
        }
    }

    pub(super) fn said(&self, placed: &Placed) -> Option<Process> {
        Some(Process {
            id: Id::fresh(),
            deployment: placed.owner.clone(),
            url: placed.url.clone()?,
            public_url: placed.public_url.clone(),
            modules: Vec::new(),
            seen_at: self.desk.store.clock().now(),
        })
    }

    async fn placed(&self, state: &State, live: &[Process]) -> Result<Placed, Trouble> {
        let (module, taker) = (self.row.module.clone(), self.row.taker(state.leg).clone());
        let at = (state.epoch + 1, taker.to_string());
        let said = self
            .desk
            .store
            .read::<_, Never>(&self.desk.call(LIST_TIME), move |c| {
                Ok(store::site(c, &module, &taker)?)
            })
            .await?;
        placed(self.row.module.clone(), &at, live, Some(&said), None)
            .ok_or_else(|| Trouble::Failed("the owner's name is none".to_owned()))
    }

    /// Leads the proxy to the owner.
    async fn lead(&mut self, placed: &Placed) {
        let Some(stage) = leading(placed) else { return };
        let traffic = &self.desk.ports.traffic;
        if let Err(error) = traffic.stage(&placed.module, self.row.id, &stage).await {
            self.row.facts.note(format!("the proxy was not led on: {error}"));
        }
    }

    /// From when on a process counts as one that told of itself of late.
    pub(super) fn live_since(&self) -> kernel_api::Timestamp {
        self.desk.store.clock().now().minus(self.desk.silent_after)
    }
}

pub(super) async fn within_seat<T>(
    asked: impl Future<Output = Result<T, SeatError>>,
) -> Result<T, SeatError> {
    within(SEAT_TIME, asked).await
}

async fn within<T>(
    time: Duration,
    asked: impl Future<Output = Result<T, SeatError>>,
) -> Result<T, SeatError> {
    match tokio::time::timeout(time, asked).await {
        Ok(answered) => answered,
        Err(_elapsed) => Err(SeatError::Away(format!("no answer in {} ms", time.as_millis()))),
    }
}

fn failures<'a, T>(
    at: &'a [Process],
    asked: &'a [Result<T, SeatError>],
) -> impl Iterator<Item = (&'a Process, String)> {
    at.iter().zip(asked).filter_map(|(at, asked)| Some((at, asked.as_ref().err()?.to_string())))
}
