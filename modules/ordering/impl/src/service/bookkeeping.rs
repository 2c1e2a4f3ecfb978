//! What `verify` asks, and the read models written anew from the events.

use std::collections::BTreeMap;

use contract::{Answer, Call, Command, Fault, Never};
use kernel_api::{Currency, Exact, Id, Money, Page, PageRequest, Timestamp};
use ordering_api::{
    Audit, Books, Difference, Document, DocumentDetail, DocumentKind, DocumentsWish, Order,
    OrderError, Origin, Rebuilt, SkuFlow,
};

use ::store::{Connection, Tx};

use super::{Service, paging, writing::load};
use crate::{
    domain::order::OrderState,
    store::{self, AdjustmentRow, LineRow, NoteRow, OrdersFilter, SummaryRow, Totals},
};

/// How many differences one page of an audit tells of.
const DIFFERENCES_MAX: usize = 100;

impl Service {
    pub(super) async fn list_documents(
        &self,
        call: &Call,
        wish: DocumentsWish,
    ) -> Answer<Page<Document>, OrderError> {
        let DocumentsWish { kind, page } = wish;
        let (after, limit) = place(&page)?;
        self.store
            .read(call, move |c| {
                let more = i64::from(limit) + 1;
                let documents: Result<Vec<_>, _> = match kind {
                    DocumentKind::Order => {
                        let rows = store::summaries(c, &OrdersFilter::default(), &after, more)?;
                        rows.into_iter().map(of_order).collect()
                    }
                    DocumentKind::Return => {
                        store::notes(c, &after, more)?.into_iter().map(of_note).collect()
                    }
                    DocumentKind::Adjustment => {
                        let rows = store::adjustments(c, &after, more)?;
                        rows.into_iter().map(of_adjustment).collect()
                    }
                };
                Ok(Page::of(documents?, limit, |document: &Document| document.id.clone()))
            })
            .await
    }

    pub(super) async fn sum_up(&self, call: &Call) -> Answer<Vec<Books>, Never> {
        self.store
            .snapshot(call, |c| {
                let mut books = BTreeMap::new();
                add(&mut books, store::order_totals(c)?, |books, net| books.orders = net)?;
                add(&mut books, store::return_totals(c)?, |books, net| books.returns = net)?;
                add(&mut books, store::adjustment_totals(c)?, |books, net| {
                    books.adjustments = net;
                })?;
                Ok(books.into_values().collect())
            })
            .await
    }

    pub(super) async fn flows(
        &self,
        call: &Call,
        page: PageRequest,
    ) -> Answer<Page<SkuFlow>, OrderError> {
        let limit = page.limit();
        let after = page.after.unwrap_or_default();
        self.store
            .read(call, move |c| {
                let rows = store::flows(c, &after, i64::from(limit) + 1)?;
                let flows: Result<Vec<_>, diesel::result::Error> = rows
                    .into_iter()
                    .map(|(sku, sold, returned)| {
                        Ok(SkuFlow { sku: store::from_text(&sku)?, sold, returned })
                    })
                    .collect();
                Ok(Page::of(flows?, limit, |flow| flow.sku.to_string()))
            })
            .await
    }

    pub(super) async fn compare(
        &self,
        call: &Call,
        page: PageRequest,
    ) -> Answer<Audit, OrderError> {
        let (after, limit) = place(&page)?;
        self.store
            .snapshot(call, move |c| {
                let rows = some_summaries(c, &after, limit)?;
                let mut differences = Vec::new();
                let compared = u64::try_from(rows.items.len()).unwrap_or(u64::MAX);
                for row in rows.items {
                    if differences.len() < DIFFERENCES_MAX
                        && let Some(what) = difference(c, &row)?
                    {
                        differences.push(Difference { order: row.id()?, what });
                    }
                }
                Ok(Audit { compared, differences, next: rows.next })
            })
            .await
    }

    pub(super) async fn write_anew(
        &self,
        command: &Command,
        page: PageRequest,
    ) -> Answer<Rebuilt, OrderError> {
        let (after, limit) = place(&page)?;
        // Doing it twice writes the same rows twice, so no answer is kept.
        self.store
            .write(command, move |tx| {
                let rows = some_summaries(tx.connection(), &after, limit)?;
                let orders = u64::try_from(rows.items.len()).unwrap_or(u64::MAX);
                for row in rows.items {
                    rebuild(tx, &row)?;
                }
                Ok(Rebuilt { orders, next: rows.next })
            })
            .await
    }
}

fn place(page: &PageRequest) -> Result<(String, u32), Fault<OrderError>> {
    let after = paging::after(page.after.as_deref());
    Ok((after.ok_or(Fault::Refused(OrderError::BadCursor))?, page.limit()))
}

fn some_summaries(
    c: &mut Connection,
    after: &str,
    limit: u32,
) -> diesel::QueryResult<Page<SummaryRow>> {
    let rows = store::summaries(c, &OrdersFilter::default(), after, i64::from(limit) + 1)?;
    Ok(Page::of(rows, limit, |row| row.id.clone()))
}

/// The order and its lines as the read model should have them.
fn folded(
    c: &mut Connection,
    id: Id<Order>,
) -> diesel::QueryResult<Option<(OrderState, SummaryRow)>> {
    let Some(state) = load(c, id)? else { return Ok(None) };
    let row = SummaryRow::of(id, &state)?;
    Ok(Some((state, row)))
}

fn difference(c: &mut Connection, row: &SummaryRow) -> diesel::QueryResult<Option<String>> {
    let Some((state, wanted)) = folded(c, row.id()?)? else {
        return Ok(Some("it has a summary and no events".to_owned()));
    };
    if *row != wanted {
        return Ok(Some(format!("its summary is {row:?}, its events say {wanted:?}")));
    }
    let lines = store::lines_of(c, &row.id)?;
    if lines != wanted_lines(&state) {
        return Ok(Some("its lines are not what its events say".to_owned()));
    }
    Ok(None)
}

fn wanted_lines(state: &OrderState) -> Vec<LineRow> {
    let lines = state.sale.lines.iter().zip(&state.returned);
    lines
        .map(|(line, returned)| LineRow {
            sku: line.sku().map(ToString::to_string),
            quantity: line.quantity,
            price_micros: line.unit_price.micros,
            returned: *returned,
        })
        .collect()
}

fn rebuild(tx: &mut Tx<'_>, row: &SummaryRow) -> diesel::QueryResult<()> {
    let id = row.id()?;
    let c = tx.connection();
    store::lock_summary(c, id)?;
    let Some((state, wanted)) = folded(c, id)? else { return Ok(()) };
    store::save_summary(c, &wanted)?;
    store::delete_lines(c, &row.id)?;
    store::insert_lines(c, id, &store::lines_to_text(&state.sale.lines)?)?;
    let returned: Vec<_> = (0_i64..)
        .zip(&state.returned)
        .filter(|(_, quantity)| **quantity > 0)
        .map(|(line, quantity)| crate::domain::order::Back { line, quantity: *quantity })
        .collect();
    store::add_returned(c, id, &returned)
}

type ByPlace = BTreeMap<(Option<String>, String), Books>;

/// Adds one kind of documents to the books.
fn add(
    books: &mut ByPlace,
    totals: Vec<Totals>,
    set: impl Fn(&mut Books, Exact),
) -> diesel::QueryResult<()> {
    for totals in totals {
        let Totals { source, currency, documents, source_rows, net_micros, total_minor } = totals;
        let code: Currency = store::from_text(&currency)?;
        let entry = books.entry((source.clone(), currency)).or_insert_with(|| empty(source, code));
        let net = Exact::new(net_micros, code);
        set(entry, net);
        entry.documents += documents;
        entry.rows += source_rows;
        entry.net = fits(entry.net.plus(net))?;
        entry.rounded = fits(entry.rounded.plus(Money::new(total_minor, code)))?;
        let rounded = Exact::from(entry.rounded);
        entry.rounding = Exact::new(entry.net.micros.saturating_sub(rounded.micros), code);
    }
    Ok(())
}

fn fits<T>(sum: Option<T>) -> diesel::QueryResult<T> {
    let too_large = || diesel::result::Error::DeserializationError("the books do not fit".into());
    sum.ok_or_else(too_large)
}

fn empty(source: Option<String>, currency: Currency) -> Books {
    let zero = Exact::zero(currency);
    Books {
        source,
        documents: 0,
        rows: 0,
        orders: zero,
        returns: zero,
        adjustments: zero,
        net: zero,
        rounded: Money::zero(currency),
        rounding: zero,
    }
}

fn of_order(row: SummaryRow) -> diesel::QueryResult<Document> {
    let currency = row.currency()?;
    let id: Id<Order> = row.id()?;
    // What was never paid adds nothing.
    let (net, total) = if row.paid { (row.net_micros, row.total_minor) } else { (0, 0) };
    Ok(Document {
        origin: store::from_word(row.origin)?,
        net: Exact::new(net, currency),
        total: Money::new(total, currency),
        at: Timestamp::from_micros(row.placed_at),
        detail: DocumentDetail::Order {
            status: store::from_word(row.status)?,
            reservation: row.goods.then(|| id.cast()),
            payment: (row.total_minor != 0).then(|| id.cast()),
            refunded: Money::new(row.refunded_minor, currency),
        },
        id: row.id,
        reference: row.reference,
        source: row.source,
    })
}

fn of_note(row: NoteRow) -> diesel::QueryResult<Document> {
    let currency = row.currency()?;
    let detail = DocumentDetail::Return { status: row.status(), settlements: row.settlements()? };
    let origin: Origin = store::from_word(row.origin)?;
    Ok(Document {
        id: row.id,
        reference: row.reference,
        source: row.source,
        origin,
        net: Exact::new(row.net_micros, currency),
        total: Money::new(row.total_minor, currency),
        at: Timestamp::from_micros(row.accepted_at),
        detail,
    })
}

fn of_adjustment(row: AdjustmentRow) -> diesel::QueryResult<Document> {
    let currency: Currency = store::from_text(&row.currency)?;
    Ok(Document {
        id: row.id,
        reference: row.reference,
        source: row.source,
        origin: store::from_word(row.origin)?,
        net: Exact::new(row.net_micros, currency),
        total: Money::new(row.total_minor, currency),
        at: Timestamp::from_micros(row.made_at),
        detail: DocumentDetail::Adjustment,
    })
}
