//! The double-entry ledger: accounts, entries, balances and the audit. Unit: millionths of the major unit.

use kernel_api::{Currency, Exact, Id, Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Payment;

/// The accounts. A balance is debits minus credits, so what the shop owns or is owed is positive and what it earned
/// negative.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Asset: what the payment provider holds for us.
    ProviderClearing,
    /// Asset: what customers owe us. Zero per order once it is paid and booked.
    Receivable,
    /// Revenue: goods sold.
    Sales,
    /// Revenue: postage, carriage and other services.
    Services,
    /// Revenue, the other way round: discounts given.
    Discounts,
    /// Revenue, the other way round: goods and services taken back.
    Refunds,
    /// Revenue, the other way round: fees of banks and market places.
    Fees,
    /// Revenue, the other way round: what was owed and will not be paid.
    BadDebt,
    /// What rounding an exact net to whole hundredths gained or lost.
    Rounding,
}

impl Account {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::ProviderClearing,
        Self::Receivable,
        Self::Sales,
        Self::Services,
        Self::Discounts,
        Self::Refunds,
        Self::Fees,
        Self::BadDebt,
        Self::Rounding,
    ];

    /// Does it count into the net revenue?
    pub fn is_revenue(self) -> bool {
        match self {
            Self::ProviderClearing | Self::Receivable | Self::Rounding => false,
            Self::Sales
            | Self::Services
            | Self::Discounts
            | Self::Refunds
            | Self::Fees
            | Self::BadDebt => true,
        }
    }

    /// The name in columns and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProviderClearing => "provider_clearing",
            Self::Receivable => "receivable",
            Self::Sales => "sales",
            Self::Services => "services",
            Self::Discounts => "discounts",
            Self::Refunds => "refunds",
            Self::Fees => "fees",
            Self::BadDebt => "bad_debt",
            Self::Rounding => "rounding",
        }
    }

    /// The account of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|account| account.name() == name)
    }
}

/// One side of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Posting {
    /// The account.
    pub account: Account,
    /// Debit above zero, credit below.
    pub amount: Exact,
}

/// One booking.
///
/// Invariant: its postings have one currency and sum to zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Its id: the time of booking is its first part.
    pub id: String,
    /// Why it was booked.
    pub reason: EntryReason,
    /// What was booked: the operation's reference at the provider, or the id of the order, refund or adjustment.
    pub reference: String,
    /// Whose receivable it moves: an order, an unlinked credit, or an adjustment without an order.
    pub subject: String,
    /// When it became true.
    pub at: Timestamp,
    /// Both sides.
    pub postings: Vec<Posting>,
}

/// Why an entry was booked.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EntryReason {
    /// Money was captured.
    Captured,
    /// Money was refunded.
    Refunded,
    /// A credit was paid out.
    Credited,
    /// An order's revenue.
    OrderPaid,
    /// The revenue that goes back with a refund or a credit.
    OrderRefunded,
    /// Revenue that was added to or taken from an order later.
    Adjusted,
}

/// Which balances are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BalancesWanted {
    /// Only of this currency; of all when absent.
    #[serde(default)]
    pub currency: Option<Currency>,
}

/// What stands on the accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Balances {
    /// Every account that has an entry, by account and currency.
    pub accounts: Vec<Balance>,
    /// Per currency, the net revenue, unrounded: the revenue accounts' balances with the sign turned.
    pub net: Vec<Exact>,
}

/// What stands on one account in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Balance {
    /// The account.
    pub account: Account,
    /// All debits minus all credits.
    pub balance: Exact,
}

/// How the audit is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditWanted {
    /// How many findings of each kind to name, at most 500; 100 when absent.
    #[serde(default)]
    pub findings_max: Option<u32>,
}

/// What an audit of the ledger found. Clean: no unbalanced entry, no difference, every open receivable explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// How many payments and credits there are.
    pub payments: u64,
    /// How many of them have an operation whose outcome is not known yet.
    pub pending: u64,
    /// How many entries were checked.
    pub entries: u64,
    /// Ids of entries that do not sum to zero.
    pub unbalanced: Vec<String>,
    /// Payments whose captures and refunds are not what the ledger booked for them.
    pub differences: Vec<Difference>,
    /// What is owed, order by order.
    pub receivables: Vec<OpenReceivable>,
}

/// A payment that disagrees with the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The payment.
    pub payment: Id<Payment>,
    /// Captured minus refunded, by the payment.
    pub payment_says: Money,
    /// The same, by the ledger's clearing account.
    pub ledger_says: Exact,
}

/// An order, credit or adjustment whose receivable is not zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenReceivable {
    /// The order, credit or adjustment.
    pub subject: String,
    /// What is owed: above zero by the customer, below zero by us.
    pub open: Exact,
    /// What of it was booked by adjustments, which move no money by themselves. When it is all, the sum is explained;
    /// otherwise the order's money or its revenue is not booked (yet).
    pub adjusted: Exact,
}
