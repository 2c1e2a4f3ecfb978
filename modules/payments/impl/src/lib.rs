//! The payments module: payments and the double-entry ledger.
