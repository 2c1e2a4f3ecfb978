//! The rules: pure functions, no clock, no database.

mod ledger;
mod standing;

pub(crate) use ledger::{Booking, Transfer, earned, given_back, moved, postings};
pub(crate) use standing::{Change, Decision, Refusal, Standing, Wish, effect, opening};

#[cfg(test)]
mod tests;
