//! What a module says of itself before anything of it is started.

use crate::Migrations;

/// A module as the wiring, `banyan migrate` and `banyan modules` see it.
pub struct ModuleDescriptor {
    /// Its name: the name of its schema, its role, its SQLite file and its routes' group.
    pub name: &'static str,
    /// The modules whose contract it is given.
    pub calls: &'static [&'static str],
    /// The modules whose feed it reads.
    pub hears: &'static [&'static str],
    /// Its tables.
    pub migrations: Migrations,
}
