//! Reading an archive: checked whole before a row of it is used.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{ArchiveError, FORMAT, Footer, Header, Start, TITLE, Table};

/// A file whose checksum is right.
pub(super) struct Archive<'a> {
    path: &'a Path,
    pub header: Header,
    pub footer: Footer,
}

/// A line between header and footer.
pub(super) enum Row<'a> {
    Start(&'a str),
    Values(&'a str),
}

impl<'a> Archive<'a> {
    /// Reads the whole file once and checks it; touches nothing else.
    pub fn check(path: &'a Path) -> Result<Self, ArchiveError> {
        let wrong = |what: String| ArchiveError::File { path: path.to_owned(), what };
        let mut reader = open(path)?;
        let (mut hash, mut first, mut line) = (Sha256::new(), None, String::new());
        let footer = loop {
            line.clear();
            let length = reader.read_line(&mut line).map_err(|error| wrong(error.to_string()))?;
            if length == 0 {
                return Err(wrong("it ends too early: the backup was cut off".to_owned()));
            }
            if first.is_none() {
                let header: Header = serde_json::from_str(&line)
                    .map_err(|_other| wrong("it is no backup of a module".to_owned()))?;
                if header.title != TITLE || header.format != FORMAT {
                    return Err(wrong(format!("it is no backup of format {FORMAT}")));
                }
                first = Some(header);
            } else if line.starts_with("{\"rows\"") {
                break serde_json::from_str::<Footer>(&line)
                    .map_err(|_cut| wrong("its last line is cut off".to_owned()))?;
            }
            hash.update(line.as_bytes());
        };
        if footer.sha256 != hex(&hash.finalize()) {
            return Err(wrong("its checksum is wrong: it was changed or damaged".to_owned()));
        }
        if reader.read_line(&mut line).unwrap_or(1) > 0 {
            return Err(wrong("something follows its last line".to_owned()));
        }
        let header = first.ok_or_else(|| wrong("it is empty".to_owned()))?;
        Ok(Self { path, header, footer })
    }

    pub fn wrong(&self, what: String) -> ArchiveError {
        ArchiveError::File { path: self.path.to_owned(), what }
    }

    /// The same tables with the same columns?
    pub fn fits(&self, tables: &[(Table, Vec<String>)]) -> Result<(), ArchiveError> {
        let ours = tables.iter().map(|(table, _kinds)| table);
        if ours.eq(self.header.tables.iter()) {
            return Ok(());
        }
        Err(self.wrong("its tables have other columns than this database".to_owned()))
    }

    /// Gives every line between header and footer to `each`.
    pub fn rows(
        &self,
        mut each: impl FnMut(Row<'_>) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut rows = 0;
        for line in open(self.path)?.lines().skip(1) {
            let line = line.map_err(|error| self.wrong(error.to_string()))?;
            if line.starts_with('[') {
                rows += 1;
                each(Row::Values(&line))?;
            } else if line.starts_with("{\"table\"") {
                let start: Start =
                    serde_json::from_str(&line).map_err(|error| self.wrong(error.to_string()))?;
                each(Row::Start(&start.table))?;
            }
        }
        if rows == self.footer.rows {
            Ok(())
        } else {
            Err(self.wrong(format!("it has {rows} rows and says {}", self.footer.rows)))
        }
    }
}

fn open(path: &Path) -> Result<BufReader<fs::File>, ArchiveError> {
    fs::File::open(path)
        .map(BufReader::new)
        .map_err(|error| ArchiveError::File { path: path.to_owned(), what: error.to_string() })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
