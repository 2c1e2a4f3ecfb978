//! The first reading of a file: its hash, its exact sums and the opening balances, before anything is booked.

use std::{collections::BTreeMap, io::Read, path::Path};

use kernel_api::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    Documents, FileError, Item, census::Census, derived::hex, document::Kind, opening::Balances,
    row::Listed, source::Source,
};

/// What a file holds in all.
#[derive(Debug, Clone)]
pub struct Scan {
    /// SHA-256 of the decompressed text, in hex: the file's identity, compressed or not.
    pub hash: String,
    /// Data rows.
    pub rows: u64,
    /// When its first document was made.
    pub first_at: Timestamp,
    /// The invoices of its first and its last sale.
    pub sales: Option<(String, String)>,
    /// Documents by kind.
    pub documents: BTreeMap<Kind, u64>,
    /// The exact sum of all documents' lines, in millionths of a pound.
    pub net_micros: i64,
    /// The exact sum of the rows that are listed instead of booked, as far as they can be read.
    pub listed_micros: i64,
    /// The rows that are listed.
    pub listed: Vec<Listed>,
    /// Rows of documents that move stock and nothing else.
    pub stock_rows: u64,
    /// Stock per SKU.
    pub balances: Balances,
    /// Customers and products.
    pub census: Census,
}

/// Reads the whole file once.
pub fn scan(path: &Path) -> Result<Scan, FileError> {
    scan_text(Source::open(path)?)
}

/// Reads a whole text once.
pub fn scan_text(text: impl Read) -> Result<Scan, FileError> {
    let mut hashed = Hashed { text, hasher: Sha256::new() };
    let mut scan = Scan {
        hash: String::new(),
        rows: 0,
        first_at: Timestamp::default(),
        sales: None,
        documents: BTreeMap::new(),
        net_micros: 0,
        listed_micros: 0,
        listed: Vec::new(),
        stock_rows: 0,
        balances: Balances::default(),
        census: Census::default(),
    };
    let mut documents = Documents::new(&mut hashed)?;
    for item in &mut documents {
        match item? {
            Item::Document(document) => {
                if scan.documents.is_empty() {
                    scan.first_at = document.at;
                }
                *scan.documents.entry(document.kind).or_default() += 1;
                let micros = document.micros().unwrap_or_default();
                scan.net_micros = scan.net_micros.saturating_add(micros);
                if document.kind == Kind::StockAdjustment {
                    scan.stock_rows += u64::try_from(document.lines.len()).unwrap_or(0);
                }
                scan.balances.book(&document);
                scan.census.count(&document);
                if document.kind == Kind::Sale {
                    let first = scan.sales.take().map(|(first, _)| first);
                    let last = document.invoice;
                    scan.sales = Some((first.unwrap_or_else(|| last.clone()), last));
                }
            }
            Item::Listed(listed) => {
                let micros = listed.micros.unwrap_or_default();
                scan.listed_micros = scan.listed_micros.saturating_add(micros);
                scan.listed.push(listed);
            }
        }
    }
    scan.rows = documents.rows_read();
    scan.listed.sort_by_key(|listed| listed.number);
    scan.hash = hex(&hashed.hasher.finalize());
    Ok(scan)
}

struct Hashed<R> {
    text: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, std::io::Error> {
        let length = self.text.read(buffer)?;
        self.hasher.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}
