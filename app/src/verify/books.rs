//! The books: the ledger balances, and says the same as the documents and the imported files.

use std::collections::BTreeMap;

use anyhow::Result;
use kernel_api::{Currency, Exact, Money};
use payments_api::{Account, AuditWanted, BalancesWanted, PaymentKind};

use super::{
    Verifier,
    figures::{AccountBalance, Books, Payments, Source},
    report::Checks,
};
use crate::insist::{call, insist};

const BALANCED: &str = "the ledger is balanced, entry by entry and in all";
const LEDGER_IS_PAYMENTS: &str = "the ledger says what the payments say";
const EXPLAINED: &str = "every open receivable is explained";
const SAME_NET: &str = "the ledger's net is the documents' net";
const FILES: &str = "the books have exactly the net of each imported file";

impl Verifier<'_> {
    pub(super) async fn check_ledger(&self, checks: &mut Checks) -> Result<Payments> {
        let payments = &self.modules.payments;
        let wanted = AuditWanted { findings_max: Some(20) };
        let audit =
            insist("ledger", async || payments.audit(&call(&self.caller), wanted.clone()).await)
                .await?;
        let mut check = checks.check(BALANCED);
        audit.unbalanced.iter().for_each(|id| check.broken(format!("entry {id}")));
        let balances = insist("balances", async || {
            payments.balances(&call(&self.caller), BalancesWanted::default()).await
        })
        .await?;
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for balance in &balances.accounts {
            let sum = sums.entry(balance.balance.currency.to_string()).or_default();
            *sum = sum.saturating_add(balance.balance.micros);
        }
        for (currency, sum) in sums {
            check.agree(&format!("the sum of all accounts in {currency}, in millionths"), sum, 0);
        }
        let mut check = checks.check(LEDGER_IS_PAYMENTS);
        for difference in &audit.differences {
            check.broken(format!(
                "payment {}: {} and {}",
                difference.payment, difference.payment_says, difference.ledger_says
            ));
        }
        if audit.pending > 0 {
            check.broken(format!("{} operations have no outcome yet", audit.pending));
        }
        let mut check = checks.check(EXPLAINED);
        for open in audit.receivables.iter().filter(|open| open.open != open.adjusted) {
            check.broken(format!(
                "{}: {} open, {} explained",
                open.subject, open.open, open.adjusted
            ));
        }
        let mut figures = self.money_moved().await?;
        figures.ledger_entries = audit.entries;
        figures.nets = balances.net;
        figures.accounts = balances
            .accounts
            .iter()
            .map(|balance| AccountBalance {
                account: balance.account.name(),
                currency: balance.balance.currency.to_string(),
                balance: balance.balance.amount(),
            })
            .collect();
        Ok(figures)
    }

    async fn money_moved(&self) -> Result<Payments> {
        let payments = &self.modules.payments;
        let (mut charges, mut credits) = (0, 0);
        let (mut captured, mut refunded) = (Money::zero(Currency::GBP), Money::zero(Currency::GBP));
        let asked = async |page| payments.payments(&call(&self.caller), page).await;
        self.pace
            .each("payments", asked, |payment| {
                match payment.kind {
                    PaymentKind::Charge => charges += 1,
                    PaymentKind::Credit => credits += 1,
                }
                captured = captured.plus(payment.captured).unwrap_or(captured);
                refunded = refunded.plus(payment.refunded).unwrap_or(refunded);
            })
            .await?;
        Ok(Payments {
            charges,
            credits,
            captured: captured.amount(),
            refunded: refunded.amount(),
            ..Payments::default()
        })
    }

    pub(super) async fn check_books(
        &self,
        ledger: &Payments,
        checks: &mut Checks,
    ) -> Result<Books> {
        let ordering = &self.modules.ordering;
        let all = insist("books", async || ordering.books(&call(&self.caller), ()).await).await?;
        let sources =
            insist("imported files", async || ordering.sources(&call(&self.caller), ()).await)
                .await?;

        let mut nets: BTreeMap<String, i64> = BTreeMap::new();
        for books in &all {
            let net = nets.entry(books.net.currency.to_string()).or_default();
            *net = net.saturating_add(books.net.micros);
        }
        let mut check = checks.check(SAME_NET);
        for net in &ledger.nets {
            let documents = nets.remove(net.currency.code()).unwrap_or_default();
            check.agree("documents and ledger", Exact::new(documents, net.currency), *net);
        }
        for (currency, net) in nets.into_iter().filter(|(_, net)| *net != 0) {
            check.broken(format!(
                "documents have {net} millionths of {currency}, the ledger nothing"
            ));
        }

        let mut check = checks.check(FILES);
        let mut shown = Vec::new();
        for record in sources {
            let books = all.iter().find(|books| books.source.as_deref() == Some(&record.source));
            let zero = Exact::zero(record.net.currency);
            let in_books = books.map_or(zero, |books| books.net);
            check.agree(&format!("net of {} and of the books", record.name), record.net, in_books);
            let rows = books.map_or(0, |books| books.rows);
            check.agree(
                &format!("rows of {} in documents", record.name),
                record.document_rows,
                rows,
            );
            let accounted = record.document_rows + record.stock_rows + record.listed_rows;
            check.agree(&format!("all rows of {}", record.name), record.rows, accounted);
            shown.push(Source {
                source: record.source,
                name: record.name,
                rows: record.rows,
                document_rows: record.document_rows,
                stock_rows: record.stock_rows,
                listed_rows: record.listed_rows,
                net: record.net.amount(),
                net_in_books: in_books.amount(),
                rounding: books.map_or(zero, |books| books.rounding).amount(),
            });
        }
        Ok(figures(&all, shown, ledger))
    }
}

/// The sums over all sources, in the currency of the first.
fn figures(all: &[ordering_api::Books], sources: Vec<Source>, ledger: &Payments) -> Books {
    let currency = all.first().map_or(Currency::GBP, |books| books.net.currency);
    let of_currency = || all.iter().filter(|books| books.net.currency == currency);
    let sum = |part: fn(&ordering_api::Books) -> Exact| {
        let micros = of_currency().fold(0_i64, |sum, books| sum.saturating_add(part(books).micros));
        Exact::new(micros, currency).amount()
    };
    let rounded = of_currency().fold(0_i64, |sum, books| sum.saturating_add(books.rounded.minor));
    let ledger_net = ledger.nets.iter().find(|net| net.currency == currency);
    let rounding = ledger.accounts.iter().find(|account| {
        account.account == Account::Rounding.name() && account.currency == currency.code()
    });
    Books {
        currency: currency.to_string(),
        net: sum(|books| books.net),
        orders: sum(|books| books.orders),
        returns: sum(|books| books.returns),
        adjustments: sum(|books| books.adjustments),
        rounded: Money::new(rounded, currency).amount(),
        rounding: sum(|books| books.rounding),
        ledger_net: ledger_net.copied().unwrap_or(Exact::zero(currency)).amount(),
        ledger_rounding: rounding
            .map_or_else(|| "0.00".to_owned(), |account| account.balance.clone()),
        documents: of_currency().map(|books| books.documents).sum(),
        sources,
    }
}
