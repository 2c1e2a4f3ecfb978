//! What payments refuses, by operation.

use kernel_api::{Id, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Payment, PaymentState};

/// Why a payment is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum PaymentError {
    /// There is none with this id.
    #[error("there is no such payment")]
    NoSuchPayment,
}

/// Why an amount is not set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum AuthoriseError {
    /// The provider said no; the payment exists and is declined for good.
    #[error("the payment was declined: {reason}")]
    Declined {
        /// In the provider's words.
        reason: String,
    },
    /// Zero, negative or beyond the limit.
    #[error("an amount is above zero and at most a thousand million")]
    BadAmount,
    /// The id belongs to a payment that was asked for with another key.
    #[error("this payment id is in use")]
    PaymentExists,
}

/// Why nothing is captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum CaptureError {
    /// There is no payment with this id.
    #[error("there is no such payment")]
    NoSuchPayment,
    /// Nothing is left to capture in this state.
    #[error("nothing can be captured of a payment that is {state:?}")]
    WrongState {
        /// The state.
        state: PaymentState,
    },
    /// More than is left.
    #[error("only {left} is left to capture")]
    TooMuch {
        /// What is left.
        left: Money,
    },
    /// Zero, negative, beyond the limit, or in another currency than the payment.
    #[error("an amount is above zero and in the payment's currency")]
    BadAmount,
    /// The provider said no; the payment is as before.
    #[error("the capture was declined: {reason}")]
    Declined {
        /// In the provider's words.
        reason: String,
    },
}

/// Why nothing is voided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum VoidError {
    /// There is no payment with this id.
    #[error("there is no such payment")]
    NoSuchPayment,
    /// Nothing is left to void in this state.
    #[error("nothing can be voided of a payment that is {state:?}")]
    WrongState {
        /// The state.
        state: PaymentState,
    },
    /// More than is left.
    #[error("only {left} is left to void")]
    TooMuch {
        /// What is left.
        left: Money,
    },
    /// Zero, negative, beyond the limit, or in another currency than the payment.
    #[error("an amount is above zero and in the payment's currency")]
    BadAmount,
    /// The provider said no; the payment is as before.
    #[error("the void was declined: {reason}")]
    Declined {
        /// In the provider's words.
        reason: String,
    },
}

/// Why nothing is refunded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum RefundError {
    /// There is no payment with this id.
    #[error("there is no such payment")]
    NoSuchPayment,
    /// Nothing is captured and not yet refunded in this state.
    #[error("nothing can be refunded of a payment that is {state:?}")]
    WrongState {
        /// The state.
        state: PaymentState,
    },
    /// More than is left.
    #[error("only {left} is left to refund")]
    TooMuch {
        /// What is left.
        left: Money,
    },
    /// Zero, negative, beyond the limit, or in another currency than the payment.
    #[error("an amount is above zero and in the payment's currency")]
    BadAmount,
    /// The refund's id belongs to a refund that was asked for with another key.
    #[error("this refund id is in use")]
    RefundExists,
    /// The provider said no; the payment is as before.
    #[error("the refund was declined: {reason}")]
    Declined {
        /// In the provider's words.
        reason: String,
    },
}

/// Why nothing is paid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum CreditError {
    /// The provider said no; the credit exists and is declined for good.
    #[error("the credit was declined: {reason}")]
    Declined {
        /// In the provider's words.
        reason: String,
    },
    /// Zero, negative or beyond the limit.
    #[error("an amount is above zero and at most a thousand million")]
    BadAmount,
    /// The id belongs to a payment or credit that was asked for with another key.
    #[error("this credit id is in use")]
    CreditExists,
}

/// Why no record of an import is booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ImportError {
    /// More records than one call may bring.
    #[error("at most {max} records in one call")]
    TooMany {
        /// The limit.
        max: u32,
    },
    /// An amount that is not above zero, or beyond the limit.
    #[error("record {record}: an amount is above zero and at most a thousand million")]
    BadAmount {
        /// Its place in the call, from 0.
        record: u32,
    },
    /// A refund of a payment that is neither imported before nor earlier in this call.
    #[error("record {record}: there is no payment {payment}")]
    NoSuchPayment {
        /// Its place in the call, from 0.
        record: u32,
        /// The payment.
        payment: Id<Payment>,
    },
    /// A refund of a payment that is a credit or whose currency is another's, or a charge, refund or credit whose id
    /// stands for something else already.
    #[error("record {record}: disagrees with what is booked already")]
    Disagrees {
        /// Its place in the call, from 0.
        record: u32,
    },
    /// A refund of more than was captured.
    #[error("record {record}: only {left} is left to refund")]
    TooMuch {
        /// Its place in the call, from 0.
        record: u32,
        /// What is left.
        left: Money,
    },
}
