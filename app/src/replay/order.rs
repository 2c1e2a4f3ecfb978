//! Which documents may be traded at the same time, so that concurrency changes nothing about them.
//!
//! A document waits for two kinds of earlier ones, until they are settled:
//!
//! - the one before it of the same customer, so that a customer's story is told in its order and a return finds its sale;
//! - every one that gives back a product which it takes (a return, stock that was found).
//!
//! The second rule is why the opening stock can be the smallest that suffices in the order of the file. Let `q` be the
//! latest document begun that takes a product. All that gave it back before `q` is there, for `q` waited for it; and all
//! that was taken is a part of what the file takes up to `q`. So there is at least as much as the file has after `q`,
//! which is not below zero. Sales among each other need no order: they only take.
//!
//! Nobody waits for a later document, so the first that is not settled can always be traded: no deadlock.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use kernel_api::Sku;

use crate::online_retail::{Document, Kind, Line};

/// A document's place in the file's order, from 0.
pub type Place = u64;

/// The documents that are read but not settled.
#[derive(Debug, Default)]
pub struct Order {
    next: Place,
    waiting: HashMap<Place, Waiting>,
    /// By place, so that the earliest goes first.
    ready: BTreeMap<Place, Document>,
    open: HashMap<Place, Open>,
    latest_of_customer: HashMap<String, Place>,
    giving: HashMap<Sku, BTreeSet<Place>>,
}

/// A document that waits for others.
#[derive(Debug)]
struct Waiting {
    document: Document,
    /// How many others; never 0.
    blockers: usize,
}

/// What is to be done once a document is settled.
#[derive(Debug, Default)]
struct Open {
    customer: Option<String>,
    gives: Vec<Sku>,
    blocks: Vec<Place>,
}

impl Order {
    /// Takes the next document of the file.
    pub fn admit(&mut self, document: Document) -> Place {
        let place = self.next;
        self.next += 1;
        let blockers = self.blockers(&document);
        for blocker in &blockers {
            if let Some(open) = self.open.get_mut(blocker) {
                open.blocks.push(place);
            }
        }
        let open = self.enter(place, &document);
        self.open.insert(place, open);
        match blockers.len() {
            0 => drop(self.ready.insert(place, document)),
            blockers => drop(self.waiting.insert(place, Waiting { document, blockers })),
        }
        place
    }

    fn blockers(&self, document: &Document) -> BTreeSet<Place> {
        let before = document.customer.as_ref();
        let mut blockers: BTreeSet<Place> = before
            .and_then(|customer| self.latest_of_customer.get(customer))
            .copied()
            .into_iter()
            .collect();
        // Most of the time nothing is on its way back at all.
        if !self.giving.is_empty() {
            for sku in taken(document) {
                blockers.extend(self.giving.get(sku).into_iter().flatten());
            }
        }
        blockers
    }

    fn enter(&mut self, place: Place, document: &Document) -> Open {
        if let Some(customer) = &document.customer {
            self.latest_of_customer.insert(customer.clone(), place);
        }
        let gives: BTreeSet<&Sku> = given(document).collect();
        for sku in &gives {
            self.giving.entry((*sku).clone()).or_default().insert(place);
        }
        Open {
            customer: document.customer.clone(),
            gives: gives.into_iter().cloned().collect(),
            blocks: Vec::new(),
        }
    }

    /// The earliest document that may be traded now.
    pub fn next_ready(&mut self) -> Option<(Place, Document)> {
        self.ready.pop_first()
    }

    /// Is there one that may be traded now?
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many documents are read and not settled.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// A document has come to its end, good or bad.
    pub fn settled(&mut self, place: Place) {
        let Some(open) = self.open.remove(&place) else { return };
        if let Some(customer) = open.customer
            && let Entry::Occupied(latest) = self.latest_of_customer.entry(customer)
            && *latest.get() == place
        {
            latest.remove();
        }
        for sku in open.gives {
            if let Entry::Occupied(mut places) = self.giving.entry(sku) {
                places.get_mut().remove(&place);
                if places.get().is_empty() {
                    places.remove();
                }
            }
        }
        for blocked in open.blocks {
            if let Entry::Occupied(mut waiting) = self.waiting.entry(blocked) {
                waiting.get_mut().blockers -= 1;
                if waiting.get().blockers == 0 {
                    self.ready.insert(blocked, waiting.remove().document);
                }
            }
        }
    }
}

/// The products that a document takes from stock.
fn taken(document: &Document) -> impl Iterator<Item = &Sku> {
    moved(document, |kind, line| match kind {
        Kind::Sale => true,
        Kind::StockAdjustment => line.quantity < 0,
        Kind::Return | Kind::BadDebt => false,
    })
}

/// The products that a document gives back to stock.
fn given(document: &Document) -> impl Iterator<Item = &Sku> {
    moved(document, |kind, line| match kind {
        Kind::Return => true,
        Kind::StockAdjustment => line.quantity > 0,
        Kind::Sale | Kind::BadDebt => false,
    })
}

fn moved(document: &Document, when: fn(Kind, &Line) -> bool) -> impl Iterator<Item = &Sku> {
    let kind = document.kind;
    document.goods().filter(move |(_, line)| when(kind, line)).map(|(sku, _)| sku)
}

#[cfg(test)]
mod tests;
