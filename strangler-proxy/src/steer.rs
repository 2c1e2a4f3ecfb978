//! Steering while requests flow: the snapshot in force, and all that may change it.
//!
//! The configuration file is the one truth. A toggle is written back into it, with its comments and order kept; where it
//! cannot be written, into a state file over it. Whatever changes is validated whole, written to the audit log and put in
//! force between two requests. Reading order: [`toggle`] (the edit of the text), [`write`](mod@write) (to the disk, whole
//! or not at all), [`steering`] (the order of steps), [`watch`] (files and signals), [`admin`] (the API).

pub mod admin;
pub mod audit;
pub mod clock;
pub mod engine;
pub mod explain;
pub mod in_force;
mod looked;
pub mod overlay;
pub mod steering;
pub mod toggle;
pub mod token;
pub mod watch;
pub mod write;

pub use audit::{Audit, Record};
pub use engine::{Engine, Figures, RouteFigures, SideFigures, UpstreamFigures};
pub use explain::{Asked, Explanation, explain};
pub use in_force::Shared;
pub use steering::{Changed, ConfigState, SteerError, Steering, Switch, Target};
pub use toggle::Toggle;
