//! The seats of other processes, asked over their operator API; one's own without a wire.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use contract::Rehearsal;
use http::Method;
use kernel_api::Id;
use placement_api::{
    Address, Carve, Hold, InFlight, Lend, Lent, Module, Placed, Process, SeatError, SeatState,
    Seats, Waits,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Oneself;
use crate::{http_client::HttpClient, shop};

/// How many tries a rehearsed call has: as many as the remote binding would make.
const TRIES: u32 = 3;

/// Connections kept to one process: a carve asks one thing at a time.
const CONNECTIONS: usize = 2;

/// Processes whose connections are kept: more than a deployment has; beyond it all are made anew.
const PROCESSES_MAX: usize = 256;

/// How long connections to the database may take to open: several times what they take on a busy machine.
const WARM_TIME: Duration = Duration::from_millis(500);

/// Who holds, and which gate it opens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Of which module.
    pub module: Module,
    /// Closed for which carve.
    pub carve: Id<Carve>,
}

/// A module that a process may be about to get.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warm {
    /// This one.
    pub module: Module,
}

/// A wish to rehearse a module's extraction on the calls of one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearse {
    /// Of which module.
    pub module: Module,
    /// So many of 100 calls; 0 ends the rehearsal.
    pub percent: u8,
    /// How long a request is on its way, in microseconds.
    pub latency_us: u64,
    /// So many of 100 requests, and of answers, get lost.
    pub loss_percent: u8,
}

impl Rehearse {
    /// The wire to rehearse; none where nothing is to be rehearsed.
    pub fn wire(&self) -> Option<Rehearsal> {
        let latency = Duration::from_micros(self.latency_us);
        (self.percent > 0).then(|| Rehearsal {
            percent: self.percent.min(100),
            latency: (latency, latency),
            loss_before_percent: self.loss_percent,
            loss_after_percent: self.loss_percent,
            tries_max: TRIES,
            ..Rehearsal::default()
        })
    }
}

/// The seats of every process.
pub struct Reaching {
    oneself: Arc<Oneself>,
    seats: Arc<shop::Seats>,
    control: String,
    clients: Mutex<HashMap<Address, HttpClient>>,
}

impl Reaching {
    /// From this process, with the deployment's control token.
    pub fn new(oneself: Arc<Oneself>, seats: Arc<shop::Seats>, control: String) -> Self {
        Self { oneself, seats, control, clients: Mutex::default() }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        at: &Process,
        (method, path): (Method, &str),
        body: Option<&impl Serialize>,
    ) -> Result<T, SeatError> {
        let client = self.client(&at.url).map_err(away)?;
        client.json(method, path, body).await.map_err(away)
    }

    fn client(&self, url: &Address) -> anyhow::Result<HttpClient> {
        // Replaced whole; a client is made without anything that could panic half way.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(url) {
            return Ok(client.clone());
        }
        if clients.len() >= PROCESSES_MAX {
            clients.clear();
        }
        let client = HttpClient::new(url.as_str(), &self.control, CONNECTIONS)?;
        clients.insert(url.clone(), client.clone());
        Ok(client)
    }

    /// The seat in this process, where it is this process that is meant.
    fn own(&self, at: &Process, module: &Module) -> Option<Result<&dyn shop::Seated, SeatError>> {
        (at.id == self.oneself.process).then(|| seat(&self.seats, module))
    }
}

/// A seat of this process.
pub fn seat<'s>(
    seats: &'s shop::Seats,
    module: &Module,
) -> Result<&'s dyn shop::Seated, SeatError> {
    let found = seats.get(module.as_str()).map(AsRef::as_ref);
    found.ok_or_else(|| SeatError::Refused(format!("there is no module `{module}`")))
}

/// Opens what this process needs to have the module of a seat.
pub async fn warm(seat: &dyn shop::Seated) -> Result<(), SeatError> {
    if seat.warm(WARM_TIME).await {
        return Ok(());
    }
    let detail = format!("not all connections were open in {} ms", WARM_TIME.as_millis());
    Err(SeatError::Away(detail))
}

/// Closes a gate of this process.
pub async fn hold(seat: &dyn shop::Seated, hold: &Hold) -> Result<InFlight, SeatError> {
    let (ttl, drain) = (Duration::from_millis(hold.ttl_ms), Duration::from_millis(hold.drain_ms));
    seat.hold(&hold.carve.to_string(), ttl, drain).await
}

/// Lends this process a copy of its own, or takes it back.
pub async fn lend(seat: &dyn shop::Seated, lend: &Lend) -> Result<Lent, SeatError> {
    seat.lend(lend.carve, Duration::from_millis(lend.ttl_ms)).await
}

fn away(error: anyhow::Error) -> SeatError {
    SeatError::Away(format!("{error:#}"))
}

#[async_trait]
impl Seats for Reaching {
    async fn hold(&self, at: &Process, wish: &Hold) -> Result<InFlight, SeatError> {
        match self.own(at, &wish.module) {
            Some(seat) => hold(seat?, wish).await,
            None => self.ask(at, (Method::POST, "/ops/seats/hold"), Some(wish)).await,
        }
    }

    async fn warm(&self, at: &Process, module: &Module) -> Result<(), SeatError> {
        match self.own(at, module) {
            Some(seat) => warm(seat?).await,
            None => {
                let wish = Warm { module: module.clone() };
                self.ask(at, (Method::POST, "/ops/seats/warm"), Some(&wish)).await
            }
        }
    }

    async fn settle(&self, at: &Process, placed: &Placed) -> Result<Waits, SeatError> {
        match self.own(at, &placed.module) {
            Some(seat) => seat?.settle(placed).await,
            None => self.ask(at, (Method::POST, "/ops/seats/settle"), Some(placed)).await,
        }
    }

    async fn release(
        &self,
        at: &Process,
        module: &Module,
        carve: Id<Carve>,
    ) -> Result<Waits, SeatError> {
        match self.own(at, module) {
            Some(seat) => Ok(seat?.release(&carve.to_string())),
            None => {
                let wish = Release { module: module.clone(), carve };
                self.ask(at, (Method::POST, "/ops/seats/release"), Some(&wish)).await
            }
        }
    }

    async fn lend(&self, at: &Process, wish: &Lend) -> Result<Lent, SeatError> {
        match self.own(at, &wish.module) {
            Some(seat) => lend(seat?, wish).await,
            None => self.ask(at, (Method::POST, "/ops/seats/lend"), Some(wish)).await,
        }
    }

    async fn state(&self, at: &Process) -> Result<Vec<SeatState>, SeatError> {
        if at.id == self.oneself.process {
            return Ok(self.seats.values().map(|seat| seat.state()).collect());
        }
        self.ask(at, (Method::GET, "/ops/seats"), None::<&()>).await
    }
}
