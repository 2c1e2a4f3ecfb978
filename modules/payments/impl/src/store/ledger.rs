//! The ledger's queries. Balances and the audit read it whole: they are asked by people and by `verify`, not by buyers,
//! and an index or a running balance would cost every sale a write.

use ::store::{Connection, Tx, on, prepared};
use diesel::{
    ExpressionMethods, QueryDsl, QueryResult, QueryableByName, RunQueryDsl, SelectableHelper,
    sql_query,
    sql_types::{BigInt, Text},
};
use kernel_api::{Currency, Exact, Money, Page, Timestamp};
use payments_api::{Account, Audit, Balance, Balances, Difference, Entry, OpenReceivable, Payment};

use super::rows::{TransferRow, parsed, unword};
use crate::{domain::postings, schema::transfers};

/// Debits minus credits per account and currency. `sum` of 64-bit integers is a numeric on PostgreSQL, hence the casts.
const BALANCES: &str = "SELECT account AS name, currency, CAST(sum(micros) AS BIGINT) AS micros FROM \
     (SELECT debit AS account, currency, micros FROM transfers \
      UNION ALL SELECT credit, currency, -micros FROM transfers) AS legs \
     GROUP BY account, currency ORDER BY account, currency";

const COUNTS: &str = "SELECT \
     (SELECT count(*) FROM payments) AS payments, \
     (SELECT count(*) FROM payments WHERE intent_key IS NOT NULL) AS pending, \
     (SELECT count(DISTINCT entry_id) FROM transfers) AS entries";

/// A row cannot but balance; what could still be wrong is an entry with rows of two currencies.
const UNBALANCED: &str = "SELECT entry_id AS name FROM transfers GROUP BY entry_id \
     HAVING count(DISTINCT currency) > 1 OR min(micros) <= 0 ORDER BY entry_id LIMIT $1";

const DIFFERENCES: &str = "SELECT id AS name, payments.currency, captured, refunded, \
       coalesce(cleared, 0) AS cleared FROM payments \
     LEFT JOIN (SELECT reference, CAST(sum(CASE WHEN debit = 'provider_clearing' THEN micros \
         WHEN credit = 'provider_clearing' THEN -micros ELSE 0 END) AS BIGINT) AS cleared \
       FROM transfers WHERE reason IN ('captured', 'refunded', 'credited') GROUP BY reference) \
       AS booked ON booked.reference = payments.id \
     WHERE (captured - refunded) * 10000 <> coalesce(cleared, 0) ORDER BY id LIMIT $1";

/// What cannot be explained comes first, so that a limit does not hide it.
const RECEIVABLES: &str = "SELECT name, currency, micros, adjusted FROM \
     (SELECT subject AS name, currency, \
        CAST(sum(CASE WHEN debit = 'receivable' THEN micros ELSE -micros END) AS BIGINT) AS micros, \
        CAST(sum(CASE WHEN reason <> 'adjusted' THEN 0 \
          WHEN debit = 'receivable' THEN micros ELSE -micros END) AS BIGINT) AS adjusted \
      FROM transfers WHERE debit = 'receivable' OR credit = 'receivable' \
      GROUP BY subject, currency) AS owed \
     WHERE micros <> 0 ORDER BY CASE WHEN micros = adjusted THEN 1 ELSE 0 END, name LIMIT $1";

#[derive(QueryableByName)]
struct BalanceRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    micros: i64,
}

#[derive(QueryableByName)]
struct CountsRow {
    #[diesel(sql_type = BigInt)]
    payments: i64,
    #[diesel(sql_type = BigInt)]
    pending: i64,
    #[diesel(sql_type = BigInt)]
    entries: i64,
}

#[derive(QueryableByName)]
struct NameRow {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct DifferenceRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    captured: i64,
    #[diesel(sql_type = BigInt)]
    refunded: i64,
    #[diesel(sql_type = BigInt)]
    cleared: i64,
}

#[derive(QueryableByName)]
struct ReceivableRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    micros: i64,
    #[diesel(sql_type = BigInt)]
    adjusted: i64,
}

/// What stands on the accounts.
pub(crate) fn balances(c: &mut Connection, of: Option<Currency>) -> QueryResult<Balances> {
    let rows: Vec<BalanceRow> = on!(c, |c| sql_query(BALANCES).load(c))?;
    let mut balances = Balances { accounts: Vec::new(), net: Vec::new() };
    for row in rows {
        let currency: Currency = parsed(&row.currency)?;
        if of.is_some_and(|of| of != currency) {
            continue;
        }
        let account: Account = unword(&row.name)?;
        let balance = Exact::new(row.micros, currency);
        balances.accounts.push(Balance { account, balance });
        if account.is_revenue() {
            let known = balances.net.iter_mut().find(|net| net.currency == currency);
            match known {
                Some(net) => net.micros -= row.micros,
                None => balances.net.push(Exact::new(-row.micros, currency)),
            }
        }
    }
    balances.accounts.sort_by_key(|balance| (balance.balance.currency, balance.account));
    balances.net.sort_by_key(|net| net.currency);
    Ok(balances)
}

/// Writes an entry, row by row with a statement that is kept prepared: most have one. An entry that is there already
/// stays as it is: its id is the fact's own.
pub(crate) fn enter(tx: &mut Tx<'_>, rows: &[TransferRow]) -> QueryResult<()> {
    for row in rows {
        on!(tx.connection(), |c| prepared!(
            diesel::insert_into(transfers::table).values(row).on_conflict_do_nothing()
        )
        .execute(c))?;
    }
    Ok(())
}

/// A page of entries, by id.
pub(crate) fn entries(c: &mut Connection, after: &str, limit: u32) -> QueryResult<Page<Entry>> {
    let ids: Vec<String> = on!(&mut *c, |c| transfers::table
        .filter(transfers::entry_id.gt(after))
        .order(transfers::entry_id)
        .select(transfers::entry_id)
        .distinct()
        .limit(i64::from(limit) + 1)
        .load(c))?;
    let page = Page::of(ids, limit, Clone::clone);
    let Some(last) = page.items.last() else { return Ok(Page { items: Vec::new(), next: None }) };
    let rows: Vec<TransferRow> = on!(c, |c| transfers::table
        .filter(transfers::entry_id.gt(after))
        .filter(transfers::entry_id.le(last))
        .order((transfers::entry_id, transfers::line))
        .select(TransferRow::as_select())
        .load(c))?;
    let items =
        rows.chunk_by(|a, b| a.entry_id == b.entry_id).map(entry).collect::<Result<_, _>>()?;
    Ok(Page { items, next: page.next })
}

fn entry(rows: &[TransferRow]) -> QueryResult<Entry> {
    let first = rows.first().ok_or(diesel::result::Error::NotFound)?;
    let transfers: Vec<_> = rows.iter().map(TransferRow::transfer).collect::<Result<_, _>>()?;
    Ok(Entry {
        id: first.entry_id.clone(),
        reason: unword(&first.reason)?,
        reference: first.reference.clone(),
        subject: first.subject.clone(),
        at: Timestamp::from_micros(first.booked_at),
        postings: postings(parsed(&first.currency)?, &transfers),
    })
}

/// Compares the ledger with the payments; at most `limit` findings of each kind.
pub(crate) fn audit(c: &mut Connection, limit: u32) -> QueryResult<Audit> {
    let limit = i64::from(limit);
    let counts: CountsRow = on!(&mut *c, |c| sql_query(COUNTS).get_result(c))?;
    let unbalanced: Vec<NameRow> =
        on!(&mut *c, |c| sql_query(UNBALANCED).bind::<BigInt, _>(limit).load(c))?;
    let differences: Vec<DifferenceRow> =
        on!(&mut *c, |c| sql_query(DIFFERENCES).bind::<BigInt, _>(limit).load(c))?;
    let receivables: Vec<ReceivableRow> =
        on!(c, |c| sql_query(RECEIVABLES).bind::<BigInt, _>(limit).load(c))?;
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(Audit {
        payments: count(counts.payments),
        pending: count(counts.pending),
        entries: count(counts.entries),
        unbalanced: unbalanced.into_iter().map(|row| row.name).collect(),
        differences: differences.iter().map(difference).collect::<Result<_, _>>()?,
        receivables: receivables.iter().map(receivable).collect::<Result<_, _>>()?,
    })
}

fn difference(row: &DifferenceRow) -> QueryResult<Difference> {
    let currency = parsed(&row.currency)?;
    Ok(Difference {
        payment: parsed::<kernel_api::Id<Payment>>(&row.name)?,
        payment_says: Money::new(row.captured - row.refunded, currency),
        ledger_says: Exact::new(row.cleared, currency),
    })
}

fn receivable(row: &ReceivableRow) -> QueryResult<OpenReceivable> {
    let currency = parsed(&row.currency)?;
    Ok(OpenReceivable {
        subject: row.name.clone(),
        open: Exact::new(row.micros, currency),
        adjusted: Exact::new(row.adjusted, currency),
    })
}
