//! Queries on carves.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, Queryable, RunQueryDsl};
use kernel_api::{Id, Text, Timestamp};
use placement_api::{Carve, Database, Deployment, Module, Plan};

use ::store::{Connection, on, prepared};

use super::{from_json, from_text, from_texts, signed, to_json, unsigned};
use crate::{
    domain::{At, Facts, State},
    schema::carves as table,
};

/// A carve with all that is kept of it.
#[derive(Debug, Clone)]
pub(crate) struct CarveRow {
    pub id: Id<Carve>,
    pub module: Module,
    pub source: Deployment,
    pub target: Deployment,
    pub source_data: Option<Database>,
    pub target_data: Option<Database>,
    pub plan: Plan,
    pub who: Text<100>,
    pub reason: Text<200>,
    pub begun_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub state: State,
    pub version: i64,
    pub facts: Facts,
    pub term: u64,
}

/// Who works at a carve, and until when unless it says so again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease<'l> {
    pub owner: &'l str,
    pub now: Timestamp,
    pub until: Timestamp,
}

#[derive(Queryable)]
struct Row {
    id: String,
    module: String,
    source: String,
    target: String,
    source_data: Option<String>,
    target_data: Option<String>,
    plan: String,
    who: String,
    reason: String,
    begun_at: i64,
    ended_at: Option<i64>,
    state: String,
    version: i64,
    facts: String,
    _lease_owner: String,
    _lease_until_at: i64,
    term: i64,
}

fn read(row: Row) -> QueryResult<CarveRow> {
    Ok(CarveRow {
        id: from_text(&row.id)?,
        module: from_text(&row.module)?,
        source: from_text(&row.source)?,
        target: from_text(&row.target)?,
        source_data: from_texts(row.source_data.as_ref())?,
        target_data: from_texts(row.target_data.as_ref())?,
        plan: from_json(&row.plan)?,
        who: from_text(&row.who)?,
        reason: from_text(&row.reason)?,
        begun_at: Timestamp::from_micros(row.begun_at),
        ended_at: row.ended_at.map(Timestamp::from_micros),
        state: from_json(&row.state)?,
        version: row.version,
        facts: from_json(&row.facts)?,
        term: unsigned(row.term),
    })
}

/// Adds a carve; `false` when its id is taken or the module has one that is not over.
pub(crate) fn insert_carve(c: &mut Connection, new: &CarveRow) -> QueryResult<bool> {
    let row = (
        table::id.eq(new.id.to_string()),
        table::module.eq(new.module.as_str()),
        table::source.eq(new.source.as_str()),
        table::target.eq(new.target.as_str()),
        table::plan.eq(to_json(&new.plan)?),
        table::who.eq(new.who.as_str()),
        table::reason.eq(new.reason.as_str()),
        table::begun_at.eq(new.begun_at.micros()),
        table::state.eq(to_json(&new.state)?),
        table::facts.eq(to_json(&new.facts)?),
    );
    let inserted = on!(c, |c| prepared!(
        diesel::insert_into(table::table).values(row).on_conflict_do_nothing()
    )
    .execute(c))?;
    Ok(inserted == 1)
}

/// One carve.
pub(crate) fn carve(c: &mut Connection, id: Id<Carve>) -> QueryResult<Option<CarveRow>> {
    let row: Option<Row> = on!(c, |c| table::table.find(id.to_string()).get_result(c).optional())?;
    row.map(read).transpose()
}

/// The carves before one, the newest first, at most `limit`; of one module or of all.
pub(crate) fn carves(
    c: &mut Connection,
    before: &str,
    module: Option<&Module>,
    limit: i64,
) -> QueryResult<Vec<CarveRow>> {
    let rows: Vec<Row> = match module {
        Some(module) => on!(c, |c| table::table
            .filter(table::id.lt(before))
            .filter(table::module.eq(module.as_str()))
            .order(table::id.desc())
            .limit(limit)
            .load(c)),
        None => on!(c, |c| table::table
            .filter(table::id.lt(before))
            .order(table::id.desc())
            .limit(limit)
            .load(c)),
    }?;
    rows.into_iter().map(read).collect()
}

/// The rows by which a database says that ended carves have moved the module away from there.
pub(crate) fn given_up(c: &mut Connection, module: &Module, at: &Database) -> QueryResult<Vec<At>> {
    let ended = table::table.filter(table::module.eq(module.as_str()));
    let rows: Vec<Row> =
        on!(c, |c| ended.filter(table::ended_at.is_not_null()).order(table::id).load(c))?;
    let rows = rows.into_iter().map(read).collect::<QueryResult<Vec<_>>>()?;
    let left = rows.into_iter().filter(|row| row.given_up().as_ref() == Some(at));
    Ok(left.map(|row| (row.state.epoch + 1, row.taker(row.state.leg).to_string())).collect())
}

/// The carves that are not over, by id.
pub(crate) fn open_carves(c: &mut Connection) -> QueryResult<Vec<CarveRow>> {
    let rows: Vec<Row> =
        on!(c, |c| table::table.filter(table::ended_at.is_null()).order(table::id).load(c))?;
    rows.into_iter().map(read).collect()
}

/// The carves that are not over and that nobody works at.
pub(crate) fn free_carves(c: &mut Connection, now: Timestamp) -> QueryResult<Vec<Id<Carve>>> {
    let ids: Vec<String> = on!(c, |c| table::table
        .filter(table::ended_at.is_null())
        .filter(table::lease_until_at.le(now.micros()))
        .order(table::id)
        .select(table::id)
        .load(c))?;
    ids.iter().map(|id| from_text(id)).collect()
}

/// Takes a carve's lease when nobody has it; its new term.
pub(crate) fn take_lease(
    c: &mut Connection,
    id: Id<Carve>,
    lease: &Lease<'_>,
) -> QueryResult<Option<u64>> {
    let free = table::table
        .find(id.to_string())
        .filter(table::ended_at.is_null())
        .filter(table::lease_until_at.le(lease.now.micros()));
    let taken = (
        table::lease_owner.eq(lease.owner),
        table::lease_until_at.eq(lease.until.micros()),
        table::term.eq(table::term + 1),
    );
    let term: Option<i64> =
        on!(c, |c| prepared!(diesel::update(free).set(taken).returning(table::term))
            .get_result(c)
            .optional())?;
    Ok(term.map(unsigned))
}

/// Renews a lease, or gives it back with an `until` that is over; `false` when it is another's.
pub(crate) fn renew_lease(
    c: &mut Connection,
    id: Id<Carve>,
    term: u64,
    until: Timestamp,
) -> QueryResult<bool> {
    let ours = table::table.find(id.to_string()).filter(table::term.eq(signed(term)));
    let renewed = table::lease_until_at.eq(until.micros());
    Ok(on!(c, |c| prepared!(diesel::update(ours).set(renewed)).execute(c))? == 1)
}

/// Where both sides' data is.
pub(crate) fn set_data(
    c: &mut Connection,
    id: Id<Carve>,
    source: &Database,
    target: &Database,
) -> QueryResult<()> {
    let (source, target) = (source.expose(), target.expose());
    let data = (table::source_data.eq(&*source), table::target_data.eq(&*target));
    on!(c, |c| prepared!(diesel::update(table::table.find(id.to_string())).set(data)).execute(c))?;
    Ok(())
}

/// Writes state and facts over the version that was read; `false` when it is not there any more.
pub(crate) fn update_carve(
    c: &mut Connection,
    row: &CarveRow,
    state: &State,
    facts: &Facts,
    ended_at: Option<Timestamp>,
) -> QueryResult<bool> {
    let as_read = table::table.find(row.id.to_string()).filter(table::version.eq(row.version));
    let written = (
        table::state.eq(to_json(state)?),
        table::facts.eq(to_json(facts)?),
        table::ended_at.eq(ended_at.map(Timestamp::micros)),
        table::version.eq(table::version + 1),
    );
    Ok(on!(c, |c| prepared!(diesel::update(as_read).set(written)).execute(c))? == 1)
}
