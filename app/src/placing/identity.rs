//! What a process says of itself to whoever has the control token.

use std::collections::BTreeMap;

use placement_api::{Address, Database, Housed, Name};
use serde::{Deserialize, Serialize};

use super::Oneself;
use crate::shop::Shop;

/// A process, its data and the contracts that it speaks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The deployment that it is part of.
    pub deployment: Name,
    /// Where everybody reaches it.
    pub public_url: Option<Address>,
    /// The modules whose data it has open.
    pub houses: Vec<House>,
    /// The hash of every method of every contract.
    pub contracts: BTreeMap<String, BTreeMap<String, String>>,
}

/// A module's data in a process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct House {
    /// The module and what its fence row says.
    pub housed: Housed,
    /// Where the data is, password and all: for whoever may read it anyway.
    pub database: String,
}

impl Identity {
    /// What this process says.
    pub async fn of(shop: &Shop, oneself: &Oneself) -> Self {
        let mut houses = Vec::new();
        for running in shop.own() {
            let Some(seat) = shop.seats.get(running.name) else { continue };
            let Some(housed) = seat.housed().await else { continue };
            let database = database(running.store().location()).expose().into_owned();
            houses.push(House { housed, database });
        }
        Self {
            deployment: oneself.deployment.clone(),
            public_url: oneself.public_url.clone(),
            houses,
            contracts: contracts(shop),
        }
    }
}

/// The hashes of the contracts of this program.
pub fn contracts(shop: &Shop) -> BTreeMap<String, BTreeMap<String, String>> {
    let hashes = |seat: &std::sync::Arc<dyn crate::shop::Seated>| {
        (seat.module().to_owned(), seat.contract().methods)
    };
    shop.seats.values().map(hashes).collect()
}

/// A place of data in placement's words.
pub fn database(location: &store::Location) -> Database {
    match location {
        store::Location::Sqlite { path } => {
            Database::File(std::path::absolute(path).unwrap_or_else(|_| path.clone()))
        }
        store::Location::Postgres { url } => Database::Server(url.clone()),
    }
}
