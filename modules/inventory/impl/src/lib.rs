//! The inventory module: stock, reservations and the stock ledger.

mod domain;
