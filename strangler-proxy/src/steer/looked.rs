//! How the files look that a configuration is made from: a change of one shows without reading it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::config::{Loaded, Source};

/// A file as it looked when it was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// How the files look that the configuration is made from.
pub fn seen(source: &Source, loaded: &Loaded, suspects: &[PathBuf]) -> Vec<Option<Seen>> {
    let look = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some(Seen {
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        })
    };
    let files = [source.file.as_deref(), Some(loaded.snapshot.files.state.as_path())];
    let of_tls = loaded.snapshot.watched.iter().chain(suspects).map(PathBuf::as_path);
    files.into_iter().flatten().chain(of_tls).map(look).collect()
}
