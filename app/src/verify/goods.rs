//! Stock: every unit is explained, and by both sides the same.

use std::collections::BTreeMap;

use anyhow::Result;
use inventory_api::Violation;
use kernel_api::Sku;

use super::{Verifier, figures::Stock, report::Checks};
use crate::insist::call;

const EXPLAINED: &str = "stock = opening + received - sold + returned ± adjusted, per SKU";
const NEVER_SHORT: &str = "available stock is never below zero";
const BOTH_SIDES: &str =
    "what inventory sold and took back is what ordering sold and took back, per SKU";

impl Verifier<'_> {
    pub(super) async fn check_stock(&self, checks: &mut Checks) -> Result<Stock> {
        let mut stock = Stock::default();
        let mut flows: BTreeMap<Sku, (i64, i64)> = BTreeMap::new();
        checks.check(EXPLAINED);
        checks.check(NEVER_SHORT);
        let inventory = &self.modules.inventory;
        let audit = async |page| inventory.audit(&call(&self.caller), page).await;
        self.pace
            .each("stock", audit, |level| {
                stock.levels += 1;
                stock.on_hand += level.on_hand;
                stock.reserved += level.reserved;
                stock.opening += level.ledger.opening;
                stock.received += level.ledger.received;
                stock.sold += level.ledger.sold;
                stock.returned += level.ledger.returned;
                stock.adjusted += level.ledger.adjusted;
                for violation in level.violations {
                    let invariant = match violation {
                        Violation::OnHandIsNotLedger
                        | Violation::ReservedIsNotHeld
                        | Violation::LedgerHasGap
                        | Violation::EntryIsNotSum => EXPLAINED,
                        Violation::Oversold => NEVER_SHORT,
                    };
                    let at = format!("{} at {}: {violation:?}", level.sku, level.location);
                    checks.check(invariant).broken(at);
                }
                if level.on_hand < level.reserved {
                    checks
                        .check(NEVER_SHORT)
                        .broken(format!("{} at {}", level.sku, level.location));
                }
                let flow = flows.entry(level.sku).or_default();
                flow.0 -= level.ledger.sold;
                flow.1 += level.ledger.returned;
            })
            .await?;
        self.compare_flows(flows, checks).await?;
        Ok(stock)
    }

    async fn compare_flows(
        &self,
        mut flows: BTreeMap<Sku, (i64, i64)>,
        checks: &mut Checks,
    ) -> Result<()> {
        let mut check = checks.check(BOTH_SIDES);
        let ordering = &self.modules.ordering;
        let asked = async |page| ordering.sku_flows(&call(&self.caller), page).await;
        self.pace
            .each("sold goods", asked, |flow| {
                let (sold, returned) = flows.remove(&flow.sku).unwrap_or_default();
                if (sold, returned) != (flow.sold, flow.returned) {
                    check.broken(format!(
                        "{}: inventory sold {sold} and took back {returned}, ordering {} and {}",
                        flow.sku, flow.sold, flow.returned
                    ));
                }
            })
            .await?;
        for (sku, (sold, returned)) in flows {
            if (sold, returned) != (0, 0) {
                check.broken(format!(
                    "{sku}: inventory sold {sold} and took back {returned}, ordering nothing"
                ));
            }
        }
        Ok(())
    }
}
