//! Backups: a directory with one file per module.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use store::Archived;

use crate::{
    data_dir::Locked,
    held::Restoring,
    secrets::DeploymentSecret,
    settings::Settings,
    shop::{descriptors, location},
};

/// A backup on its way. Its directory gets its name only when every file in it is whole and on the disk: what was cut
/// off would be restored without the modules that it lacks.
pub struct Draft {
    partial: PathBuf,
    directory: PathBuf,
}

impl Draft {
    /// A new directory that only its owner may read: a backup holds everything that the shop knows.
    pub fn begin(directory: &Path) -> Result<Self> {
        ensure!(
            !directory.exists(),
            "{} is there already: name a directory that does not exist yet",
            directory.display()
        );
        let name = directory.file_name();
        let mut name = name.context("name the backup's directory")?.to_owned();
        name.push(".partial");
        let partial = directory.with_file_name(name);
        DirBuilder::new().mode(0o700).create(&partial).with_context(|| {
            format!(
                "cannot make {} (when it is there, a backup was cut off: remove it)",
                partial.display()
            )
        })?;
        Ok(Self { partial, directory: directory.to_owned() })
    }

    /// Where its files go until it is whole.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Every file is there.
    pub fn finish(self) -> Result<()> {
        let Self { partial, directory } = &self;
        let named = || -> std::io::Result<()> {
            File::open(partial)?.sync_all()?;
            fs::rename(partial, directory)?;
            let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        };
        named().with_context(|| format!("cannot name the backup {}", directory.display()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing is there by this name once the backup has its own. What is left when it failed is of no use to anyone;
        // when it cannot be removed its name says so.
        drop(fs::remove_dir_all(&self.partial));
    }
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
    locked: &Locked,
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
    ensure!(
        !wanted.is_empty(),
        "{} has no backup of {}",
        directory.display(),
        only.unwrap_or("any module")
    );
    let restoring = Restoring::begin(locked, directory)?;
    let mut done = Vec::new();
    for (module, path) in wanted {
        let location = location(settings, secret, module.name)?;
        let restored = store::restore(module.name, &location, &module.migrations, &path)
            .with_context(|| format!("cannot restore {}", module.name));
        match restored {
            Ok(archived) => done.push(line(&path, &archived)),
            Err(error) if done.is_empty() => {
                restoring.give_up()?;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        restoring.restored(module.name, &location)?;
    }
    restoring.finish()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_has_its_name_only_when_it_is_whole() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("backup");
        let draft = Draft::begin(&directory).unwrap();
        fs::write(file(draft.path(), "catalog"), "rows").unwrap();
        // As a kill leaves it.
        std::mem::forget(draft);
        assert!(!directory.exists(), "cut off, it is not taken for a backup");
        let again = Draft::begin(&directory).err().unwrap().to_string();
        assert!(again.contains("backup.partial") && again.contains("remove it"), "{again}");

        fs::remove_dir_all(home.path().join("backup.partial")).unwrap();
        let draft = Draft::begin(&directory).unwrap();
        fs::write(file(draft.path(), "catalog"), "rows").unwrap();
        draft.finish().unwrap();
        assert!(file(&directory, "catalog").exists());
        assert!(Draft::begin(&directory).is_err(), "one that is there is not touched");

        let failed = home.path().join("failed");
        drop(Draft::begin(&failed).unwrap());
        drop(Draft::begin(&failed).expect("one that failed is not in the way"));

        let slashed = home.path().join("slashed/");
        Draft::begin(&slashed).unwrap().finish().unwrap();
        assert!(slashed.is_dir());
    }
}
