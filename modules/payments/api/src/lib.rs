//! What other modules may ask of payments: payments and the double-entry ledger.
