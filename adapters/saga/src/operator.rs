//! What an operator sees of sagas and may do about stuck ones.

use std::sync::Arc;

use ::store::Abort;
use contract::{Answer, Call, Never};
use kernel_api::{Page, PageRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ApplyError, Runner, SagaFilter, SagaId, SagaView, Status,
    driver::{Unreadable, Written},
    runner::Missing,
    store::{self, SagaRow},
};

/// How an operator gives a stuck saga up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Abandon {
    /// Undo what it has done: it goes on with its definition's compensation.
    Compensate,
    /// Nothing more: the operator has settled it by hand, in every module that it had touched. Nothing of the module's
    /// own rows changes.
    Close {
        /// What was done, for whoever looks later.
        note: String,
    },
}

/// Why a saga was not tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum RetryError {
    /// There is none with this id.
    #[error("there is no such saga")]
    NotFound,
    /// Only a stuck one needs it.
    #[error("it is {status}, not stuck")]
    NotStuck {
        /// How far it is.
        status: Status,
    },
}

/// Why a saga was not given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum AbandonError {
    /// There is none with this id.
    #[error("there is no such saga")]
    NotFound,
    /// Only a stuck one can be given up: any other comes to an end by itself.
    #[error("it is {status}, not stuck")]
    NotStuck {
        /// How far it is.
        status: Status,
    },
    /// There is no way back from where it stands: retry it, or settle it by hand and close it.
    #[error("it cannot be undone: {reason}")]
    NoWayBack {
        /// Why.
        reason: String,
    },
}

enum Refused {
    Missing,
    NotStuck(Status),
    NoWayBack(String),
}

impl Runner {
    /// The sagas of the module, by id: those of one process are in the order of their starts.
    pub async fn list(
        &self,
        call: &Call,
        filter: SagaFilter,
        page: PageRequest,
    ) -> Answer<Page<SagaView>, Never> {
        let limit = page.limit();
        let after = page.after.unwrap_or_default();
        let found = self.core.store.read(call, move |c| {
            let rows = store::list(c, &filter, &after, limit + 1)?;
            Ok(rows.into_iter().map(SagaView::of).collect::<Result<Vec<_>, _>>()?)
        });
        Ok(Page::of(found.await?, limit, |saga| saga.id.to_string()))
    }

    /// One saga.
    pub async fn show(&self, call: &Call, id: SagaId) -> Answer<SagaView, Missing> {
        let found = self.core.store.read(call, move |c| {
            let row = store::find(c, id)?.ok_or(Abort::Refused(Missing))?;
            Ok(SagaView::of(row)?)
        });
        found.await
    }

    /// Sets a stuck saga going again from where it stands, with all its tries before it and the keys it has always used.
    pub async fn retry(&self, call: &Call, id: SagaId) -> Answer<SagaView, RetryError> {
        let retried = self.core.store.write(call, move |tx| {
            let now = tx.now().micros();
            let row = stuck(tx, id)?;
            let from = row.revision;
            let next = SagaRow {
                status: Status::Running.as_str().to_owned(),
                attempts: 0,
                next_try_at: now,
                updated_at: now,
                ..free(row)
            };
            write(tx, from, &next)?;
            Ok(SagaView::of(next)?)
        });
        let view = retried.await.map_err(|fault| {
            fault.map(|refused| match refused {
                Refused::Missing | Refused::NoWayBack(_) => RetryError::NotFound,
                Refused::NotStuck(status) => RetryError::NotStuck { status },
            })
        })?;
        tracing::info!(saga = %id, "an operator retries a saga");
        self.core.put_down.notify_one();
        Ok(view)
    }

    /// Gives a stuck saga up: see [`Abandon`].
    pub async fn abandon(
        &self,
        call: &Call,
        id: SagaId,
        how: Abandon,
    ) -> Answer<SagaView, AbandonError> {
        let core = Arc::clone(&self.core);
        let order = how.clone();
        let abandoned = self.core.store.write(call, move |tx| {
            let row = stuck(tx, id)?;
            match &order {
                Abandon::Close { note } => {
                    let (now, from) = (tx.now().micros(), row.revision);
                    let next = SagaRow {
                        status: Status::Closed.as_str().to_owned(),
                        last_error: Some(format!("closed by an operator: {note}")),
                        updated_at: now,
                        ..free(row)
                    };
                    write(tx, from, &next)?;
                    Ok(SagaView::of(next)?)
                }
                Abandon::Compensate => {
                    let definition = core.definitions.get(row.kind.as_str()).ok_or_else(|| {
                        no_way(format!("this process knows no sagas of kind `{}`", row.kind))
                    })?;
                    let back = match definition.compensation(&row) {
                        Ok(Some(back)) => back,
                        Ok(None) => return Err(no_way(format!("not from `{}`", row.step))),
                        Err(Unreadable::Newer(why) | Unreadable::Broken(why)) => {
                            return Err(no_way(why));
                        }
                    };
                    turn_back(tx, row, back)
                }
            }
        });
        let view = abandoned.await.map_err(|fault| {
            fault.map(|refused| match refused {
                Refused::Missing => AbandonError::NotFound,
                Refused::NotStuck(status) => AbandonError::NotStuck { status },
                Refused::NoWayBack(reason) => AbandonError::NoWayBack { reason },
            })
        })?;
        tracing::warn!(saga = %id, ?how, "an operator abandons a saga");
        self.core.put_down.notify_one();
        Ok(view)
    }
}

fn no_way(reason: String) -> Abort<Refused> {
    Abort::Refused(Refused::NoWayBack(reason))
}

fn stuck(tx: &mut ::store::Tx<'_>, id: SagaId) -> Result<SagaRow, Abort<Refused>> {
    let row = store::find(tx.connection(), id)?.ok_or(Abort::Refused(Refused::Missing))?;
    let status = row.status();
    if status != Status::Stuck {
        return Err(Abort::Refused(Refused::NotStuck(status)));
    }
    Ok(row)
}

/// The row as the next revision of a saga that nobody drives.
fn free(row: SagaRow) -> SagaRow {
    SagaRow { revision: row.revision + 1, lease_owner: String::new(), lease_until_at: 0, ..row }
}

fn write(tx: &mut ::store::Tx<'_>, from: i64, next: &SagaRow) -> Result<(), Abort<Refused>> {
    if store::record(tx.connection(), from, next)? {
        return Ok(());
    }
    // Another operator was faster: it is not stuck any more.
    Err(Abort::Refused(Refused::NotStuck(Status::Running)))
}

fn turn_back(
    tx: &mut ::store::Tx<'_>,
    row: SagaRow,
    back: Written,
) -> Result<SagaView, Abort<Refused>> {
    let (now, from) = (tx.now().micros(), row.revision);
    let next = SagaRow {
        version: i64::from(back.version),
        state: back.state,
        step: back.step,
        status: back.status.as_str().to_owned(),
        attempts: 0,
        in_doubt: false,
        next_try_at: now,
        last_error: None,
        updated_at: now,
        ..free(row)
    };
    write(tx, from, &next)?;
    if let Some(mut effects) = back.effects {
        effects(tx).map_err(|error| match error {
            ApplyError::Forbidden(reason) => no_way(reason),
            ApplyError::Database(error) => Abort::Failed(error),
        })?;
    }
    Ok(SagaView::of(next)?)
}
