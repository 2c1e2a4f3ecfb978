//! Sagas as an operator sees them.

use contract::{Answer, Call, Fault};
use kernel_api::{Page, PageRequest};
use ordering_api::{Abandonment, Saga, SagaError, SagaStatus, SagasWish, Settling};
use saga::{Abandon, AbandonError, RetryError, SagaFilter, SagaView, Status};

use super::{Service, offers::never, paging};

impl Service {
    pub(super) async fn list_sagas(
        &self,
        call: &Call,
        wish: SagasWish,
    ) -> Answer<Page<Saga>, SagaError> {
        let SagasWish { status, page } = wish;
        let after = paging::after(page.after.as_deref());
        let after = after.ok_or(Fault::Refused(SagaError::BadCursor))?;
        let page = PageRequest { after: Some(after), limit: page.limit };
        let filter = SagaFilter { status: status.map(inner), kind: None };
        let found = self.runner.list(call, filter, page).await.map_err(never)?;
        Ok(found.map(shown))
    }

    pub(super) async fn show_saga(&self, call: &Call, id: saga::SagaId) -> Answer<Saga, SagaError> {
        let missing = |fault: Fault<saga::Missing>| fault.map(|_missing| SagaError::NotFound);
        Ok(shown(self.runner.show(call, id).await.map_err(missing)?))
    }

    pub(super) async fn retry(&self, call: &Call, id: saga::SagaId) -> Answer<Saga, SagaError> {
        let view = self.runner.retry(call, id).await.map_err(|fault| {
            fault.map(|refusal| match refusal {
                RetryError::NotFound => SagaError::NotFound,
                RetryError::NotStuck { .. } => SagaError::NotStuck,
            })
        })?;
        Ok(shown(view))
    }

    pub(super) async fn abandon(
        &self,
        call: &Call,
        id: saga::SagaId,
        how: Abandonment,
    ) -> Answer<Saga, SagaError> {
        let how = match how {
            Abandonment::Compensate => Abandon::Compensate,
            Abandonment::Close { note } => Abandon::Close { note },
        };
        let view = self.runner.abandon(call, id, how).await.map_err(|fault| {
            fault.map(|refusal| match refusal {
                AbandonError::NotFound => SagaError::NotFound,
                AbandonError::NotStuck { .. } => SagaError::NotStuck,
                AbandonError::NoWayBack { reason } => SagaError::NoWayBack { reason },
            })
        })?;
        Ok(shown(view))
    }

    pub(super) async fn in_flight(&self, call: &Call) -> Answer<Settling, contract::Never> {
        let (running, stuck) = self.runner.open(call).await?;
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Settling { running: count(running), stuck: count(stuck) })
    }
}

fn shown(view: SagaView) -> Saga {
    Saga {
        id: view.id.cast(),
        kind: view.kind,
        status: outer(view.status),
        step: view.step,
        attempts: view.attempts,
        in_doubt: view.in_doubt,
        reason: view.reason,
        next_try_at: view.next_try_at,
        created_at: view.created_at,
        updated_at: view.updated_at,
        state: view.state,
    }
}

fn outer(status: Status) -> SagaStatus {
    match status {
        Status::Running => SagaStatus::Running,
        Status::Done => SagaStatus::Done,
        Status::Compensated => SagaStatus::Compensated,
        Status::Stuck => SagaStatus::Stuck,
        Status::Closed => SagaStatus::Closed,
    }
}

fn inner(status: SagaStatus) -> Status {
    match status {
        SagaStatus::Running => Status::Running,
        SagaStatus::Done => Status::Done,
        SagaStatus::Compensated => Status::Compensated,
        SagaStatus::Stuck => Status::Stuck,
        SagaStatus::Closed => Status::Closed,
    }
}
