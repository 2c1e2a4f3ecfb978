//! The figures of a verification. Money is a decimal string.

use serde::Serialize;

/// What was earned.
#[derive(Debug, Default, Serialize)]
pub struct Books {
    /// The currency of the figures below: the shop's first.
    pub currency: String,
    /// The unrounded sum of all lines of all documents.
    pub net: String,
    /// The sales' part of it.
    pub orders: String,
    /// The returns' part of it, negative.
    pub returns: String,
    /// The corrections' part of it.
    pub adjustments: String,
    /// The sum of what was rounded, document by document.
    pub rounded: String,
    /// What rounding left out: `net - rounded`.
    pub rounding: String,
    /// The net by the ledger of payments, which must be the same.
    pub ledger_net: String,
    /// The ledger's rounding account.
    pub ledger_rounding: String,
    /// Documents.
    pub documents: i64,
    /// Each imported file.
    pub sources: Vec<Source>,
}

/// An imported file.
#[derive(Debug, Serialize)]
pub struct Source {
    /// SHA-256 of its text.
    pub source: String,
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: i64,
    /// Rows in documents.
    pub document_rows: i64,
    /// Rows in stock movements only.
    pub stock_rows: i64,
    /// Rows that were listed.
    pub listed_rows: i64,
    /// The exact net of the file, as it was recorded.
    pub net: String,
    /// The exact net that the books have of it.
    pub net_in_books: String,
    /// What rounding left out.
    pub rounding: String,
}

/// What is there.
#[derive(Debug, Default, Serialize)]
pub struct Stock {
    /// SKUs and locations.
    pub levels: u64,
    /// Units on hand.
    pub on_hand: i64,
    /// Units reserved.
    pub reserved: i64,
    /// Units there when the books began.
    pub opening: i64,
    /// Units delivered.
    pub received: i64,
    /// Units sold (negative).
    pub sold: i64,
    /// Units come back.
    pub returned: i64,
    /// Units found or lost.
    pub adjusted: i64,
}

/// What was bought.
#[derive(Debug, Default, Serialize)]
pub struct Orders {
    /// Orders made here.
    pub live: u64,
    /// Orders imported.
    pub history: u64,
    /// Of all, cancelled.
    pub cancelled: u64,
    /// Returns and credits.
    pub returns: u64,
    /// Corrections of the books.
    pub adjustments: u64,
    /// Reservations that are open.
    pub reservations_open: u64,
    /// Reservations that were sold.
    pub reservations_committed: u64,
}

/// What was paid.
#[derive(Debug, Default, Serialize)]
pub struct Payments {
    /// Charges.
    pub charges: u64,
    /// Unlinked credits.
    pub credits: u64,
    /// Money taken.
    pub captured: String,
    /// Money given back, credits included.
    pub refunded: String,
    /// Entries of the ledger.
    pub ledger_entries: u64,
    /// Each account's balance, debits minus credits.
    pub accounts: Vec<AccountBalance>,
    /// The net revenue of the first currency, in millionths, for the comparison with the books.
    #[serde(skip)]
    pub nets: Vec<kernel_api::Exact>,
}

/// An account of the ledger.
#[derive(Debug, Serialize)]
pub struct AccountBalance {
    /// Its name.
    pub account: &'static str,
    /// Its currency.
    pub currency: String,
    /// Its balance.
    pub balance: String,
}
