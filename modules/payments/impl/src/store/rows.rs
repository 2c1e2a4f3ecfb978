//! Rows, and how they read as what they stand for.

use diesel::{Insertable, QueryResult, Queryable, Selectable, result::Error};
use kernel_api::{Currency, Id, Money, Timestamp};
use payments_api::{
    Account, EntryReason, Operation, OperationKind, Outcome, Payment, PaymentKind, PaymentToken,
    Receipt, Refund, RefundReason,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    domain::{Booking, Standing, Transfer},
    schema::{operations, payments, transfers},
};

/// A payment.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = payments, treat_none_as_default_value = false)]
pub(crate) struct PaymentRow {
    pub id: String,
    pub kind: String,
    pub order_id: Option<String>,
    pub currency: String,
    pub amount: i64,
    pub authorised: i64,
    pub captured: i64,
    pub voided: i64,
    pub refunded: i64,
    pub token: Option<String>,
    pub history: bool,
    pub version: i64,
    pub intent_key: Option<String>,
    pub intent: Option<String>,
    pub ask_again_at: Option<i64>,
    pub created_at: i64,
}

/// What the provider is asked, written down before it is asked.
///
/// Invariant: it stays on the payment, unchanged, until the provider's answer to this `reference` is booked in the same
/// transaction that takes it off. So whoever finds it (the same key again, another operation of the payment, the
/// resolver after a crash) may ask the provider again, and the provider, which knows the reference, moves money once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub kind: OperationKind,
    pub amount: Money,
    /// Our name for the operation at the provider, made once.
    pub reference: String,
    /// Whose receivable is moved.
    pub subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<PaymentToken>,
    /// The provider does not know the charge.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub history: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Id<Refund>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RefundReason>,
    pub request_hash: String,
    pub since: Timestamp,
}

/// An intent with its place: the payment, and the caller's key for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    pub payment: Id<Payment>,
    pub key: String,
    pub intent: Intent,
}

/// What was done, or declined, under a key.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = operations, treat_none_as_default_value = false)]
pub(crate) struct OperationRow {
    pub key: String,
    pub payment_id: String,
    pub kind: String,
    pub currency: String,
    pub amount: i64,
    pub declined: Option<String>,
    pub reference: String,
    pub refund_id: Option<String>,
    pub reason: Option<String>,
    pub request_hash: String,
    pub settled_at: i64,
}

/// A row of the ledger.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = transfers, treat_none_as_default_value = false)]
pub(crate) struct TransferRow {
    pub entry_id: String,
    pub line: i64,
    pub debit: String,
    pub credit: String,
    pub micros: i64,
    pub currency: String,
    pub reason: String,
    pub reference: String,
    pub subject: String,
    pub booked_at: i64,
}

/// Under what a booking is entered.
#[derive(Debug, Clone)]
pub(crate) struct Entered {
    pub id: String,
    pub reason: EntryReason,
    pub reference: String,
    pub subject: String,
    pub at: Timestamp,
}

/// The rows of an entry.
pub(crate) fn transfer_rows(entered: &Entered, booking: &Booking) -> QueryResult<Vec<TransferRow>> {
    let reason = word(&entered.reason)?;
    let row = |(line, transfer): (i64, Transfer)| TransferRow {
        entry_id: entered.id.clone(),
        line,
        debit: transfer.debit.name().to_owned(),
        credit: transfer.credit.name().to_owned(),
        micros: transfer.micros,
        currency: booking.currency().to_string(),
        reason: reason.clone(),
        reference: entered.reference.clone(),
        subject: entered.subject.clone(),
        booked_at: entered.at.micros(),
    };
    Ok((0..).zip(booking.transfers()).map(row).collect())
}

impl Intent {
    /// As a column.
    pub fn column(&self) -> QueryResult<String> {
        serde_json::to_string(self).map_err(|error| Error::SerializationError(Box::new(error)))
    }
}

impl PaymentRow {
    /// The payment as others see it.
    pub fn payment(&self) -> QueryResult<Payment> {
        let standing = self.standing()?;
        let money = |minor| Money::new(minor, standing.currency);
        Ok(Payment {
            id: parsed(&self.id)?,
            kind: standing.kind,
            order: self.order_id.as_deref().map(parsed).transpose()?,
            state: standing.state(),
            amount: money(self.amount),
            authorised: money(self.authorised),
            captured: money(self.captured),
            voided: money(self.voided),
            refunded: money(self.refunded),
            pending: standing.pending,
            history: self.history,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }

    /// The payment as the rules see it.
    pub fn standing(&self) -> QueryResult<Standing> {
        let kind: PaymentKind = unword(&self.kind)?;
        Ok(Standing {
            kind,
            currency: parsed::<Currency>(&self.currency)?,
            amount: self.amount,
            authorised: self.authorised,
            captured: self.captured,
            voided: self.voided,
            refunded: self.refunded,
            pending: self.pending()?.map(|pending| pending.intent.kind),
        })
    }

    /// The intent, where there is one.
    pub fn pending(&self) -> QueryResult<Option<Pending>> {
        let (Some(key), Some(intent)) = (&self.intent_key, &self.intent) else { return Ok(None) };
        let intent = serde_json::from_str(intent)
            .map_err(|error| Error::DeserializationError(Box::new(error)))?;
        Ok(Some(Pending { payment: parsed(&self.id)?, key: key.clone(), intent }))
    }

    /// Whose receivable its money moves: the order's, or its own where it is a credit.
    pub fn subject(&self) -> String {
        self.order_id.clone().unwrap_or_else(|| self.id.clone())
    }
}

impl OperationRow {
    /// The row of an intent that the provider has answered.
    pub fn of(pending: &Pending, outcome: &Outcome, at: Timestamp) -> QueryResult<Self> {
        let intent = &pending.intent;
        Ok(Self {
            key: pending.key.clone(),
            payment_id: pending.payment.to_string(),
            kind: word(&intent.kind)?,
            currency: intent.amount.currency.to_string(),
            amount: intent.amount.minor,
            declined: match outcome {
                Outcome::Done => None,
                Outcome::Declined { reason } => Some(reason.clone()),
            },
            reference: intent.reference.clone(),
            refund_id: intent.refund.map(|id| id.to_string()),
            reason: intent.reason.as_ref().map(ToString::to_string),
            request_hash: intent.request_hash.clone(),
            settled_at: at.micros(),
        })
    }

    /// As others see it.
    pub fn operation(&self) -> QueryResult<Operation> {
        let outcome = match &self.declined {
            None => Outcome::Done,
            Some(reason) => Outcome::Declined { reason: reason.clone() },
        };
        Ok(Operation {
            kind: unword(&self.kind)?,
            amount: Money::new(self.amount, parsed(&self.currency)?),
            outcome,
            reference: self.reference.clone(),
            refund: self.refund_id.as_deref().map(parsed).transpose()?,
            reason: self.reason.as_deref().map(RefundReason::out_of),
            at: Timestamp::from_micros(self.settled_at),
        })
    }

    /// The answer to its key: a receipt, or the provider's words for its no.
    pub fn answer(&self) -> QueryResult<Result<Receipt, String>> {
        if let Some(reason) = &self.declined {
            return Ok(Err(reason.clone()));
        }
        Ok(Ok(Receipt {
            payment: parsed(&self.payment_id)?,
            operation: unword(&self.kind)?,
            amount: Money::new(self.amount, parsed(&self.currency)?),
            reference: self.reference.clone(),
            at: Timestamp::from_micros(self.settled_at),
        }))
    }
}

impl TransferRow {
    /// As the rules see it.
    pub fn transfer(&self) -> QueryResult<Transfer> {
        let account = |name: &str| Account::named(name).ok_or_else(|| unreadable(name));
        Ok(Transfer {
            debit: account(&self.debit)?,
            credit: account(&self.credit)?,
            micros: self.micros,
        })
    }
}

/// The word of one of our enums in columns: the same as in JSON.
pub(crate) fn word(of: &impl Serialize) -> QueryResult<String> {
    match serde_json::to_value(of) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(other) => Err(Error::SerializationError(format!("{other} is no word").into())),
        Err(error) => Err(Error::SerializationError(Box::new(error))),
    }
}

/// The enum's value that a word in a column stands for.
pub(crate) fn unword<T: DeserializeOwned>(word: &str) -> QueryResult<T> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|error| Error::DeserializationError(Box::new(error)))
}

/// What a text column stands for.
pub(crate) fn parsed<T: std::str::FromStr>(text: &str) -> QueryResult<T> {
    text.parse().map_err(|_bad| unreadable(text))
}

fn unreadable(text: &str) -> Error {
    Error::DeserializationError(format!("`{text}` in a column cannot be read").into())
}
