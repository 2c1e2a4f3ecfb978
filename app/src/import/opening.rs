//! The opening balances of an import: booked once, before any document.

use std::collections::HashMap;

use anyhow::{Context, Result};
use contract::{Fault, Reason};
use inventory_api::{Change, LEDGER_IMPORT_MAX, Location, Movement, MovementKind};
use kernel_api::{Bounded, PageRequest, Sku};

use super::steps::Steps;
use crate::insist::{call, insist};

/// The reason that the opening balances carry.
const OPENING_REASON: &str =
    "opening balance: the smallest that keeps stock non-negative over the imported file";

impl Steps<'_> {
    /// Books the opening balances; answers how many units.
    pub async fn opening(&self) -> Result<i64> {
        let mut missing = Vec::new();
        let on_hand = self.on_hand().await?;
        for (sku, units) in self.scan.balances.opening() {
            let units = units - on_hand.get(sku).copied().unwrap_or(0);
            if units > 0 {
                missing.push((sku.clone(), units));
            }
        }
        let mut opened = 0;
        // Cut by SKU, not by count, so that a later run that misses fewer cuts at the same places.
        let all: Vec<&Sku> = self.scan.balances.opening().map(|(sku, _)| sku).collect();
        for (number, some) in (1..).zip(all.chunks(LEDGER_IMPORT_MAX)) {
            let (Some(first), Some(last)) = (some.first(), some.last()) else { continue };
            let part = missing.iter().filter(|(sku, _)| (*first..=*last).contains(&sku));
            let movements: Vec<_> =
                part.map(|(sku, units)| self.opened(sku, *units)).collect::<Result<_>>()?;
            opened += self.open_part(number, movements).await?;
        }
        Ok(opened)
    }

    fn opened(&self, sku: &Sku, units: i64) -> Result<Movement> {
        Ok(Movement {
            sku: sku.clone(),
            location: Location::MAIN,
            kind: MovementKind::Opening,
            quantity: Change::new(units)
                .with_context(|| format!("the opening balance of {sku}"))?,
            reason: Some(OPENING_REASON.parse()?),
            reference: "opening".parse()?,
            at: self.scan.first_at,
        })
    }

    async fn open_part(&self, number: u64, movements: Vec<Movement>) -> Result<i64> {
        let units = movements.iter().map(|movement| movement.quantity.get()).sum();
        let Ok(movements) = Bounded::new(movements) else { return Ok(0) };
        let batch = format!("{}:opening:{number}", self.scan.hash).parse()?;
        let wish = inventory_api::Import { batch, movements };
        let (command, inventory) = (self.command("opening", number), &self.modules.inventory);
        let booked = insist("opening stock", async || {
            match inventory.import(&command, wish.clone()).await {
                Ok(imported) => Ok(!imported.repeated),
                // Booked by an earlier run, when other stock was there: it is booked once.
                Err(Fault::Refused(inventory_api::ImportError::BatchReused)) => Ok(false),
                Err(Fault::NotExecuted(fault)) if fault.reason == Reason::KeyReused => Ok(false),
                Err(other) => Err(other),
            }
        })
        .await?;
        Ok(if booked { units } else { 0 })
    }

    async fn on_hand(&self) -> Result<HashMap<Sku, i64>> {
        let mut on_hand = HashMap::new();
        let mut after = None;
        loop {
            let page = PageRequest { after: after.take(), limit: Some(kernel_api::PAGE_LIMIT_MAX) };
            let inventory = &self.modules.inventory;
            let page =
                insist("stock", async || inventory.levels(&call(&self.caller), page.clone()).await)
                    .await?;
            let main = page.items.into_iter().filter(|level| level.location == Location::MAIN);
            on_hand.extend(main.map(|level| (level.sku, level.available)));
            after = page.next;
            if after.is_none() {
                return Ok(on_hand);
            }
        }
    }
}
