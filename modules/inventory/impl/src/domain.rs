//! The rules of inventory: what is known and what is wished go in, a decision or a refusal comes out. Nothing here
//! reads a clock, a database or a setting.

mod audit;
mod band;
mod history;
mod movement;
mod reservation;

pub(crate) use audit::{Books, audited};
pub(crate) use band::{Band, crossing};
pub(crate) use history::{Booked, book, places};
pub(crate) use movement::{Level, Move, Place, entries, shortages, sum};
pub(crate) use reservation::{not_committed, not_released};

#[cfg(test)]
mod tests;
