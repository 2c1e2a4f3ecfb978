//! Queries on return notes and adjustments.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryResult, Queryable, RunQueryDsl,
};
use kernel_api::{Currency, Exact, Id, Money, Timestamp};
use ordering_api::{Adjustment, ReturnNote, ReturnStatus, ReturnedItem, Settlement, Sum};

use ::store::{Connection, cached, on, prepared};

use super::{from_json, from_text, from_word, lines_from_text};
use crate::schema::{adjustment_note, return_line, return_note as table};

/// A return note's row.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::schema::return_note, treat_none_as_default_value = false)]
pub(crate) struct NoteRow {
    pub id: String,
    pub origin: String,
    pub settled: bool,
    pub cancellation: bool,
    pub reference: Option<String>,
    pub source: Option<String>,
    pub source_rows: i64,
    pub customer: Option<String>,
    pub currency: String,
    pub items: String,
    pub settlements: String,
    pub parts: String,
    pub net_micros: i64,
    pub total_minor: i64,
    pub reason: String,
    pub accepted_at: i64,
}

impl NoteRow {
    pub fn id(&self) -> QueryResult<Id<ReturnNote>> {
        from_text(&self.id)
    }

    pub fn currency(&self) -> QueryResult<Currency> {
        from_text(&self.currency)
    }

    pub fn settlements(&self) -> QueryResult<Vec<Settlement>> {
        from_json(&self.settlements)
    }

    pub fn items(&self) -> QueryResult<Vec<ReturnedItem>> {
        from_json(&self.items)
    }

    pub fn status(&self) -> ReturnStatus {
        if self.settled { ReturnStatus::Settled } else { ReturnStatus::Accepted }
    }

    /// The note as it is shown.
    pub fn note(&self) -> QueryResult<ReturnNote> {
        let currency = self.currency()?;
        Ok(ReturnNote {
            id: self.id()?,
            origin: from_word(self.origin.clone())?,
            status: self.status(),
            cancellation: self.cancellation,
            reference: self.reference.clone(),
            customer: self.customer.as_deref().map(from_text).transpose()?,
            lines: self.items()?,
            sum: Sum {
                parts: from_json(&self.parts)?,
                net: Exact::new(self.net_micros, currency),
                total: Money::new(self.total_minor, currency),
            },
            settlements: self.settlements()?,
            accepted_at: Timestamp::from_micros(self.accepted_at),
        })
    }
}

/// An adjustment's row.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::schema::adjustment_note, treat_none_as_default_value = false)]
pub(crate) struct AdjustmentRow {
    pub id: String,
    pub origin: String,
    pub reference: Option<String>,
    pub source: Option<String>,
    pub source_rows: i64,
    pub order_id: Option<String>,
    pub customer: Option<String>,
    pub currency: String,
    pub lines: String,
    pub parts: String,
    pub net_micros: i64,
    pub total_minor: i64,
    pub made_at: i64,
}

impl AdjustmentRow {
    /// The adjustment as it is shown.
    pub fn adjustment(&self) -> QueryResult<Adjustment> {
        let currency: Currency = from_text(&self.currency)?;
        Ok(Adjustment {
            id: from_text(&self.id)?,
            origin: from_word(self.origin.clone())?,
            reference: self.reference.clone(),
            order: self.order_id.as_deref().map(from_text).transpose()?,
            customer: self.customer.as_deref().map(from_text).transpose()?,
            lines: lines_from_text(&self.lines, currency)?,
            sum: Sum {
                parts: from_json(&self.parts)?,
                net: Exact::new(self.net_micros, currency),
                total: Money::new(self.total_minor, currency),
            },
            made_at: Timestamp::from_micros(self.made_at),
        })
    }
}

/// Adds a note.
pub(crate) fn insert_note(c: &mut Connection, row: &NoteRow) -> QueryResult<()> {
    on!(c, |c| cached(diesel::insert_into(table::table).values(row)).execute(c))?;
    Ok(())
}

/// Adds the goods of a note: SKU and quantity, positive.
pub(crate) fn insert_return_lines(
    c: &mut Connection,
    note: &str,
    lines: &[(String, i64)],
) -> QueryResult<()> {
    for (number, (sku, quantity)) in (0_i64..).zip(lines) {
        let row = (
            return_line::note.eq(note),
            return_line::line.eq(number),
            return_line::sku.eq(sku),
            return_line::quantity.eq(quantity),
        );
        on!(&mut *c, |c| cached(diesel::insert_into(return_line::table).values(row)).execute(c))?;
    }
    Ok(())
}

/// A note.
pub(crate) fn note(c: &mut Connection, id: Id<ReturnNote>) -> QueryResult<Option<NoteRow>> {
    on!(c, |c| table::table.find(id.to_string()).get_result(c).optional())
}

/// The note of a source with this reference.
pub(crate) fn note_by_reference(
    c: &mut Connection,
    source: &str,
    reference: &str,
) -> QueryResult<Option<NoteRow>> {
    on!(c, |c| table::table
        .filter(table::reference.eq(reference))
        .filter(table::source.eq(source))
        .get_result(c)
        .optional())
}

/// Marks a note as settled.
pub(crate) fn settle_note(c: &mut Connection, id: Id<ReturnNote>) -> QueryResult<()> {
    on!(c, |c| prepared!(
        diesel::update(table::table.find(id.to_string())).set(table::settled.eq(true))
    )
    .execute(c))?;
    Ok(())
}

/// Notes after one, at most `limit`, by id.
pub(crate) fn notes(c: &mut Connection, after: &str, limit: i64) -> QueryResult<Vec<NoteRow>> {
    on!(c, |c| table::table.filter(table::id.gt(after)).order(table::id).limit(limit).load(c))
}

/// Adds an adjustment.
pub(crate) fn insert_adjustment(c: &mut Connection, row: &AdjustmentRow) -> QueryResult<()> {
    on!(c, |c| cached(diesel::insert_into(adjustment_note::table).values(row)).execute(c))?;
    Ok(())
}

/// An adjustment.
pub(crate) fn adjustment(
    c: &mut Connection,
    id: Id<Adjustment>,
) -> QueryResult<Option<AdjustmentRow>> {
    on!(c, |c| adjustment_note::table.find(id.to_string()).get_result(c).optional())
}

/// The adjustment of a source with this reference.
pub(crate) fn adjustment_by_reference(
    c: &mut Connection,
    source: &str,
    reference: &str,
) -> QueryResult<Option<AdjustmentRow>> {
    on!(c, |c| adjustment_note::table
        .filter(adjustment_note::reference.eq(reference))
        .filter(adjustment_note::source.eq(source))
        .get_result(c)
        .optional())
}

/// Adjustments after one, at most `limit`, by id.
pub(crate) fn adjustments(
    c: &mut Connection,
    after: &str,
    limit: i64,
) -> QueryResult<Vec<AdjustmentRow>> {
    on!(c, |c| adjustment_note::table
        .filter(adjustment_note::id.gt(after))
        .order(adjustment_note::id)
        .limit(limit)
        .load(c))
}
