//! The steps of an import: each one a few calls, each call once in effect.

use std::path::Path;

use anyhow::{Context, Result, bail};
use catalog_api::{Existing, ImportRow, Price, RowOutcome};
use contract::{Caller, Command, IdempotencyKey};
use inventory_api::Movement;
use kernel_api::{Bounded, Currency, Exact, Id, PageRequest, Timestamp, UnitPrice};
use ordering_api::{
    Customer, CustomersWish, IMPORT_CUSTOMERS_MAX, NewCustomer, OrderSummary, OrdersWish, Origin,
    SettledReturn, SourceRecord,
};
use payments_api::{HISTORY_RECORDS_MAX, History, HistoryRecord};

use super::batch::{Batch, Known, customer_id, order_id};
use crate::{
    insist::{call, insist},
    modules::Modules,
    online_retail::Scan,
    verify::Pace,
};

/// One import under way.
pub struct Steps<'a> {
    /// The modules.
    pub modules: &'a Modules,
    /// In whose name: the file's.
    pub caller: Caller,
    /// What the first reading found.
    pub scan: &'a Scan,
}

/// How many documents were new and known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// New.
    pub new: u64,
    /// There already.
    pub known: u64,
}

impl Counts {
    /// Adds.
    pub fn add(&mut self, other: Self) {
        self.new += other.new;
        self.known += other.known;
    }
}

impl Steps<'_> {
    /// The command that this step's name and number stand for.
    pub(super) fn command(&self, step: &str, number: u64) -> Command {
        let key: IdempotencyKey = format!("{}:{step}:{number}", self.scan.hash)
            .parse()
            .expect("a hash and a word are a key");
        call(&self.caller).command(key)
    }

    /// Refuses a file that has invoices in common with another one that is in the books: they would count twice. The
    /// ends of a file tell, since files of this format are stretches of time.
    pub async fn refuse_overlap(&self) -> Result<()> {
        let Some((first, last)) = &self.scan.sales else { return Ok(()) };
        for invoice in [first, last] {
            let reference = Some(invoice.clone());
            let wish = OrdersWish { customer: None, reference, page: PageRequest::default() };
            let ordering = &self.modules.ordering;
            let found = insist("known orders", async || {
                ordering.orders(&call(&self.caller), wish.clone()).await
            })
            .await?;
            let ours = order_id(&self.scan.hash, invoice);
            let other = |order: &OrderSummary| order.origin == Origin::History && order.id != ours;
            if found.items.iter().any(other) {
                bail!(
                    "invoice {invoice} is in the books from another file: importing this one too would count it twice"
                );
            }
        }
        Ok(())
    }

    /// Adds the file's products that are not there yet; answers how many.
    pub async fn products(&self) -> Result<u64> {
        let mut added = 0;
        let products: Vec<_> = self.scan.census.products().collect();
        for (number, some) in (1..).zip(products.chunks(catalog_api::IMPORT_ROWS_MAX)) {
            let rows = some.iter().map(|product| {
                let price = product.usual_price.unwrap_or(UnitPrice::new(0, Currency::GBP));
                Ok(ImportRow {
                    sku: product.sku.clone(),
                    title: product
                        .title
                        .parse()
                        .with_context(|| format!("the name of {}", product.sku))?,
                    description: catalog_api::Description::default(),
                    price: Price::new(price)
                        .with_context(|| format!("the price of {}", product.sku))?,
                    from: Some(product.first_at),
                    // What was never sold for money has no price to sell it at.
                    published: product.usual_price.is_some(),
                })
            });
            let rows = Bounded::new(rows.collect::<Result<_>>()?)?;
            let wish = catalog_api::Import { existing: Existing::Keep, rows };
            // A key of this run's own: the rows themselves change nothing the second time, and the answer of the first
            // time would say that they did.
            let run = Id::<()>::fresh();
            let command = self.command(&format!("products.{run}"), number);
            let catalog = &self.modules.catalog;
            let answer =
                insist("products", async || catalog.import(&command, wish.clone()).await).await?;
            for row in answer.rows {
                match row.outcome {
                    RowOutcome::Added => added += 1,
                    RowOutcome::Changed | RowOutcome::Unchanged => {}
                    RowOutcome::OtherCurrency => bail!("{} is priced in another currency", row.sku),
                }
            }
        }
        Ok(added)
    }

    /// Registers the file's customers; answers how many were new, and who has another id than a new one gets.
    pub async fn customers(&self) -> Result<(u64, Known)> {
        let mut new = 0;
        let customers: Vec<_> = self.scan.census.customers.iter().collect();
        for (number, some) in (1..).zip(customers.chunks(IMPORT_CUSTOMERS_MAX)) {
            let customer = |(reference, country): &(&String, &String)| NewCustomer {
                id: Some(customer_id(reference)),
                reference: Some((*reference).clone()),
                name: None,
                country: Some((*country).clone()),
            };
            let wish: Vec<_> = some.iter().map(customer).collect();
            let (command, ordering) = (self.command("customers", number), &self.modules.ordering);
            new += insist("customers", async || {
                ordering.import_customers(&command, wish.clone()).await
            })
            .await?;
        }
        let mut known = Known::new();
        if usize::try_from(new) != Ok(customers.len()) {
            let ordering = &self.modules.ordering;
            let asked =
                async |page| ordering.customers(&call(&self.caller), CustomersWish { page }).await;
            Pace::Full
                .each("customers", asked, |Customer { id, reference, .. }| {
                    let ours =
                        |reference: &String| self.scan.census.customers.contains_key(reference);
                    if let Some(reference) = reference.filter(ours)
                        && id != customer_id(&reference)
                    {
                        known.insert(reference, id);
                    }
                })
                .await?;
        }
        Ok((new, known))
    }

    /// Books a batch in every module: stock beside documents and their money.
    pub async fn book(&self, batch: Batch) -> Result<Counts> {
        let Batch { number, movements, documents, charges, returned_at, .. } = batch;
        let stock = self.book_stock(number, movements);
        let money = async {
            let (counts, settled) = self.book_documents(number, documents).await?;
            let back = settled.iter().flat_map(|note| {
                let at = returned_at.get(&note.reference).copied().unwrap_or(self.scan.first_at);
                given_back(note, at)
            });
            let records: Vec<_> = charges.into_iter().map(Ok).chain(back).collect::<Result<_>>()?;
            self.book_money(number, &records).await?;
            anyhow::Ok(counts)
        };
        let ((), counts) = tokio::try_join!(stock, money)?;
        Ok(counts)
    }

    async fn book_stock(&self, number: u64, movements: Vec<Movement>) -> Result<()> {
        let Ok(movements) = Bounded::new(movements) else { return Ok(()) };
        let batch = format!("{}:{number}", self.scan.hash).parse()?;
        let wish = inventory_api::Import { batch, movements };
        let (command, inventory) = (self.command("stock", number), &self.modules.inventory);
        insist("stock movements", async || inventory.import(&command, wish.clone()).await).await?;
        Ok(())
    }

    async fn book_documents(
        &self,
        number: u64,
        documents: Vec<ordering_api::ImportedDocument>,
    ) -> Result<(Counts, Vec<SettledReturn>)> {
        if documents.is_empty() {
            return Ok((Counts::default(), Vec::new()));
        }
        let wish = ordering_api::Import { source: self.scan.hash.clone(), documents };
        let (command, ordering) = (self.command("documents", number), &self.modules.ordering);
        let done =
            insist("documents", async || ordering.import(&command, wish.clone()).await).await?;
        Ok((Counts { new: done.new, known: done.known }, done.settled))
    }

    async fn book_money(&self, number: u64, records: &[HistoryRecord]) -> Result<()> {
        let most = usize::try_from(HISTORY_RECORDS_MAX).unwrap_or(usize::MAX);
        for (part, some) in records.chunks(most).enumerate() {
            let wish = History { records: some.to_vec() };
            let step = format!("money.{part}");
            let (command, payments) = (self.command(&step, number), &self.modules.payments);
            insist("payments", async || payments.import(&command, wish.clone()).await).await?;
        }
        Ok(())
    }

    /// Keeps what the file holds in all, for `verify` to compare the books with.
    pub async fn record(&self, path: &Path) -> Result<()> {
        let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
        let listed = u64::try_from(self.scan.listed.len()).unwrap_or(u64::MAX);
        let name =
            path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let record = SourceRecord {
            source: self.scan.hash.clone(),
            name: name.chars().filter(|letter| !letter.is_control()).take(200).collect(),
            rows: count(self.scan.rows),
            document_rows: count(self.scan.rows - listed - self.scan.stock_rows),
            stock_rows: count(self.scan.stock_rows),
            listed_rows: count(listed),
            net: Exact::new(self.scan.net_micros, Currency::GBP),
            finished_at: Timestamp::now(),
        };
        let ordering = &self.modules.ordering;
        let known =
            insist("imported files", async || ordering.sources(&call(&self.caller), ()).await)
                .await?;
        if known.iter().any(|known| known.source == record.source) {
            // A second run changes nothing, not even the time of the first.
            return Ok(());
        }
        let command = self.command("record", 1);
        insist("record of the file", async || {
            ordering.record_source(&command, record.clone()).await
        })
        .await?;
        Ok(())
    }
}

/// How the money of a return went back, for payments.
fn given_back(note: &SettledReturn, at: Timestamp) -> Vec<Result<HistoryRecord>> {
    let records = note.settlements.iter().filter(|settlement| settlement.amount.minor > 0);
    records
        .map(|settlement| {
            let (amount, reason) =
                (settlement.amount, format!("credit note {}", note.reference).parse()?);
            Ok(match settlement.order {
                // An order's payment carries its UUID.
                Some(order) => HistoryRecord::Refund {
                    refund: settlement.id.cast(),
                    payment: order.cast(),
                    amount,
                    reason,
                    at,
                },
                None => HistoryRecord::Credit { credit: settlement.id.cast(), amount, reason, at },
            })
        })
        .collect()
}
