//! What callers ask for, made ready for the first transaction: key, hash of the request, reference.

use contract::{Command, NotExecuted, Reason};
use diesel::{QueryResult, result::Error};
use kernel_api::{Id, Money, Timestamp};
use payments_api::{
    Authorise, Capture, CaptureError, Credit, OperationKind, Payment, PaymentKind, Refund,
    RefundError, RefundPayment, RefundReason, Void, VoidError,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    domain::Wish,
    store::{self, Intent, PaymentRow, Pending},
};

/// An operation that makes a payment.
#[derive(Clone)]
pub(crate) struct Opening {
    pub row: PaymentRow,
    pub pending: Pending,
}

/// An operation on a payment that exists. `R` is its refusal.
#[derive(Clone)]
pub(crate) struct Changing<R> {
    pub key: String,
    pub request_hash: String,
    pub payment: Id<Payment>,
    kind: OperationKind,
    pub wish: Wish,
    pub refund: Option<NewRefund<R>>,
    reference: String,
}

/// What only a refund has.
#[derive(Clone)]
pub(super) struct NewRefund<R> {
    pub id: Id<Refund>,
    pub reason: RefundReason,
    /// The refusal where the id is taken.
    pub exists: R,
}

impl Opening {
    /// A charge.
    pub fn charge(command: &Command, wish: &Authorise) -> Result<Self, NotExecuted> {
        let intent = intent(OperationKind::Authorise, wish.amount, wish.order.to_string(), wish)?;
        let intent = Intent { token: Some(wish.token.clone()), ..intent };
        let order = Some(wish.order.to_string());
        Self::of(command, wish.payment, PaymentKind::Charge, order, intent)
    }

    /// An unlinked credit.
    pub fn credit(command: &Command, wish: &Credit) -> Result<Self, NotExecuted> {
        let intent = intent(OperationKind::Credit, wish.amount, wish.credit.to_string(), wish)?;
        let (token, reason) = (wish.token.clone(), Some(wish.reason.clone()));
        let intent = Intent { token, reason, ..intent };
        Self::of(command, wish.credit, PaymentKind::Credit, None, intent)
    }

    fn of(
        command: &Command,
        id: Id<Payment>,
        kind: PaymentKind,
        order_id: Option<String>,
        intent: Intent,
    ) -> Result<Self, NotExecuted> {
        let key = key(command, intent.kind)?;
        let failed = |error: Error| NotExecuted::new(Reason::Failed, error.to_string());
        let row = PaymentRow {
            id: id.to_string(),
            kind: store::word(&kind).map_err(failed)?,
            order_id,
            currency: intent.amount.currency.to_string(),
            amount: intent.amount.minor,
            authorised: 0,
            captured: 0,
            voided: 0,
            refunded: 0,
            token: intent.token.as_ref().map(|token| token.as_str().to_owned()),
            history: false,
            version: 0,
            intent_key: Some(key.clone()),
            intent: None,
            ask_again_at: None,
            created_at: 0,
        };
        Ok(Self { row, pending: Pending { payment: id, key, intent } })
    }
}

impl Changing<CaptureError> {
    pub fn capture(command: &Command, wish: &Capture) -> Result<Self, NotExecuted> {
        Self::of(command, wish.payment, Wish::Capture(wish.amount), wish)
    }
}

impl Changing<VoidError> {
    pub fn void(command: &Command, wish: &Void) -> Result<Self, NotExecuted> {
        Self::of(command, wish.payment, Wish::Void(wish.amount), wish)
    }
}

impl Changing<RefundError> {
    pub fn refund(command: &Command, wish: &RefundPayment) -> Result<Self, NotExecuted> {
        let (id, reason) = (wish.refund, wish.reason.clone());
        let refund = Some(NewRefund { id, reason, exists: RefundError::RefundExists });
        Ok(Self { refund, ..Self::of(command, wish.payment, Wish::Refund(wish.amount), wish)? })
    }
}

impl<R> Changing<R> {
    fn of(
        command: &Command,
        payment: Id<Payment>,
        wish: Wish,
        request: &impl Serialize,
    ) -> Result<Self, NotExecuted> {
        let kind = match wish {
            Wish::Capture(_) => OperationKind::Capture,
            Wish::Void(_) => OperationKind::Void,
            Wish::Refund(_) => OperationKind::Refund,
        };
        Ok(Self {
            key: key(command, kind)?,
            request_hash: request_hash(request)?,
            payment,
            kind,
            wish,
            refund: None,
            reference: reference(),
        })
    }
}

impl<R> Changing<R> {
    /// The intent, for what the rules have decided.
    pub fn pending(
        &self,
        row: &PaymentRow,
        amount: Money,
        since: Timestamp,
    ) -> QueryResult<Pending> {
        let intent = Intent {
            kind: self.kind,
            amount,
            reference: self.reference.clone(),
            subject: row.subject(),
            token: row.token.as_deref().map(store::parsed).transpose()?,
            history: row.history,
            refund: self.refund.as_ref().map(|refund| refund.id),
            reason: self.refund.as_ref().map(|refund| refund.reason.clone()),
            request_hash: self.request_hash.clone(),
            since,
        };
        Ok(Pending { payment: self.payment, key: self.key.clone(), intent })
    }
}

fn intent(
    kind: OperationKind,
    amount: Money,
    subject: String,
    request: &impl Serialize,
) -> Result<Intent, NotExecuted> {
    Ok(Intent {
        kind,
        amount,
        reference: reference(),
        subject,
        token: None,
        history: false,
        refund: None,
        reason: None,
        request_hash: request_hash(request)?,
        since: Timestamp::from_micros(0),
    })
}

/// A new name for an operation at the provider.
fn reference() -> String {
    Id::<Payment>::fresh().to_string()
}

/// The place of an idempotency key: none of the three parts has a space in it.
fn key(command: &Command, kind: OperationKind) -> Result<String, NotExecuted> {
    let kind =
        store::word(&kind).map_err(|error| NotExecuted::new(Reason::Failed, error.to_string()))?;
    Ok(format!("{} {kind} {}", command.caller, command.key))
}

/// Half of a SHA-256 of the request: our own structs always give the same JSON for the same value.
fn request_hash(request: &impl Serialize) -> Result<String, NotExecuted> {
    let json = serde_json::to_vec(request)
        .map_err(|error| NotExecuted::new(Reason::Malformed, error.to_string()))?;
    Ok(Sha256::digest(json).iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
