//! The audit log: a JSON line for every change, appended and on the disk before the change is told as done.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Toggle, clock};

/// The log.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
}

/// A change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When, in RFC 3339 and UTC.
    #[serde(default)]
    pub at: String,
    /// What: `toggle`, `reload`, `refused`, `kill`, `unkill`, `park`, `resume`, `start`, `lead`.
    pub what: String,
    /// Who: the user of the command line, the caller of the API, `file`, `signal`.
    pub who: String,
    /// Why, as it was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The route or group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The toggles before, by route.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub before: BTreeMap<String, Toggle>,
    /// The toggles after.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub after: BTreeMap<String, Toggle>,
    /// The revision before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision_before: String,
    /// The revision after.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// What was refused, and other notes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The commands that undo it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<String>,
}

impl Record {
    /// Of toggles that have changed, each with what it was and what it is.
    pub(super) fn of(what: &str, who: &str, changes: &BTreeMap<String, (Toggle, Toggle)>) -> Self {
        Self {
            what: what.into(),
            who: who.into(),
            before: changes.iter().map(|(name, (old, _))| (name.clone(), *old)).collect(),
            after: changes.iter().map(|(name, (_, new))| (name.clone(), *new)).collect(),
            ..Self::default()
        }
    }
}

impl Audit {
    /// The log at this path; made with the first record.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a record without the lock: for what has happened already, and must not wait for another process. It is one
    /// write, and so is whole whoever else writes.
    pub fn append(&self, record: &Record) -> io::Result<()> {
        Open { file: self.file()?, last: None }.append(record)
    }

    /// Opens it and takes its lock: held over the reading, editing and writing of a toggle, so that two processes do not
    /// overwrite each other's. The log is the right file for that, for it is never replaced.
    pub fn open(&self) -> io::Result<Open> {
        let file = self.file()?;
        file.lock()?;
        Ok(Open { file, last: None })
    }

    fn file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(&self.path)
    }
}

/// An open log; its lock goes with it.
#[derive(Debug)]
pub struct Open {
    file: File,
    /// The last record, and how long the log was before it.
    last: Option<(u64, String)>,
}

impl Open {
    /// Appends a record, dated now.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let dated = Record { at: clock::now(), ..record.clone() };
        let mut line = serde_json::to_string(&dated).map_err(io::Error::other)?;
        line.push('\n');
        let before = self.file.metadata()?.len();
        // One write: a reader never sees half a line, and neither does a crash leave more than one.
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        self.last = Some((before, line));
        written.inspect_err(|_| self.take_back())
    }

    /// Takes the last record back: what it tells has not come to be. On a full disk that is the half of a line. Where
    /// somebody has appended a note since, it stays.
    pub fn take_back(&mut self) {
        let Some((before, line)) = self.last.take() else { return };
        let taken = self.tail(before, line.len() + 1).and_then(|tail| {
            if !line.as_bytes().starts_with(&tail) {
                return Err(io::Error::other("another record follows it"));
            }
            self.file.set_len(before)
        });
        if let Err(error) = taken {
            tracing::error!(%error, "the audit log has a record of a change that was not made");
        }
    }

    fn tail(&self, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut tail = vec![0; most];
        let mut read = 0;
        while let Some(rest) = tail.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let at = from + u64::try_from(read).map_err(io::Error::other)?;
            match self.file.read_at(rest, at)? {
                0 => break,
                count => read += count,
            }
        }
        tail.truncate(read);
        Ok(tail)
    }
}
