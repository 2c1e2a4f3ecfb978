//! Which modules a data directory holds: one whose file is gone, or is another's, is never taken for a new one.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use kernel_api::Id;
use serde::{Deserialize, Serialize};
use store::{Location, Mark};

use crate::{data_dir::Locked, shop::descriptors};

const HELD: &str = "modules.json";
/// There while a restore is under way: its content says from where.
const RESTORING: &str = "restoring";

/// What a data directory holds.
///
/// Invariant: a module is named here only after its file carries the mark of this deployment. A directory from before
/// there were marks names none, and its files get theirs at the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Sets its files apart from those of other deployments.
    deployment: i32,
    /// The modules that it has held.
    modules: BTreeSet<String>,
}

impl Held {
    /// What the directory holds, unless a restore into it was cut off.
    pub fn of(locked: &Locked) -> Result<Self> {
        let restoring = locked.dir().file(RESTORING);
        ensure!(
            !restoring.exists(),
            "a restore into {0} was cut off, so that modules are missing: empty its databases (remove {0}/*.db, or make \
             the PostgreSQL database anew) and run `banyan restore {1}` again",
            locked.dir().path().display(),
            fs::read_to_string(&restoring).unwrap_or_default()
        );
        Self::read(locked)
    }

    fn read(locked: &Locked) -> Result<Self> {
        let path = locked.dir().file(HELD);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::begin(locked),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The deployment of files that are there already (this one's small file was lost), or a new one.
    fn begin(locked: &Locked) -> Result<Self> {
        let mut deployment = None;
        for module in descriptors() {
            let found = store::marked(&locked.dir().file(&format!("{}.db", module.name)))?;
            deployment = deployment.or(found.map(|mark| mark.deployment));
        }
        let fresh = || {
            let (_, random) = Id::<Self>::fresh().uuid().as_u64_pair();
            i32::try_from(random & 0x7FFF_FFFF).expect("31 bits fit")
        };
        Ok(Self { deployment: deployment.unwrap_or_else(fresh), modules: BTreeSet::new() })
    }

    /// Refuses a module's file that is gone, or another's. On PostgreSQL the role and the schema have the module's name.
    pub fn check(&self, module: &str, location: &Location) -> Result<()> {
        let Location::Sqlite { path } = location else { return Ok(()) };
        match store::marked(path)? {
            None if self.modules.contains(module) => bail!(
                "{} is missing, empty or another file than the one of {module} that was here: put it back, or restore a \
                 backup with `banyan restore DIRECTORY --module {module}`",
                path.display()
            ),
            Some(mark) if mark != self.mark(module) => bail!(
                "{} is no file of {module} of this data directory, but another module's or another shop's: put the \
                 right one back",
                path.display()
            ),
            Some(_) | None => Ok(()),
        }
    }

    fn mark(&self, module: &str) -> Mark {
        Mark::new(module, self.deployment)
    }

    /// Marks the file of a module that was checked and has its tables.
    pub fn sign(&self, module: &str, location: &Location) -> Result<()> {
        let Location::Sqlite { path } = location else { return Ok(()) };
        if store::marked(path)?.is_none() {
            store::mark(path, self.mark(module))?;
        }
        Ok(())
    }

    /// Remembers modules whose files are signed.
    pub fn remember<'a>(
        mut self,
        modules: impl Iterator<Item = &'a str>,
        locked: &Locked,
    ) -> Result<()> {
        let before = self.modules.len();
        self.modules.extend(modules.map(str::to_owned));
        if self.modules.len() > before {
            locked.write(HELD, &serde_json::to_string(&self)?)?;
        }
        Ok(())
    }
}

/// A restore under way: until it is [finished](Restoring::finish) nothing else opens the data.
pub struct Restoring<'a> {
    locked: &'a Locked,
    held: Held,
    /// Was one cut off here before?
    again: bool,
}

impl<'a> Restoring<'a> {
    /// Says that one begins.
    pub fn begin(locked: &'a Locked, from: &Path) -> Result<Self> {
        let again = locked.dir().file(RESTORING).exists();
        let held = Held::read(locked)?;
        locked.write(RESTORING, &std::path::absolute(from)?.display().to_string())?;
        Ok(Self { locked, held, again })
    }

    /// A module is whole.
    pub fn restored(&self, module: &str, location: &Location) -> Result<()> {
        self.held.sign(module, location)
    }

    /// All are whole.
    pub fn finish(self) -> Result<()> {
        self.locked.remove(RESTORING)
    }

    /// Nothing was restored, so nothing stands half done, unless it did before.
    pub fn give_up(self) -> Result<()> {
        if self.again { Ok(()) } else { self.finish() }
    }
}
