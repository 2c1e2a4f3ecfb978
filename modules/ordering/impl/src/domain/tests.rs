//! Tests of the rules: tables, and every state with every wish or outcome.

mod checkout;
mod order;
mod returns;
