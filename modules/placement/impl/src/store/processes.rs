//! Queries on the processes that told of themselves.

use diesel::{ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl};
use kernel_api::{Id, Timestamp};
use placement_api::{Announce, Process};

use ::store::{Connection, on, prepared};

use super::{from_json, from_text, from_texts, to_json};
use crate::schema::processes as table;

/// A process told of itself.
pub(crate) fn put_process(c: &mut Connection, told: &Announce, now: Timestamp) -> QueryResult<()> {
    let modules = to_json(&told.modules)?;
    let seen = (
        table::deployment.eq(told.deployment.as_str()),
        table::url.eq(told.url.as_str()),
        table::public_url.eq(told.public_url.as_ref().map(|url| url.as_str())),
        table::modules.eq(&modules),
        table::seen_at.eq(now.micros()),
    );
    let row = (table::id.eq(told.process.to_string()), seen);
    on!(c, |c| prepared!(
        diesel::insert_into(table::table).values(row).on_conflict(table::id).do_update().set(seen)
    )
    .execute(c))?;
    Ok(())
}

/// A process ends and need not be waited for.
pub(crate) fn remove_process(c: &mut Connection, id: Id<Process>) -> QueryResult<()> {
    on!(c, |c| prepared!(diesel::delete(table::table.find(id.to_string()))).execute(c))?;
    Ok(())
}

/// Forgets who was last seen before.
pub(crate) fn forget_processes(c: &mut Connection, before: Timestamp) -> QueryResult<()> {
    let silent = table::table.filter(table::seen_at.lt(before.micros()));
    on!(c, |c| prepared!(diesel::delete(silent)).execute(c))?;
    Ok(())
}

/// Who was seen since, by deployment and id.
pub(crate) fn live_processes(c: &mut Connection, since: Timestamp) -> QueryResult<Vec<Process>> {
    type Row = (String, String, String, Option<String>, String, i64);
    let rows: Vec<Row> = on!(c, |c| table::table
        .filter(table::seen_at.ge(since.micros()))
        .order((table::deployment, table::id))
        .load(c))?;
    rows.into_iter()
        .map(|(id, deployment, url, public_url, modules, seen_at)| {
            Ok(Process {
                id: from_text(&id)?,
                deployment: from_text(&deployment)?,
                url: from_text(&url)?,
                public_url: from_texts(public_url.as_ref())?,
                modules: from_json(&modules)?,
                seen_at: Timestamp::from_micros(seen_at),
            })
        })
        .collect()
}
