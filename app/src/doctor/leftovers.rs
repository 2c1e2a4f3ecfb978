//! What ended carves have left in databases: a side could not be reached, or had no room, when they cleaned up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use placement_api::{Database, Table};
use store::{
    Location,
    mover::{MoveId, Mover, Sides},
};
use tokio::task::spawn_blocking;

use super::{Facts, Finding};
use crate::{data_dir::DataDir, placing::carved, shop::descriptors};

/// What one carve has left in one database.
pub struct Remains {
    module: String,
    location: Location,
    id: MoveId,
    things: Vec<String>,
}

impl Remains {
    /// As it is told.
    pub fn finding(&self) -> Finding {
        Finding {
            kind: "leftover",
            module: self.module.clone(),
            at: shown(&self.location),
            detail: format!("carve {} is over and has left {}", self.id, self.things.join(", ")),
            mended: false,
        }
    }

    /// Removes it.
    pub async fn remove(self) -> Result<()> {
        let Self { module, location, id, .. } = self;
        let descriptor = descriptors().into_iter().find(|known| known.name == module);
        let migrations = Arc::new(descriptor.context("the module of this program")?.migrations);
        let (source, target) = (location.clone(), location);
        let mover = Mover::new(Sides { module, id, source, target, migrations });
        let removed = spawn_blocking(move || mover.remove()).await??;
        ensure!(removed.away.is_empty(), removed.away.join("; "));
        Ok(())
    }
}

/// Where it is, without a password.
fn shown(location: &Location) -> String {
    match location {
        Location::Sqlite { path } => path.display().to_string(),
        Location::Postgres { url } => Database::Server(url.clone()).to_string(),
    }
}

/// Looks into every database that a process has open, and into those of children that are wanted no more. `table` is asked
/// for afterwards: a carve that is not in it was over by then.
pub(super) async fn find(
    facts: &Facts,
    data: &DataDir,
    table: impl AsyncFnOnce() -> Result<Table>,
) -> Result<Vec<Remains>> {
    let mut found = Vec::new();
    for (module, location) in places(facts, data)? {
        let place = location.clone();
        // A database that cannot be read now is told of elsewhere.
        let Ok(left) = spawn_blocking(move || Mover::leftovers(&place)).await? else { continue };
        let mut by_move: BTreeMap<MoveId, Vec<String>> = BTreeMap::new();
        left.into_iter().for_each(|one| by_move.entry(one.id).or_default().push(one.what));
        let of = |(id, things)| {
            let (module, location) = (module.clone(), location.clone());
            Remains { module, location, id, things }
        };
        found.extend(by_move.into_iter().map(of));
    }
    if !found.is_empty() {
        let open: BTreeSet<String> = table()
            .await?
            .placed
            .into_iter()
            .filter_map(|placed| Some(placed.moving?.carve.uuid().simple().to_string()))
            .collect();
        found.retain(|remains| !open.contains(remains.id.as_str()));
    }
    Ok(found)
}

/// The data of every module, wherever it is or was, each once.
fn places(facts: &Facts, data: &DataDir) -> Result<Vec<(String, Location)>> {
    let identities = facts.processes.iter().filter_map(|(_, known)| known.identity.as_ref());
    let mut places: Vec<(String, Location)> = identities
        .flat_map(|identity| &identity.houses)
        .filter_map(|house| {
            let location = match house.database.parse().ok()? {
                Database::File(path) => Location::Sqlite { path },
                Database::Server(url) => Location::Postgres { url },
            };
            Some((house.housed.module.to_string(), location))
        })
        .collect();
    for home in carved(data.path()).context("the directory of carved modules")? {
        let home = std::path::absolute(home)?;
        for module in descriptors() {
            let path = home.join(format!("{}.db", module.name));
            places.push((module.name.to_owned(), Location::Sqlite { path }));
        }
    }
    let mut seen = BTreeSet::new();
    places.retain(|(module, location)| seen.insert((module.clone(), shown(location))));
    Ok(places)
}
