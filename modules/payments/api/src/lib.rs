//! What other modules may ask of payments: charges, refunds, credits and the double-entry ledger.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests may"))]

mod errors;
#[cfg(feature = "fake")]
pub mod fake;
mod history;
mod ledger;
mod payment;
mod text;

use contract::{Answer, Call, Command, Never};
use kernel_api::{Id, Page, PageRequest};

pub use errors::{
    AuthoriseError, CaptureError, CreditError, ImportError, PaymentError, RefundError, VoidError,
};
pub use history::{HISTORY_RECORDS_MAX, History, HistoryRecord, Imported};
pub use ledger::{
    Account, Audit, AuditWanted, Balance, Balances, BalancesWanted, Difference, Entry, EntryReason,
    OpenReceivable, Posting,
};
pub use payment::{
    AMOUNT_MINOR_MAX, Authorise, Capture, Credit, Operation, OperationKind, Order, Outcome,
    Payment, PaymentDetail, PaymentKind, PaymentState, Receipt, Refund, RefundPayment, Void,
};
pub use text::{PaymentToken, PaymentTokenError, RefundReason, RefundReasonError};

/// The payments module.
///
/// Every command that reaches the payment provider may end in `Unknown`: then the payment stays *pending* until the
/// provider has told what it did. Ask again with the same key, or wait: the module itself keeps asking. However often
/// it is asked, one key moves money once.
///
/// While one operation of a payment is pending, another operation of the same payment settles it first; where that
/// does not succeed it ends in `NotExecuted`, worth another try.
#[contract::contract("payments")]
pub trait Payments: Send + Sync + 'static {
    /// One payment with everything that was done to it, oldest first.
    #[query]
    async fn payment(&self, call: &Call, id: Id<Payment>) -> Answer<PaymentDetail, PaymentError>;

    /// All payments and unlinked credits in the order of their ids.
    #[query]
    async fn payments(&self, call: &Call, page: PageRequest) -> Answer<Page<Payment>, Never>;

    /// What stands on each account, and the net revenue.
    #[query]
    async fn balances(&self, call: &Call, wanted: BalancesWanted) -> Answer<Balances, Never>;

    /// The journal's entries in the order of their ids, which is roughly the order of booking.
    #[query]
    async fn entries(&self, call: &Call, page: PageRequest) -> Answer<Page<Entry>, Never>;

    /// Checks the ledger against the payments.
    #[query]
    async fn audit(&self, call: &Call, wanted: AuditWanted) -> Answer<Audit, Never>;

    /// Asks the provider to set an amount aside. Moves no money yet.
    #[command]
    async fn authorise(
        &self,
        command: &Command,
        wish: Authorise,
    ) -> Answer<Receipt, AuthoriseError>;

    /// Takes all or a part of what was authorised and not yet captured or voided.
    #[command]
    async fn capture(&self, command: &Command, wish: Capture) -> Answer<Receipt, CaptureError>;

    /// Gives back all or a part of what was authorised and not captured.
    #[command]
    async fn void(&self, command: &Command, wish: Void) -> Answer<Receipt, VoidError>;

    /// Pays back all or a part of what was captured.
    #[command]
    async fn refund(&self, command: &Command, wish: RefundPayment) -> Answer<Receipt, RefundError>;

    /// Pays out an amount that no charge stands behind (an unlinked credit).
    #[command]
    async fn credit(&self, command: &Command, wish: Credit) -> Answer<Receipt, CreditError>;

    /// Books the money of the past: at most [`HISTORY_RECORDS_MAX`] records, all of them or none. The provider is not asked. A record
    /// whose id is already booked is counted as known and left alone, so an import can be run again.
    #[command]
    async fn import(&self, command: &Command, history: History) -> Answer<Imported, ImportError>;
}
