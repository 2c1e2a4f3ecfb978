//! The contract, kept: each command is one transaction, each query one read.

mod announcing;
mod beginning;
mod paging;
mod surveying;

use std::sync::Arc;

use contract::{Answer, Call, Command, Fault, Never, async_trait};
use kernel_api::{Id, Page};
use placement_api::{
    Announce, AnnounceError, Begin, BeginError, Carve, CarveError, Carves, Certificate, DryRun,
    DryRunError, Entry, Journal, JournalError, MODULES_MAX, PageError, Placement, Process,
    Readiness, Steer, SteerError, Table,
};

use ::store::{Abort, Tx};

use crate::{
    desk::{Desk, table},
    domain::{certificate, steered},
    store,
};

/// How often a wish is read anew because the coordinator wrote in between.
const REREADS_MAX: u32 = 20;

/// Placement on its own store.
pub(crate) struct Service {
    desk: Arc<Desk>,
}

impl Service {
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    fn since(&self) -> kernel_api::Timestamp {
        self.desk.store.clock().now().minus(self.desk.silent_after)
    }
}

#[async_trait]
impl Placement for Service {
    async fn placed(&self, call: &Call, _nothing: ()) -> Answer<Table, Never> {
        let since = self.since();
        self.desk.store.read(call, move |c| Ok(table(c, since)?)).await
    }

    async fn processes(&self, call: &Call, _nothing: ()) -> Answer<Vec<Process>, Never> {
        let since = self.since();
        self.desk.store.read(call, move |c| Ok(store::live_processes(c, since)?)).await
    }

    async fn carves(&self, call: &Call, wish: Carves) -> Answer<Page<Carve>, PageError> {
        let limit = wish.page.limit();
        let before = paging::before_of(wish.page.after)?;
        self.desk
            .store
            .read(call, move |c| {
                let module = wish.module.as_ref();
                let rows = store::carves(c, &before, module, i64::from(limit) + 1)?;
                let page = Page::of(rows, limit, |row| row.id.to_string());
                Ok(page.map(|row| row.shown()))
            })
            .await
    }

    async fn carve(&self, call: &Call, id: Id<Carve>) -> Answer<Carve, CarveError> {
        self.desk
            .store
            .read(call, move |c| {
                let row = store::carve(c, id)?.ok_or(Abort::Refused(CarveError::NotFound))?;
                Ok(row.shown())
            })
            .await
    }

    async fn journal(&self, call: &Call, wish: Journal) -> Answer<Page<Entry>, JournalError> {
        let limit = wish.page.limit();
        let after = paging::number_of(wish.page.after)?;
        self.desk
            .store
            .read(call, move |c| {
                let rows = store::entries(c, wish.carve, after, i64::from(limit) + 1)?;
                if rows.is_empty() && store::carve(c, wish.carve)?.is_none() {
                    return Err(Abort::Refused(JournalError::NotFound));
                }
                Ok(Page::of(rows, limit, |entry| entry.number.to_string()))
            })
            .await
    }

    async fn certificate(&self, call: &Call, id: Id<Carve>) -> Answer<Certificate, CarveError> {
        let configuration = self.desk.configuration_sha256.clone();
        self.desk
            .store
            .read(call, move |c| {
                let row = store::carve(c, id)?.ok_or(Abort::Refused(CarveError::NotFound))?;
                Ok(certificate(&row.shown(), &row.facts, &configuration))
            })
            .await
    }

    async fn readiness(&self, call: &Call, wish: DryRun) -> Answer<Readiness, DryRunError> {
        surveying::readiness(&self.desk, call, wish).await
    }

    async fn begin(&self, command: &Command, wish: Begin) -> Answer<Carve, BeginError> {
        let (asked, wish) = (wish.clone(), Arc::new(wish));
        let begun = self
            .desk
            .store
            .command(command, "begin", &asked, move |tx| beginning::begin(tx, &wish))
            .await?;
        self.desk.wake.notify_waiters();
        Ok(begun)
    }

    async fn steer(&self, command: &Command, wish: Steer) -> Answer<Carve, SteerError> {
        let asked = wish.clone();
        let answer =
            self.desk.store.command(command, "steer", &asked, move |tx| steer(tx, &wish)).await?;
        self.desk.wake.notify_waiters();
        Ok(answer)
    }

    async fn announce(&self, command: &Command, wish: Announce) -> Answer<Table, AnnounceError> {
        if wish.modules.len() > MODULES_MAX {
            return Err(Fault::Refused(AnnounceError::TooManyModules));
        }
        let silent_after = self.desk.silent_after;
        self.desk
            .store
            .write(command, move |tx| announcing::announce(tx, &wish, silent_after))
            .await
    }
}

/// Notes a wish over whatever the coordinator has written by now.
fn steer(tx: &mut Tx<'_>, wish: &Steer) -> Result<Carve, Abort<SteerError>> {
    for _ in 0..REREADS_MAX {
        let row = store::carve(tx.connection(), wish.carve)?
            .ok_or(Abort::Refused(SteerError::NotFound))?;
        let state = steered(row.state, wish.wish).map_err(Abort::Refused)?;
        let ended_at = row.ended_at;
        if store::update_carve(tx.connection(), &row, &state, &row.facts, ended_at)? {
            return Ok(store::CarveRow { state, ..row }.shown());
        }
    }
    // Not with a database that gives the newest at each read; an honest end all the same.
    Err(Abort::from(diesel::NotFound))
}
