//! Steering while requests flow: the snapshot in force, and all that may change it.

pub mod engine;
pub mod overlay;
pub mod shared;

pub use engine::{Engine, Figures, RouteFigures, SideFigures, UpstreamFigures};
pub use shared::Shared;
