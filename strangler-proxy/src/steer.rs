//! Steering while requests flow: the snapshot in force, and all that may change it.

pub mod overlay;
pub mod shared;

pub use shared::Shared;
