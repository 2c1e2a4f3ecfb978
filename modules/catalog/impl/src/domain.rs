//! The rules of catalog: what is known and what is wished go in, a decision or a refusal comes out. Nothing here reads a
//! clock, a database or a setting.

mod import;
mod naming;
mod price;
mod stock;
mod version;

pub(crate) use import::{Known, RowPlan, plan};
pub(crate) use naming::{display_title, search_text, taken_twice};
pub(crate) use price::{InForce, in_force_now};
pub(crate) use stock::told;
pub(crate) use version::expect_version;

#[cfg(test)]
mod tests;
