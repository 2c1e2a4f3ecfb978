//! The operations that ask the provider: intent, asking, settling.

use std::time::Duration;

use ::store::Tx;
use contract::{Answer, Call, Command, Deadline, Fault, Never, NotExecuted, Reason};
use diesel::{QueryResult, result::Error};
use payments_api::{EntryReason, OperationKind, Outcome, Receipt};

use super::{
    Service,
    begin::{Begun, Stop, begin_change, begin_opening},
    refusals::{NotChanged, NotOpened},
    wishes::{Changing, Opening},
};
use crate::{
    domain,
    provider::Ask,
    store::{self, Entered, OperationRow, Pending},
};

/// How long the booking of an answer may take, whatever the caller's deadline: the money has moved, so it is worth
/// waiting for a slow disk.
const SETTLE_TIME: Duration = Duration::from_secs(15);

/// How often an operation makes way for another one of its payment before its caller is told to come back.
const TURNS_MAX: u32 = 3;

/// When to come back while another operation waits for the provider.
const RETRY_WHEN_PENDING: Duration = Duration::from_secs(1);

impl Service {
    /// Makes a payment.
    pub(super) async fn open(
        &self,
        command: &Command,
        opening: Opening,
    ) -> Answer<Receipt, NotOpened> {
        domain::opening(opening.pending.intent.amount)
            .map_err(|_bad| Fault::Refused(NotOpened::BadAmount))?;
        let patience = self.patience.again;
        let answer =
            self.store.write(command, move |tx| begin_opening(tx, opening.clone(), patience)).await;
        let settled = match begun(answer, command)? {
            Begun::Settled(row) => *row,
            Begun::Pending(pending) => self.carry_through(command, *pending).await?,
            Begun::Behind(_) | Begun::Overtaken => return Err(Fault::Refused(NotOpened::Exists)),
        };
        receipt(&settled)?.map_err(|reason| Fault::Refused(NotOpened::Declined(reason)))
    }

    /// Changes a payment.
    pub(super) async fn change<R>(
        &self,
        command: &Command,
        changing: Changing<R>,
    ) -> Answer<Receipt, R>
    where
        R: From<NotChanged> + Clone + Send + 'static,
    {
        let patience = self.patience.again;
        for _turn in 0..TURNS_MAX {
            let changing = changing.clone();
            let answer =
                self.store.write(command, move |tx| begin_change(tx, &changing, patience)).await;
            let settled = match begun(answer, command)? {
                Begun::Settled(row) => *row,
                Begun::Pending(pending) => self.carry_through(command, *pending).await?,
                Begun::Behind(other) => {
                    // What it says goes to the other's caller; this one only needs it out of the way.
                    if let Err(fault) = self.carry_through::<Never>(command, *other).await {
                        tracing::debug!(%fault, "the operation before this one is still pending");
                        break;
                    }
                    continue;
                }
                Begun::Overtaken => continue,
            };
            let refused = |reason| Fault::Refused(R::from(NotChanged::Declined(reason)));
            return receipt(&settled)?.map_err(refused);
        }
        let waiting = "another operation of this payment waits for the payment provider";
        Err(NotExecuted::new(Reason::Unavailable, waiting).after(RETRY_WHEN_PENDING).into())
    }

    /// From an intent that is certainly written to the operation that is certainly booked.
    pub(super) async fn carry_through<R>(
        &self,
        call: &Call,
        pending: Pending,
    ) -> Answer<OperationRow, R> {
        let intent = &pending.intent;
        let kind = match intent.kind {
            OperationKind::Refund if intent.history => OperationKind::Credit,
            kind => kind,
        };
        let ask = Ask {
            reference: intent.reference.clone(),
            payment: pending.payment,
            kind,
            amount: intent.amount,
            token: intent.token.clone(),
        };
        let patience = self.patience.answer.min(call.deadline.remaining());
        let outcome = match tokio::time::timeout(patience, self.provider.ask(&ask)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(silence)) => return Err(Fault::unknown(silence.to_string())),
            Err(_elapsed) => {
                return Err(Fault::unknown("the payment provider did not answer in time"));
            }
        };
        self.settle(call, pending, outcome).await
    }

    /// Books the provider's answer, unless it is booked already.
    pub(super) async fn settle<R>(
        &self,
        call: &Call,
        pending: Pending,
        outcome: Outcome,
    ) -> Answer<OperationRow, R> {
        let call = Call { deadline: Deadline::within(SETTLE_TIME), ..call.clone() };
        let settled =
            self.store.write::<_, Never>(&call, move |tx| Ok(book(tx, &pending, &outcome)?));
        settled.await.map_err(|fault| {
            // The provider has answered, so "not executed" would be a lie; the intent stands and is asked again.
            tracing::warn!(%fault, "the provider's answer could not be booked yet");
            Fault::unknown(format!("the provider's answer is not booked yet: {fault}"))
        })
    }
}

/// The second transaction. Only writes, unless somebody else was faster.
fn book(tx: &mut Tx<'_>, pending: &Pending, outcome: &Outcome) -> QueryResult<OperationRow> {
    let intent = &pending.intent;
    let change = domain::effect(intent.kind, intent.amount.minor, outcome);
    if !store::settle(tx, pending, change)? {
        let known = store::operation(tx.connection(), &pending.key)?;
        return known.ok_or(Error::NotFound);
    }
    let row = OperationRow::of(pending, outcome, tx.now())?;
    store::insert_operation(tx, &row)?;
    let entry_reason = match intent.kind {
        OperationKind::Capture => Some(EntryReason::Captured),
        OperationKind::Refund => Some(EntryReason::Refunded),
        OperationKind::Credit => Some(EntryReason::Credited),
        OperationKind::Authorise | OperationKind::Void => None,
    };
    if let (Outcome::Done, Some(reason)) = (outcome, entry_reason) {
        let entered = Entered {
            id: intent.reference.clone(),
            reason,
            reference: row.payment_id.clone(),
            subject: intent.subject.clone(),
            at: tx.now(),
        };
        let booking = domain::moved(intent.kind, intent.amount);
        let booking =
            booking.ok_or_else(|| Error::SerializationError("amount too large".into()))?;
        store::enter(tx, &store::transfer_rows(&entered, &booking)?)?;
    }
    Ok(row)
}

/// Where the first transaction ended; one that was given up because the key is settled ended well.
fn begun<R>(answer: Answer<Begun, Stop<R>>, command: &Command) -> Answer<Begun, R> {
    match answer {
        Ok(begun) => Ok(begun),
        Err(Fault::Refused(Stop::Settled(row))) => Ok(Begun::Settled(row)),
        Err(Fault::Refused(Stop::Refused(refusal))) => Err(Fault::Refused(refusal)),
        Err(Fault::Refused(Stop::KeyReused)) => Err(Fault::not_executed(
            Reason::KeyReused,
            format!("key `{}` was used for another request", command.key),
        )),
        Err(Fault::NotExecuted(reason)) => Err(Fault::NotExecuted(reason)),
        Err(Fault::Unknown(reason)) => Err(Fault::Unknown(reason)),
    }
}

fn receipt<R>(settled: &OperationRow) -> Result<Result<Receipt, String>, Fault<R>> {
    // The row was written by us a moment or a month ago; unreadable means a damaged database.
    settled.answer().map_err(|error| Fault::unknown(error.to_string()))
}
