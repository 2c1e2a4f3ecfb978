//! The rules of ordering: pure functions, state and wish in, decision or refusal out. Time is an argument.

pub(crate) mod cart;
pub(crate) mod checkout;
pub(crate) mod order;
pub(crate) mod return_wish;
pub(crate) mod returns;
pub(crate) mod settlement;
pub(crate) mod sum;
pub(crate) mod text;

#[cfg(test)]
mod tests;
