//! The import of the past: planned in memory against what is known, then written in chunks, in one transaction.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ::store::{Abort, Store, Tx};
use contract::{Answer, Command, Fault};
use diesel::QueryResult;
use kernel_api::{Id, Money, Timestamp};
use payments_api::{
    EntryReason, HISTORY_RECORDS_MAX, History, HistoryRecord, ImportError, Imported, OperationKind,
    Outcome, Payment, PaymentKind, Refund, RefundReason,
};

use crate::{
    domain,
    store::{self, Entered, Intent, OperationRow, PaymentRow, Pending, TransferRow},
};

/// Books the records, all or none.
pub(super) async fn import(
    store: &Store,
    command: &Command,
    history: History,
) -> Answer<Imported, ImportError> {
    if u32::try_from(history.records.len()).map_or(true, |count| count > HISTORY_RECORDS_MAX) {
        return Err(Fault::Refused(ImportError::TooMany { max: HISTORY_RECORDS_MAX }));
    }
    let shared = Arc::new(history);
    let records = Arc::clone(&shared);
    store.command(command, "import", &*shared, move |tx| book(tx, &records.records)).await
}

fn book(tx: &mut Tx<'_>, records: &[HistoryRecord]) -> Result<Imported, Abort<ImportError>> {
    let (payments, refunds) = ids(records);
    let mut plan = Plan {
        known: store::known_payments(tx.connection(), &payments)?,
        refunds: store::known_refunds(tx.connection(), &refunds)?,
        ..Plan::default()
    };
    for (place, record) in (0..).zip(records) {
        plan.add(place, record)?;
    }
    store::insert_payments(tx, &plan.payments)?;
    for (id, amount, record) in &plan.refunded {
        // The payment was read without a lock: a refund that is under way, or came in between, keeps this one out.
        if !store::add_refunded(tx, id, *amount)? {
            return Err(Abort::Refused(ImportError::Disagrees { record: *record }));
        }
    }
    store::insert_operations(tx, &plan.operations)?;
    store::insert_transfers(tx, &plan.transfers)?;
    Ok(plan.imported)
}

/// The payments that the records name, and the refunds.
fn ids(records: &[HistoryRecord]) -> (Vec<String>, Vec<String>) {
    let mut refunds = Vec::new();
    let payments = records.iter().map(|record| match record {
        HistoryRecord::Charge { payment, .. } => payment.to_string(),
        HistoryRecord::Credit { credit, .. } => credit.to_string(),
        HistoryRecord::Refund { payment, refund, .. } => {
            refunds.push(refund.to_string());
            payment.to_string()
        }
    });
    (payments.collect(), refunds)
}

/// What is to be written.
#[derive(Default)]
struct Plan {
    /// Payments that were there before.
    known: HashMap<String, PaymentRow>,
    /// Refunds that were there before or are in the plan.
    refunds: HashSet<String>,
    /// New payments, and where each stands in the list.
    payments: Vec<PaymentRow>,
    places: HashMap<String, usize>,
    /// Refunds of payments that were there before: id, amount and record.
    refunded: Vec<(String, i64, u32)>,
    operations: Vec<OperationRow>,
    transfers: Vec<TransferRow>,
    imported: Imported,
}

/// Money that moved, in one shape for the three records.
struct Moved {
    payment: Id<Payment>,
    kind: OperationKind,
    amount: Money,
    subject: String,
    refund: Option<Id<Refund>>,
    reason: Option<RefundReason>,
    at: Timestamp,
}

impl Plan {
    fn add(&mut self, record: u32, of: &HistoryRecord) -> Result<(), Abort<ImportError>> {
        match of {
            HistoryRecord::Charge { payment, order, amount, at } => {
                let row =
                    row(*payment, PaymentKind::Charge, Some(order.to_string()), *amount, *at)?;
                let moved = Moved {
                    payment: *payment,
                    kind: OperationKind::Capture,
                    amount: *amount,
                    subject: order.to_string(),
                    refund: None,
                    reason: None,
                    at: *at,
                };
                self.add_payment(record, row, &moved)
            }
            HistoryRecord::Credit { credit, amount, reason, at } => {
                let row = row(*credit, PaymentKind::Credit, None, *amount, *at)?;
                let moved = Moved {
                    payment: *credit,
                    kind: OperationKind::Credit,
                    amount: *amount,
                    subject: credit.to_string(),
                    refund: None,
                    reason: Some(reason.clone()),
                    at: *at,
                };
                self.add_payment(record, row, &moved)
            }
            HistoryRecord::Refund { refund, payment, amount, reason, at } => {
                let moved = Moved {
                    payment: *payment,
                    kind: OperationKind::Refund,
                    amount: *amount,
                    subject: String::new(),
                    refund: Some(*refund),
                    reason: Some(reason.clone()),
                    at: *at,
                };
                self.add_refund(record, *refund, moved)
            }
        }
    }

    fn add_payment(
        &mut self,
        record: u32,
        row: PaymentRow,
        moved: &Moved,
    ) -> Result<(), Abort<ImportError>> {
        amount_fits(record, moved.amount)?;
        let before = match self.places.get(&row.id) {
            Some(place) => self.payments.get(*place),
            None => self.known.get(&row.id),
        };
        if let Some(before) = before {
            let named = |row: &PaymentRow| {
                let money = (row.currency.clone(), row.amount);
                (row.kind.clone(), row.order_id.clone(), money, row.history)
            };
            if named(before) != named(&row) {
                return Err(Abort::Refused(ImportError::Disagrees { record }));
            }
            self.imported.known += 1;
            return Ok(());
        }
        self.places.insert(row.id.clone(), self.payments.len());
        self.payments.push(row);
        Ok(self.write(moved)?)
    }

    fn add_refund(
        &mut self,
        record: u32,
        refund: Id<Refund>,
        mut moved: Moved,
    ) -> Result<(), Abort<ImportError>> {
        amount_fits(record, moved.amount)?;
        if !self.refunds.insert(refund.to_string()) {
            self.imported.known += 1;
            return Ok(());
        }
        let id = moved.payment.to_string();
        let new = self.places.get(&id).and_then(|place| self.payments.get_mut(*place));
        let (row, is_new) = match new {
            Some(row) => (row, true),
            None => match self.known.get_mut(&id) {
                Some(row) => (row, false),
                None => {
                    let payment = moved.payment;
                    return Err(Abort::Refused(ImportError::NoSuchPayment { record, payment }));
                }
            },
        };
        let standing = row.standing()?;
        let comparable = row.history && standing.kind == PaymentKind::Charge;
        if !comparable || standing.currency != moved.amount.currency {
            return Err(Abort::Refused(ImportError::Disagrees { record }));
        }
        let left = Money::new(standing.left_to_refund(), standing.currency);
        if moved.amount.minor > left.minor {
            return Err(Abort::Refused(ImportError::TooMuch { record, left }));
        }
        row.refunded += moved.amount.minor;
        moved.subject = row.subject();
        if !is_new {
            self.refunded.push((id, moved.amount.minor, record));
        }
        Ok(self.write(&moved)?)
    }

    /// The operation and its entry.
    fn write(&mut self, moved: &Moved) -> QueryResult<()> {
        let id =
            moved.refund.map_or_else(|| moved.payment.to_string(), |refund| refund.to_string());
        let kind = store::word(&moved.kind)?;
        let intent = Intent {
            kind: moved.kind,
            amount: moved.amount,
            reference: Id::<Payment>::fresh().to_string(),
            subject: moved.subject.clone(),
            token: None,
            history: true,
            refund: moved.refund,
            reason: moved.reason.clone(),
            request_hash: String::new(),
            since: moved.at,
        };
        let entered = Entered {
            id: intent.reference.clone(),
            reason: match moved.kind {
                OperationKind::Refund => EntryReason::Refunded,
                OperationKind::Credit => EntryReason::Credited,
                OperationKind::Authorise | OperationKind::Capture | OperationKind::Void => {
                    EntryReason::Captured
                }
            },
            reference: moved.payment.to_string(),
            subject: moved.subject.clone(),
            at: moved.at,
        };
        // Callers cannot say "history", so this key is nobody else's.
        let pending =
            Pending { payment: moved.payment, key: format!("history {kind} {id}"), intent };
        self.operations.push(OperationRow::of(&pending, &Outcome::Done, moved.at)?);
        if let Some(booking) = domain::moved(moved.kind, moved.amount) {
            self.transfers.extend(store::transfer_rows(&entered, &booking)?);
        }
        self.imported.booked += 1;
        Ok(())
    }
}

fn amount_fits(record: u32, amount: Money) -> Result<(), Abort<ImportError>> {
    domain::opening(amount).map_err(|_bad| Abort::Refused(ImportError::BadAmount { record }))
}

/// A payment that was settled in full long ago.
fn row(
    id: Id<Payment>,
    kind: PaymentKind,
    order_id: Option<String>,
    amount: Money,
    at: Timestamp,
) -> QueryResult<PaymentRow> {
    let (taken, given) = match kind {
        PaymentKind::Charge => (amount.minor, 0),
        PaymentKind::Credit => (0, amount.minor),
    };
    Ok(PaymentRow {
        id: id.to_string(),
        kind: store::word(&kind)?,
        order_id,
        currency: amount.currency.to_string(),
        amount: amount.minor,
        authorised: taken,
        captured: taken,
        voided: 0,
        refunded: given,
        token: None,
        history: true,
        version: 0,
        intent_key: None,
        intent: None,
        ask_again_at: None,
        created_at: at.micros(),
    })
}
