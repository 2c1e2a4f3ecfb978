//! The rules of the house: who may depend on whom, and how the tree is kept.

mod architecture;
mod boundaries;
mod tidy;
