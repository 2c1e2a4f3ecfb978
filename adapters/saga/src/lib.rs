//! Persisted sagas: work over several modules, step by step, that always comes to an end somebody knows of.
//!
//! A saga is a row with a state. Each state waits for one step: a call of another module, made with the key
//! `<saga>:<step>`. What the call comes to decides, by a total pure function, which state follows, and **one** small
//! transaction records the new state together with what it makes true in the module's own tables and the events that
//! tell of it.
//!
//! ```text
//!            start_in                     next: Go                      next: Done
//!  (nothing) ────────► running(state, 0) ─────────► running(state', 0) ───────────► done
//!                        │       ▲                                     Compensated
//!  not executed, unknown,│       │ wait over                          ───────────► compensated
//!  next: Again           ▼       │ or retried by an operator
//!                      running(state, attempts + 1) ─── attempts used up, next: Stuck ──► stuck
//!                                                                                          │ abandon
//!                                                                    running(compensation) ◄┴► closed
//! ```
//!
//! Invariants:
//! - Every write names the revision it has read and raises it, so of two processes that drive one saga, or of one and
//!   its own ghost after a pause, one records the step and the other has no effect in this module. In other modules
//!   both have one effect, since both use one key. The lease only keeps them from meeting.
//! - What is not known is never taken for a failure. Only certain answers reach [`Definition::next`]; an unknown one is
//!   asked for again with the same key; and once any try of a step may have had its effect (its answer was lost, or the
//!   process died while it was asking), only a certain answer or an operator leads on.
//! - A saga ends in `done` or `compensated`, or it is `stuck` with a reason. Tries per step and writes per saga are
//!   bounded, so it gets there; `stuck` is left by an operator only ([`Runner::retry`], [`Runner::abandon`]).
//! - One saga never holds up another: each is driven by its own task, a failing one waits in the table and not in a
//!   queue, and a state or kind that this process cannot read makes that saga stuck and nothing else.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod decision;
mod definition;
mod drive;
mod driver;
mod limits;
mod operator;
mod runner;
mod store;
mod view;

pub use definition::{Acted, ApplyError, Definition, Transition, Turn};
pub use driver::{AnyDefinition, definition};
pub use limits::Limits;
pub use operator::{Abandon, AbandonError, RetryError};
pub use runner::{Counters, Missing, Runner};
pub use view::{Progress, Saga, SagaFilter, SagaId, SagaView, Status};

/// The saga table, for modules that have sagas: they add it to their own migrations.
pub const MIGRATIONS: ::store::Migrations = ::store::Migrations {
    sqlite: ::store::embed_migrations!("../../migrations/saga/sqlite"),
    postgres: ::store::embed_migrations!("../../migrations/saga/postgres"),
};
