//! Queries on journals.

use diesel::{ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl, dsl::max, result::Error};
use kernel_api::{Id, Timestamp};
use placement_api::{Carve, Entry, Leg, Step};

use ::store::{Connection, on, prepared};

use super::{from_json, signed, unsigned};
use crate::schema::journal as table;

/// A step that began and is not in the journal yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which way.
    pub leg: Leg,
    /// Which step.
    pub step: Step,
    /// How the one before ended.
    pub says: String,
    /// When.
    pub at: Timestamp,
}

/// Adds lines to a journal; the carve's row is locked by the same transaction.
pub(crate) fn append(c: &mut Connection, carve: Id<Carve>, lines: &[Line]) -> QueryResult<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let id = carve.to_string();
    let last: Option<i64> = on!(&mut *c, |c| table::table
        .filter(table::carve.eq(&id))
        .select(max(table::number))
        .get_result(c))?;
    for (number, line) in (last.unwrap_or(0) + 1..).zip(lines) {
        let leg = match line.leg {
            Leg::There => "there",
            Leg::Back => "back",
        };
        let row = (
            table::carve.eq(&id),
            table::number.eq(number),
            table::leg.eq(leg),
            table::step.eq(line.step.as_str()),
            table::says.eq(&line.says),
            table::at.eq(line.at.micros()),
        );
        on!(&mut *c, |c| prepared!(diesel::insert_into(table::table).values(row)).execute(c))?;
    }
    Ok(())
}

/// The lines of a journal after one, at most `limit`.
pub(crate) fn entries(
    c: &mut Connection,
    carve: Id<Carve>,
    after: u64,
    limit: i64,
) -> QueryResult<Vec<Entry>> {
    type Row = (String, i64, String, String, String, i64);
    let rows: Vec<Row> = on!(c, |c| table::table
        .filter(table::carve.eq(carve.to_string()))
        .filter(table::number.gt(signed(after)))
        .order(table::number)
        .limit(limit)
        .load(c))?;
    rows.into_iter()
        .map(|(_, number, leg, step, says, at)| {
            let step =
                Step::ALL.into_iter().find(|known| known.as_str() == step).ok_or_else(|| {
                    Error::DeserializationError(format!("`{step}` is no step").into())
                })?;
            let leg = from_json(&format!("\"{leg}\""))?;
            let (number, at) = (unsigned(number), Timestamp::from_micros(at));
            Ok(Entry { number, leg, step, says, at })
        })
        .collect()
}
