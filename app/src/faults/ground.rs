//! What a struck carve stands on: two databases, each on a disk of its own where this machine lets one be made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use store::Scratch;

use super::MODULE;
use crate::{secrets::DeploymentSecret, shop, shop::descriptors};

/// The room of each disk: a young shop needs a tenth of it.
const DISK: &str = "size=64m";

/// Between which databases a module moves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pair {
    /// From a file to a file.
    Sqlite,
    /// From a file to a PostgreSQL server.
    SqliteToPostgres,
    /// From one PostgreSQL database to another.
    Postgres,
}

impl Pair {
    fn is_on_a_server(self) -> (bool, bool) {
        match self {
            Self::Sqlite => (false, false),
            Self::SqliteToPostgres => (false, true),
            Self::Postgres => (true, true),
        }
    }
}

/// One side's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A database of this ground's own, by an administrator's URL.
    Server(String),
}

/// Two databases and their disks, gone when it is dropped.
#[derive(Debug)]
pub struct Ground {
    home: PathBuf,
    /// Where the module stays and where it moves to.
    pub places: (Place, Place),
    /// The databases on the server, which are dropped with it.
    made: Vec<Scratch>,
    /// Disks of their own, the innermost last: the shop's, and that of its children.
    disks: Vec<PathBuf>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        for disk in self.disks.iter().rev() {
            drop(Command::new("umount").arg("--lazy").arg(disk).output());
        }
        drop(fs::remove_dir_all(&self.home));
    }
}

impl Ground {
    /// The ground of a shop whose directory this is.
    pub fn new(home: &Path, pair: Pair, server: &str) -> Result<Self> {
        let data = home.join("data");
        let file = |folder: &Path| Place::File(folder.join(format!("{MODULE}.db")));
        let carved = data.join("carved");
        let places = (file(&data), file(&carved.join(MODULE)));
        let mut ground =
            Self { home: home.to_owned(), places, made: Vec::new(), disks: Vec::new() };
        for disk in [data, carved] {
            fs::create_dir_all(&disk)?;
            let mount = ["-t", "tmpfs", "-o", DISK, "banyan-faults"];
            let mounted = Command::new("mount").args(mount).arg(&disk).output()?;
            if mounted.status.success() {
                ground.disks.push(disk);
            }
        }
        let on_a_server = pair.is_on_a_server();
        if on_a_server.0 {
            ground.places.0 = ground.database(server)?;
        }
        if on_a_server.1 {
            ground.places.1 = ground.database(server)?;
        }
        Ok(ground)
    }

    fn database(&mut self, server: &str) -> Result<Place> {
        let made = Scratch::create(server)?;
        let place = Place::Server(made.admin_url());
        self.made.push(made);
        Ok(place)
    }

    /// What the shop is started with.
    pub fn variables(&self) -> Result<Vec<(&'static str, String)>> {
        let Place::Server(url) = &self.places.0 else { return Ok(Vec::new()) };
        let secret = DeploymentSecret::fresh()?;
        for module in descriptors() {
            store::provision(url, module.name, &shop::password(&secret, module.name))?;
        }
        Ok(vec![
            ("BANYAN_DATABASE_URL", url.clone()),
            (DeploymentSecret::VARIABLE, secret.to_text()),
        ])
    }

    /// What a carve is told of where to.
    pub fn target(&self) -> Vec<String> {
        match &self.places.1 {
            Place::File(_) => Vec::new(),
            Place::Server(url) => {
                ["--database", url, "--admin-url", url].map(str::to_owned).to_vec()
            }
        }
    }

    /// The disk of a file, where it has one of its own.
    pub fn disk(&self, place: &Place) -> Option<&Path> {
        let Place::File(path) = place else { return None };
        self.disks.iter().rev().find(|disk| path.starts_with(disk)).map(PathBuf::as_path)
    }
}

/// Runs statements as an administrator, each in a transaction of its own.
pub fn psql(url: &str, statements: &[&str]) -> Result<()> {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", url]);
    for statement in statements {
        command.args(["--command", statement]);
    }
    let ran = command.output().context("psql")?;
    ensure!(ran.status.success(), "psql: {}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}
