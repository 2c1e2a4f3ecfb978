//! Files to the disk: whole or not at all, and on it when this returns.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

/// Can this file be replaced? Says no for one that is marked read-only, even to root: that mark is a wish. And for one that is
/// mounted by itself, as containers get single files: nothing can be moved into its place.
pub fn is_writable(path: &Path) -> bool {
    let Ok(real) = fs::canonicalize(path) else { return false };
    let Ok(metadata) = fs::metadata(&real) else { return false };
    if metadata.permissions().mode() & 0o222 == 0 || is_mounted(&real) {
        return false;
    }
    // Only trying tells: access lists, read-only mounts and the owner of the folder all have their say.
    let draft = draft(&real);
    let tried = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft);
    drop(fs::remove_file(&draft));
    tried.is_ok()
}

/// Is something mounted at this very path? A kernel that cannot say (before 5.8) is taken to say no.
fn is_mounted(path: &Path) -> bool {
    let seen = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    seen.is_ok_and(|seen| seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// How a replacement came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The new text is there.
    Done,
    /// Somebody was faster, and his text stays.
    ChangedMeanwhile,
}

/// Replaces a file's text; mode and owner stay. Through a symbolic link the file behind it is replaced and the link stays.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    replace_if(path, text, |_| Ok(true)).map(drop)
}

/// The same, if the file still has the text that was read of it. The look is the last step before the new text is moved into
/// its place, so that an editor's change is lost only if it comes within these microseconds.
pub fn replace_seen(path: &Path, seen: &str, text: &str) -> io::Result<Replaced> {
    replace_if(path, text, |real| Ok(fs::read(real)? == seen.as_bytes()))
}

fn replace_if(
    path: &Path,
    text: &str,
    is_as_seen: impl FnOnce(&Path) -> io::Result<bool>,
) -> io::Result<Replaced> {
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let before = match fs::metadata(&real) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mode = before.as_ref().map_or(0o600, |metadata| metadata.permissions().mode() & 0o7777);
    let draft = draft(&real);
    let written = || -> io::Result<Replaced> {
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        if let Some(before) = &before {
            // Who may not give a file away cannot have been told to keep its owner.
            drop(chown(&draft, Some(before.uid()), Some(before.gid())));
        }
        file.sync_all()?;
        if !is_as_seen(&real)? {
            fs::remove_file(&draft)?;
            return Ok(Replaced::ChangedMeanwhile);
        }
        fs::rename(&draft, &real)?;
        File::open(folder(&real))?.sync_all()?;
        Ok(Replaced::Done)
    };
    written().inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Removes a file; one that is not there is removed already.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => File::open(folder(path))?.sync_all(),
        // A read-only mount says so before it looks whether the file is there.
        Err(_) if fs::symlink_metadata(path).is_err_and(|no| no.kind() == ErrorKind::NotFound) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Hidden, so that nobody takes it for a configuration.
fn draft(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder(path).join(format!(".{name}.new"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn mode_and_link_stay_and_no_draft_is_left() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real.toml"), home.path().join("link.toml"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_somebody_has_just_written_is_not_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.toml");
        fs::write(&path, "his").unwrap();
        assert_eq!(replace_seen(&path, "read", "mine").unwrap(), Replaced::ChangedMeanwhile);
        assert_eq!(fs::read_to_string(&path).unwrap(), "his");
        assert_eq!(replace_seen(&path, "his", "mine").unwrap(), Replaced::Done);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_marked_read_only_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.toml");
        fs::write(&path, "").unwrap();
        assert!(is_writable(&path));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(!is_writable(&path));
        assert!(!is_writable(&home.path().join("none.toml")));
        assert!(is_mounted("/proc".as_ref()) && !is_mounted(home.path()) && !is_mounted(&path));
    }
}
