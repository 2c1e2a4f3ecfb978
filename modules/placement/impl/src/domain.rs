//! The rules of placement: pure, total, without a clock.

mod certificate;
mod drive;
mod facts;
pub(crate) mod limits;
mod machine;
mod placed;
mod rows;
mod state;

pub(crate) use certificate::certificate;
pub(crate) use drive::{Do, Drive, Event};
pub(crate) use facts::{Facts, Switching};
pub(crate) use machine::{after, ahead, merged, steered};
#[cfg(test)]
pub(crate) use machine::{next, restarted};
pub(crate) use placed::{At, learnt};
pub(crate) use rows::stands;
pub(crate) use state::{Action, Seen, State};

#[cfg(test)]
mod tests;
