//! Diesel on SQLite and PostgreSQL behind one write door.
//!
//! A module has one [`Store`]. It reads with [`Store::read`], writes with [`Store::write`] and, for commands that must
//! have their effect once however often they are asked, with [`Store::command`]. The closures get a [`Connection`]
//! (through [`Tx`] where they write) and query it with [`on!`], which writes a diesel expression once for both
//! databases. Facts for others are told with [`Tx::emit`] and read with [`Store::feed`].
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod archive;
mod bulk;
mod cached;
mod connection;
mod fault;
mod fence;
mod group;
mod idempotency;
mod inspect;
pub mod limits;
mod location;
mod mark;
mod migrations;
mod module;
pub mod mover;
mod outbox;
mod postgres;
mod prepared;
mod provision;
mod queue;
pub mod schema;
mod scratch;
mod server;
mod sqlite;
mod store;
mod task;
#[cfg(feature = "testing")]
pub mod testing;
mod threads;
mod tx;

pub use archive::{ArchiveError, Archived, backup, check_backup, restore};
pub use bulk::insert_all;
pub use cached::{Cached, cached};
pub use connection::Connection;
pub use fence::{FenceHolds, Standing, fence_holds, standing};
pub use idempotency::ANSWERS_KEPT;
pub use limits::Limits;
pub use location::{Location, OpenError};
pub use mark::{Mark, mark, marked};
pub use migrations::{MigrateError, Migrations, migrate, pending, revert_last};
pub use module::ModuleDescriptor;
pub use outbox::FeedPage;
pub use prepared::{Place, Prepared, Texts};
pub use provision::{module_location, provision};
pub use scratch::Scratch;
pub use store::Store;
pub use tx::{Abort, Tx};

/// Embeds a folder of migrations; the path is relative to the crate's `Cargo.toml`.
pub use diesel_migrations::{EmbeddedMigrations, embed_migrations};
