//! What other modules may ask of inventory: stock, reservations and the stock ledger.
