//! Who and what a file names: its customers and its products, each with what is to be known of them.

use std::collections::{BTreeMap, HashMap};

use kernel_api::{Sku, Timestamp, UnitPrice};

use super::document::{Document, Kind};

/// The customers and products of a file.
#[derive(Debug, Default, Clone)]
pub struct Census {
    /// By the file's CustomerID: the country of the first invoice.
    pub customers: BTreeMap<String, String>,
    products: BTreeMap<Sku, Seen>,
}

/// A product as a file shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its code.
    pub sku: Sku,
    /// Its latest name on a priced row, without spaces around it; its code where there is none.
    pub title: String,
    /// The price of most of its rows, the latest of those that are equally frequent; absent where it was never sold
    /// for money.
    pub usual_price: Option<UnitPrice>,
    /// The price of its last sale.
    pub last_price: Option<UnitPrice>,
    /// When the file first names it.
    pub first_at: Timestamp,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    title: String,
    /// How often each price was asked, and when last.
    prices: HashMap<i64, (u64, Timestamp)>,
    last: Option<UnitPrice>,
    first_at: Timestamp,
}

impl Census {
    /// Counts a document in.
    pub fn count(&mut self, document: &Document) {
        if let Some(customer) = &document.customer
            && !self.customers.contains_key(customer)
        {
            self.customers.insert(customer.clone(), document.country.clone());
        }
        for (sku, line) in document.goods() {
            if !self.products.contains_key(sku) {
                let seen = Seen { first_at: document.at, ..Seen::default() };
                self.products.insert(sku.clone(), seen);
            }
            let Some(seen) = self.products.get_mut(sku) else { continue };
            if document.kind != Kind::Sale || line.price.micros == 0 {
                continue;
            }
            let title = line.description.trim();
            if !title.is_empty() && title != seen.title {
                title.clone_into(&mut seen.title);
            }
            let (count, last_at) = seen.prices.entry(line.price.micros).or_default();
            (*count, *last_at) = (*count + 1, document.at);
            seen.last = Some(line.price);
        }
    }

    /// The products, by code.
    pub fn products(&self) -> impl Iterator<Item = Product> {
        self.products.iter().map(|(sku, seen)| Product {
            sku: sku.clone(),
            title: if seen.title.is_empty() { sku.to_string() } else { seen.title.clone() },
            usual_price: usual(seen),
            last_price: seen.last,
            first_at: seen.first_at,
        })
    }
}

fn usual(seen: &Seen) -> Option<UnitPrice> {
    let currency = seen.last?.currency;
    let (micros, _) = seen.prices.iter().max_by_key(|(micros, seen)| (**seen, **micros))?;
    Some(UnitPrice::new(*micros, currency))
}
