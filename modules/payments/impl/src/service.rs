//! The operations as transactions.
//!
//! # How an operation becomes one charge
//!
//! ```text
//! caller          payments                                  provider
//!   | command(key)   |                                          |
//!   |--------------->| transaction 1: the intent on the payment |
//!   |                |   commit                                 |
//!   |                |------------ ask(reference) ------------->|
//!   |                |<----------- answer, or silence ----------|
//!   |                | transaction 2: intent off, sums, the     |
//!   |                |   operation under its key, the ledger    |
//!   |<---------------|   commit                                 |
//! ```
//!
//! States of a key, and what the same key finds in each:
//! - *unused*: nothing is written; it begins.
//! - *pending*: the intent is on the payment (`payments.intent_key`). Asks the provider again with the intent's own
//!   reference, which moves no more money, and books the answer.
//! - *settled*: the operation is under the key (`operations.key`). Gives its receipt or the provider's no; writes nothing.
//!
//! Invariants:
//! 1. The provider is asked only for an intent whose commit is certain. A commit whose answer is lost is `Unknown`.
//! 2. A key is pending on one payment at most (a unique index) and settled once (the primary key), never both: the
//!    intent goes and the operation comes in one transaction, guarded by the intent's being there. Whoever comes
//!    second finds the operation.
//! 3. An intent ends by the provider's word only. From the moment it is written the caller is told the outcome or
//!    `Unknown`, never `NotExecuted`.
//! 4. A payment has one intent at most, written on the version of the payment that the rules saw; so the sums that
//!    they saw still hold when the answer is booked.
//! 5. No transaction is open while the provider is asked.
//!
//! Why two commits and not fewer: the first must be durable before the provider hears of it, or a kill leaves a charge
//! that nobody here knows of; the second must be durable before the caller hears of it, because what is acknowledged is
//! never lost. Concurrent callers share both (group commit), so at load the price is rows, not syncs: the intent stands
//! in columns of the payment's own row, and one row is the history, the kept answer of the key and the proof for the
//! ledger at once.

mod begin;
mod import;
mod operations;
mod refusals;
mod resolver;
mod revenue;
mod wishes;

use std::{sync::Arc, time::Duration};

use ::store::{Abort, Store};
use async_trait::async_trait;
use contract::{Answer, Call, Command, Never};
use kernel_api::{Id, Page, PageRequest};
use payments_api::{
    Audit, AuditWanted, Authorise, AuthoriseError, Balances, BalancesWanted, Capture, CaptureError,
    Credit, CreditError, Entry, History, ImportError, Imported, Payment, PaymentDetail,
    PaymentError, Payments, Receipt, RefundError, RefundPayment, Void, VoidError,
};

pub(crate) use resolver::{hear, resolve};
pub(crate) use revenue::Revenue;

use self::wishes::{Changing, Opening};
use crate::{provider::Provider, store};

/// The most findings of one kind that an audit names.
const FINDINGS_MAX: u32 = 500;

/// How many findings it names when the caller does not say.
const FINDINGS_DEFAULT: u32 = 100;

/// The payments module.
#[derive(Clone)]
pub(crate) struct Service {
    store: Store,
    provider: Arc<dyn Provider>,
    patience: Patience,
}

/// How long to wait for the provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For one answer.
    pub answer: Duration,
    /// Before the resolver asks again by itself; longer than `answer`, so that it does not meddle with what is under way.
    pub again: Duration,
}

impl Service {
    pub fn new(store: Store, provider: Arc<dyn Provider>, patience: Patience) -> Self {
        Self { store, provider, patience }
    }
}

#[async_trait]
impl Payments for Service {
    async fn payment(&self, call: &Call, id: Id<Payment>) -> Answer<PaymentDetail, PaymentError> {
        self.store
            .snapshot(call, move |c| {
                let row = store::payment(c, id)?;
                let row = row.ok_or(Abort::Refused(PaymentError::NoSuchPayment))?;
                Ok(PaymentDetail { payment: row.payment()?, history: store::history(c, id)? })
            })
            .await
    }

    async fn payments(&self, call: &Call, page: PageRequest) -> Answer<Page<Payment>, Never> {
        self.store
            .read(call, move |c| {
                let (after, limit) = (page.after.as_deref().unwrap_or_default(), page.limit());
                let rows = store::payments_after(c, after, limit + 1)?;
                Ok(Page::of(rows, limit, |payment| payment.id.to_string()))
            })
            .await
    }

    async fn balances(&self, call: &Call, wanted: BalancesWanted) -> Answer<Balances, Never> {
        self.store.read(call, move |c| Ok(store::balances(c, wanted.currency)?)).await
    }

    async fn entries(&self, call: &Call, page: PageRequest) -> Answer<Page<Entry>, Never> {
        self.store
            .snapshot(call, move |c| {
                let after = page.after.as_deref().unwrap_or_default();
                Ok(store::entries(c, after, page.limit())?)
            })
            .await
    }

    async fn audit(&self, call: &Call, wanted: AuditWanted) -> Answer<Audit, Never> {
        let limit = wanted.findings_max.unwrap_or(FINDINGS_DEFAULT).min(FINDINGS_MAX);
        self.store.snapshot(call, move |c| Ok(store::audit(c, limit)?)).await
    }

    async fn authorise(
        &self,
        command: &Command,
        wish: Authorise,
    ) -> Answer<Receipt, AuthoriseError> {
        self.open(command, Opening::charge(command, &wish)?)
            .await
            .map_err(|fault| fault.map(AuthoriseError::from))
    }

    async fn capture(&self, command: &Command, wish: Capture) -> Answer<Receipt, CaptureError> {
        self.change(command, Changing::capture(command, &wish)?).await
    }

    async fn void(&self, command: &Command, wish: Void) -> Answer<Receipt, VoidError> {
        self.change(command, Changing::void(command, &wish)?).await
    }

    async fn refund(&self, command: &Command, wish: RefundPayment) -> Answer<Receipt, RefundError> {
        self.change(command, Changing::refund(command, &wish)?).await
    }

    async fn credit(&self, command: &Command, wish: Credit) -> Answer<Receipt, CreditError> {
        self.open(command, Opening::credit(command, &wish)?)
            .await
            .map_err(|fault| fault.map(CreditError::from))
    }

    async fn import(&self, command: &Command, history: History) -> Answer<Imported, ImportError> {
        import::import(&self.store, command, history).await
    }
}
