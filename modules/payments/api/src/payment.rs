//! Payments, what may be asked of them, and what was done to them.

use kernel_api::{Id, Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PaymentToken, RefundReason};

/// The largest amount of one operation, in hundredths: a thousand million major units. More is a slip of the keyboard,
/// and below it every sum in the ledger (millionths, 64 bits) has room for nine thousand of them.
pub const AMOUNT_MINOR_MAX: i64 = 100_000_000_000;

/// What a payment is for. Payments knows no more of an order than its id.
#[derive(Debug)]
pub enum Order {}

/// What a refund is; it is known by its id and seen as an [`Operation`].
#[derive(Debug)]
pub enum Refund {}

/// A charge to a customer, or an unlinked credit.
///
/// Invariant: all amounts have one currency; `captured + voided <= authorised <= amount`; of a charge
/// `refunded <= captured`; of a credit only `refunded` is ever above zero, and it is zero or `amount`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payment {
    /// Its id, given by the caller.
    pub id: Id<Payment>,
    /// Charge or credit.
    pub kind: PaymentKind,
    /// What it is for; absent for a credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Id<Order>>,
    /// Where it stands.
    pub state: PaymentState,
    /// What was asked for.
    pub amount: Money,
    /// What the provider set aside.
    pub authorised: Money,
    /// What was taken.
    pub captured: Money,
    /// What was given back untaken.
    pub voided: Money,
    /// What was paid back, or paid out as a credit.
    pub refunded: Money,
    /// The operation whose outcome the provider has not told yet. It is asked again until it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<OperationKind>,
    /// Was it booked by an import of the past? Then the provider knows nothing of it, and a refund of it is asked of the
    /// provider as a credit.
    #[serde(default)]
    pub history: bool,
    /// When it was first asked for.
    pub created_at: Timestamp,
}

/// Is a payment a charge or a credit?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// The customer pays.
    Charge,
    /// The customer is paid, with no charge behind it.
    Credit,
}

/// Where a payment stands. It follows from the sums, except for the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Its first operation (authorisation or credit) has no outcome yet.
    Pending,
    /// The provider said no.
    Declined,
    /// The credit was paid out.
    Credited,
    /// Nothing captured yet, something left to capture.
    Authorised,
    /// Something captured, something left to capture.
    PartlyCaptured,
    /// Something captured, nothing left to capture, nothing refunded.
    Captured,
    /// Nothing captured, nothing left to capture.
    Voided,
    /// Some of what was captured was refunded.
    PartlyRefunded,
    /// All that was captured was refunded.
    Refunded,
}

/// A payment with everything that was done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentDetail {
    /// The payment.
    pub payment: Payment,
    /// What was done to it, oldest first.
    pub history: Vec<Operation>,
}

/// One thing that was done to a payment, or that the provider declined to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// What.
    pub kind: OperationKind,
    /// How much of it.
    pub amount: Money,
    /// Was it done?
    pub outcome: Outcome,
    /// Our name for it at the provider: a fresh UUID, the same however often the provider is asked.
    pub reference: String,
    /// The refund's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Id<Refund>>,
    /// Why, for refunds and credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RefundReason>,
    /// When its outcome was written down.
    pub at: Timestamp,
}

/// What can be done to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Set aside.
    Authorise,
    /// Take.
    Capture,
    /// Give back untaken.
    Void,
    /// Pay back.
    Refund,
    /// Pay out with no charge behind it.
    Credit,
}

/// How the provider answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It did it.
    Done,
    /// It said no, and did nothing.
    Declined {
        /// In the provider's words.
        reason: String,
    },
}

/// That an operation was done. The same key gives the same receipt for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Of which payment or credit.
    pub payment: Id<Payment>,
    /// What was done.
    pub operation: OperationKind,
    /// How much of it.
    pub amount: Money,
    /// Our name for it at the provider.
    pub reference: String,
    /// When it was written down.
    pub at: Timestamp,
}

/// Set this amount aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Authorise {
    /// The id that the payment will have: fresh, made by the caller.
    pub payment: Id<Payment>,
    /// What it is for.
    pub order: Id<Order>,
    /// How much: above zero, at most [`AMOUNT_MINOR_MAX`].
    pub amount: Money,
    /// From where.
    pub token: PaymentToken,
}

/// Take this amount of what was authorised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capture {
    /// Of which payment.
    pub payment: Id<Payment>,
    /// How much: above zero, at most what is left.
    pub amount: Money,
}

/// Give back what was authorised and not captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Void {
    /// Of which payment.
    pub payment: Id<Payment>,
    /// How much; all that is left when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// Pay back this amount of what was captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundPayment {
    /// Of which payment.
    pub payment: Id<Payment>,
    /// The refund's own id, made by the caller.
    pub refund: Id<Refund>,
    /// How much: above zero, at most what was captured and not refunded.
    pub amount: Money,
    /// Why.
    pub reason: RefundReason,
}

/// Pay out this amount with no charge behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credit {
    /// The id that the credit will have among the payments: fresh, made by the caller.
    pub credit: Id<Payment>,
    /// How much: above zero, at most [`AMOUNT_MINOR_MAX`].
    pub amount: Money,
    /// Why.
    pub reason: RefundReason,
    /// To where; absent where the provider has the customer's account on file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<PaymentToken>,
}
