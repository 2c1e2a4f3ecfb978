//! The payment provider: what is asked of it, and what it promises.

mod simulated;

use async_trait::async_trait;
use kernel_api::{Id, Money};
use payments_api::{OperationKind, Outcome, Payment, PaymentToken};

pub(crate) use simulated::Simulated;

/// Who moves the money.
///
/// Promise: the reference names one effect. Asked again with the same reference, the provider does not move money again
/// and gives the answer it gave, or would have given, the first time. Everything that payments guarantees stands on
/// this; every provider worth its name has it ("idempotency key", "merchant reference").
#[async_trait]
pub(crate) trait Provider: Send + Sync + 'static {
    /// Asks. May be dropped while it waits: then its outcome is as unknown as with [`NoAnswer`].
    async fn ask(&self, ask: &Ask) -> Result<Outcome, NoAnswer>;
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Our name for this one effect.
    pub reference: String,
    /// Which payment it belongs to: the provider knows the charge by our id too.
    pub payment: Id<Payment>,
    pub kind: OperationKind,
    pub amount: Money,
    pub token: Option<PaymentToken>,
}

/// The provider gave no answer: it may have done it or not. There is no "certainly not": an earlier asking with the same
/// reference may have been done, so only the provider's own word ends an intent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the payment provider did not answer: {0}")]
pub(crate) struct NoAnswer(pub String);

/// An answer that the provider sends by itself, again or late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub payment: Id<Payment>,
    pub reference: String,
    pub outcome: Outcome,
}
