//! The Online Retail format (UCI, "Online Retail"): rows of invoices become documents that the modules can book.
//!
//! Reading order: [`source`] (bytes, plain or Zstandard) -> [`row`] (one typed line, or why not) -> [`grouping`]
//! (invoices) -> [`document`] (what the invoice means) -> [`opening`] (what the file leaves unsaid).

pub mod census;
pub mod derived;
pub mod document;
pub mod grouping;
pub mod opening;
pub mod row;
pub mod scan;
pub mod source;

pub use document::{Article, Document, Kind, Line};
pub use row::{Listed, Problem, Row};
pub use scan::{Scan, scan};

use grouping::Grouping;
use source::Source;

/// The documents of a file, in the order of their first rows, and the rows that can be no part of one.
///
/// Memory is bounded by the invoices that are open at once (a few) plus the number of each closed one.
pub struct Documents<R: std::io::Read> {
    rows: row::Rows<R>,
    grouping: Grouping,
    ready: std::collections::VecDeque<Item>,
    ended: bool,
}

/// What a file gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An invoice, complete.
    Document(Document),
    /// A row that no document can take, with its number and the reason.
    Listed(Listed),
}

/// The file cannot be read any further, as opposed to a row that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The bytes cannot be read or decompressed.
    #[error("cannot read the file")]
    Read(#[from] std::io::Error),
    /// The text is no CSV.
    #[error("the file is no readable CSV")]
    Csv(#[source] csv::Error),
    /// Another table.
    #[error("the first line must name the columns {expected}; it has no `{missing}`")]
    Columns {
        /// The columns that the format has.
        expected: String,
        /// The first that is missing.
        missing: &'static str,
    },
}

impl From<csv::Error> for FileError {
    fn from(error: csv::Error) -> Self {
        if !error.is_io_error() {
            return Self::Csv(error);
        }
        let csv::ErrorKind::Io(error) = error.into_kind() else { unreachable!("it was asked") };
        Self::Read(error)
    }
}

impl Documents<Source> {
    /// Opens a file, plain or compressed with Zstandard.
    pub fn open(path: &std::path::Path) -> Result<Self, FileError> {
        Self::new(Source::open(path)?)
    }
}

impl<R: std::io::Read> Documents<R> {
    /// Reads decompressed CSV text.
    pub fn new(text: R) -> Result<Self, FileError> {
        let rows = row::Rows::new(text)?;
        Ok(Self { rows, grouping: Grouping::default(), ready: Default::default(), ended: false })
    }

    /// How many data rows have been read.
    pub fn rows_read(&self) -> u64 {
        self.rows.count()
    }

    fn more(&mut self) -> Result<(), FileError> {
        match self.rows.next_row()? {
            Some(Ok(row)) => self.grouping.take(row, &mut self.ready),
            Some(Err(listed)) => self.ready.push_back(Item::Listed(listed)),
            None => {
                self.grouping.end(&mut self.ready);
                self.ended = true;
            }
        }
        Ok(())
    }
}

impl<R: std::io::Read> Iterator for Documents<R> {
    type Item = Result<Item, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            if self.ended {
                return None;
            }
            if let Err(broken) = self.more() {
                // A file that broke once gives nothing more: what follows the break cannot be trusted.
                self.ended = true;
                return Some(Err(broken));
            }
        }
    }
}

#[cfg(test)]
mod tests;
