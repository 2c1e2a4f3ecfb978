//! The rules of the house: who may depend on whom, and how the tree is kept.

#![allow(clippy::panic, reason = "tests may")]

mod architecture;
mod boundaries;
mod tidy;
