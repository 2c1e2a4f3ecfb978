//! Backups: a directory with one file per module.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use store::Archived;

use crate::{
    secrets::DeploymentSecret,
    settings::Settings,
    shop::{descriptors, location},
};

/// A new directory that only its owner may read: a backup holds everything that the shop knows.
pub fn make_directory(directory: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(directory).with_context(|| {
        format!("cannot make {}: name a directory that does not exist yet", directory.display())
    })
}

/// The file of a module.
pub fn file(directory: &Path, module: &str) -> PathBuf {
    directory.join(format!("{module}.backup"))
}

/// What was done, in a line.
pub fn line(path: &Path, archived: &Archived) -> String {
    let Archived { module, tables, rows, sha256 } = archived;
    format!("{module}: {rows} rows of {tables} tables in {} (sha256 {sha256})", path.display())
}

/// Restores every module that has a file in the directory, or the one that is named. Says what it did. No module is
/// touched while one of the files is damaged.
pub fn restore(
    settings: &Settings,
    secret: &DeploymentSecret,
    directory: &Path,
    only: Option<&str>,
) -> Result<Vec<String>> {
    let mut wanted = Vec::new();
    for module in descriptors() {
        let path = file(directory, module.name);
        if only.map_or_else(|| path.exists(), |only| only == module.name) {
            store::check_backup(module.name, &path)
                .with_context(|| format!("cannot restore {}", module.name))?;
            wanted.push((module, path));
        }
    }
    let mut done = Vec::new();
    for (module, path) in wanted {
        let location = location(settings, secret, module.name)?;
        let archived = store::restore(module.name, &location, &module.migrations, &path)
            .with_context(|| format!("cannot restore {}", module.name))?;
        done.push(line(&path, &archived));
    }
    ensure!(
        !done.is_empty(),
        "{} has no backup of {}",
        directory.display(),
        only.unwrap_or("any module")
    );
    Ok(done)
}
