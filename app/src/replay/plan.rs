//! What is to be replayed: the documents of some days of a file, and what must be there before the first of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use kernel_api::{Sku, Timestamp};
use tokio::sync::mpsc;

use crate::online_retail::{
    Document, Documents, Item, Scan, census::Product, opening::Balances, scan,
};

/// How many documents are read ahead: enough that reading never holds up the trade, and a bound on memory.
const READ_AHEAD: usize = 256;

/// Which days, whole ones, and how much of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub from: Option<Timestamp>,
    /// The last.
    pub to: Option<Timestamp>,
    /// Only so many documents, the first ones.
    pub documents: Option<usize>,
}

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

impl Days {
    fn include(&self, at: Timestamp) -> bool {
        let end = self.to.map(|to| to.micros().saturating_add(DAY_MICROS));
        self.from.is_none_or(|from| from <= at) && end.is_none_or(|end| at.micros() < end)
    }

    fn are_all(&self) -> bool {
        *self == Self::default()
    }
}

/// What is to be replayed.
#[derive(Debug)]
pub struct Plan {
    file: PathBuf,
    days: Days,
    /// SHA-256 of the file's text.
    pub hash: String,
    /// How many documents.
    pub documents: u64,
    /// The rows that are no part of a document.
    pub listed: usize,
    /// Everything that the file sells, whatever the days.
    pub products: Vec<Product>,
    /// Who buys on these days: the retailer's number and the country.
    pub customers: BTreeMap<String, String>,
    /// The smallest stock to begin with on these days, where it is not zero.
    pub opening: Vec<(Sku, i64)>,
}

impl Plan {
    /// Reads the file and finds out what these days need.
    pub fn of(file: &Path, days: Days) -> Result<Self> {
        let broken = || format!("cannot replay {}", file.display());
        let scan = scan(file).with_context(broken)?;
        let part = if days.are_all() {
            Part::whole(&scan)
        } else {
            Part::read(file, days, &scan).with_context(broken)?
        };
        ensure!(part.documents > 0, "{} has no document of these days", file.display());
        Ok(Self {
            file: file.to_owned(),
            days,
            hash: scan.hash.clone(),
            documents: part.documents,
            listed: scan.listed.len(),
            products: scan.census.products().collect(),
            customers: part.customers,
            opening: part
                .balances
                .opening()
                .filter(|(_, units)| *units > 0)
                .map(|(sku, units)| (sku.clone(), units))
                .collect(),
        })
    }

    /// The name of these days, for keys: what must be there first depends on them.
    pub fn days_name(&self) -> String {
        let day = |at: Option<Timestamp>| {
            at.map_or_else(String::new, |at| at.to_string().chars().take(10).collect())
        };
        let first = self.days.documents.map_or_else(String::new, |count| format!(":{count}"));
        format!("{}..{}{first}", day(self.days.from), day(self.days.to))
    }

    /// Reads the documents, in the order of the file, on a thread of its own. The receiver ends it by going away.
    pub fn read(&self) -> mpsc::Receiver<Result<Document>> {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let (file, days) = (self.file.clone(), self.days);
        std::thread::spawn(move || {
            for document in documents(&file, days) {
                if sender.blocking_send(document).is_err() {
                    return;
                }
            }
        });
        receiver
    }
}

/// What a part of a file holds.
struct Part {
    documents: u64,
    customers: BTreeMap<String, String>,
    balances: Balances,
}

impl Part {
    fn whole(scan: &Scan) -> Self {
        Self {
            documents: scan.documents.values().sum(),
            customers: scan.census.customers.clone(),
            balances: scan.balances.clone(),
        }
    }

    fn read(file: &Path, days: Days, scan: &Scan) -> Result<Self> {
        let mut part =
            Self { documents: 0, customers: BTreeMap::new(), balances: Balances::default() };
        let mut customers = BTreeSet::new();
        for document in documents(file, days) {
            let document = document?;
            part.documents += 1;
            part.balances.book(&document);
            customers.extend(document.customer);
        }
        let of_all = scan.census.customers.iter();
        part.customers = of_all
            .filter(|(customer, _)| customers.contains(*customer))
            .map(|(customer, country)| (customer.clone(), country.clone()))
            .collect();
        Ok(part)
    }
}

/// The documents of these days. What no document can take was listed by the first reading.
fn documents(file: &Path, days: Days) -> impl Iterator<Item = Result<Document>> + use<> {
    let (opened, broken) = match Documents::open(file) {
        Ok(documents) => (Some(documents), None),
        Err(error) => (None, Some(Err(error.into()))),
    };
    let items = opened.into_iter().flatten();
    let wanted = items.filter_map(move |item| match item {
        Ok(Item::Document(document)) => days.include(document.at).then_some(Ok(document)),
        Ok(Item::Listed(_)) => None,
        Err(error) => Some(Err(error.into())),
    });
    broken.into_iter().chain(wanted.take(days.documents.unwrap_or(usize::MAX)))
}
