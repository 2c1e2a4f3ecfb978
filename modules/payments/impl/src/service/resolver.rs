//! The worker that asks the provider again, for intents whose caller went away or whose process died; and the one that
//! hears what the provider says by itself.

use std::time::Duration;

use ::store::Abort;
use contract::{Answer, Call, Caller, Deadline, Never, Ownership};
use kernel_api::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::Service;
use crate::{
    provider::Notice,
    store::{self, Pending},
};

/// How many intents one round asks for, all at the same time: bounds what a provider that comes back after an hour gets
/// at once.
const ROUND_MAX: i64 = 16;

/// The longest wait between two askings for one intent.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// How long the reading and writing around an asking may take.
const STORE_TIME: Duration = Duration::from_secs(15);

/// Asks again, every so often, for as long as the module is here.
pub(crate) async fn resolve(
    service: Service,
    every: Duration,
    mut ownership: watch::Receiver<Ownership>,
) {
    while ownership.wait_for(Ownership::is_here).await.is_ok() {
        let full = match service.resolve_due().await {
            Ok(count) => count >= ROUND_MAX,
            Err(fault) => {
                tracing::warn!(%fault, "pending payments cannot be looked for");
                false
            }
        };
        if full {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ended = ownership.wait_for(|ownership| !ownership.is_here()) => {}
        }
    }
}

/// Books what the provider says by itself.
pub(crate) async fn hear(service: Service, mut notices: mpsc::Receiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        if let Err(fault) = service.heard(notice).await {
            // Nothing is lost: the intent stands, and the resolver asks.
            tracing::info!(%fault, "the provider's notice was not booked");
        }
    }
}

impl Service {
    /// Asks again for everything that is due; for how many intents.
    pub async fn resolve_due(&self) -> Answer<i64, Never> {
        let now = self.store.clock().now();
        let due = self
            .store
            .read::<_, Never>(&call(), move |c| Ok(store::due(c, now, ROUND_MAX)?))
            .await?;
        let count = i64::try_from(due.len()).unwrap_or(ROUND_MAX);
        let mut round = JoinSet::new();
        for pending in due {
            let service = self.clone();
            round.spawn(async move { service.resolve_one(pending).await });
        }
        while let Some(done) = round.join_next().await {
            if let Err(error) = done {
                tracing::error!(%error, "asking again for a pending payment ended badly");
            }
        }
        Ok(count)
    }

    async fn resolve_one(&self, pending: Pending) {
        let (payment, kind) = (pending.payment, pending.intent.kind);
        let Err(fault) = self.carry_through::<Never>(&call(), pending.clone()).await else {
            tracing::info!(%payment, ?kind, "a pending payment is settled");
            return;
        };
        let now = self.store.clock().now();
        let to = now.plus(wait(&pending, now, self.patience.again));
        tracing::info!(%payment, ?kind, %fault, next = %to, "a payment is still pending");
        let call = call();
        let postponed =
            self.store.write::<_, Never>(&call, move |tx| Ok(store::postpone(tx, &pending, to)?));
        if let Err(fault) = postponed.await {
            tracing::debug!(%fault, "the next asking was not put off; it comes sooner");
        }
    }

    /// Books an answer that came by itself, if it is the one that is waited for. Answers that come again are not.
    pub async fn heard(&self, notice: Notice) -> Answer<(), Never> {
        let id = notice.payment;
        let pending = self
            .store
            .read::<_, Never>(&call(), move |c| {
                let row = store::payment(c, id)?;
                Ok(row.map(|row| row.pending()).transpose().map_err(Abort::Failed)?.flatten())
            })
            .await?;
        match pending {
            Some(pending) if pending.intent.reference == notice.reference => {
                self.settle(&call(), pending, notice.outcome).await.map(|_settled| ())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Half the intent's age again, so that the tries of an outage thin out by themselves without a count of them.
fn wait(pending: &Pending, now: Timestamp, least: Duration) -> Duration {
    (now.since(pending.intent.since) / 2).clamp(least.min(WAIT_MAX), WAIT_MAX)
}

fn call() -> Call {
    Call::new(Caller::module("payments"), Deadline::within(STORE_TIME))
}
