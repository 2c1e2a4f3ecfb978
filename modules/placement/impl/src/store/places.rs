//! Queries on where modules are.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};
use placement_api::{Address, Database, Deployment, Module, Site};

use ::store::{Connection, on, prepared};

use super::{from_text, from_texts, signed, unsigned};
use crate::{
    domain::At,
    schema::{places as table, sites as said},
};

/// Every module with its epoch and its owner, by name.
pub(crate) fn places(c: &mut Connection) -> QueryResult<Vec<(Module, At)>> {
    let rows: Vec<(String, i64, String)> = on!(c, |c| table::table.order(table::module).load(c))?;
    rows.into_iter()
        .map(|(module, epoch, owner)| Ok((from_text(&module)?, (unsigned(epoch), owner))))
        .collect()
}

/// One module's epoch and owner.
pub(crate) fn place(c: &mut Connection, module: &Module) -> QueryResult<Option<At>> {
    let row: Option<(i64, String)> = on!(c, |c| table::table
        .find(module.as_str())
        .select((table::epoch, table::owner))
        .get_result(c)
        .optional())?;
    Ok(row.map(|(epoch, owner)| (unsigned(epoch), owner)))
}

/// Adds a module that was not known; `false` when it was.
pub(crate) fn put_place(c: &mut Connection, module: &Module, at: &At) -> QueryResult<bool> {
    let row = (
        table::module.eq(module.as_str()),
        table::epoch.eq(signed(at.0)),
        table::owner.eq(at.1.as_str()),
    );
    let put = on!(c, |c| prepared!(
        diesel::insert_into(table::table).values(row).on_conflict_do_nothing()
    )
    .execute(c))?;
    Ok(put == 1)
}

/// Moves a module on from what was known of it; `false` when something else is known.
pub(crate) fn move_place(
    c: &mut Connection,
    module: &Module,
    before: &At,
    at: &At,
) -> QueryResult<bool> {
    let known = table::table
        .find(module.as_str())
        .filter(table::epoch.eq(signed(before.0)))
        .filter(table::owner.eq(before.1.as_str()));
    let moved = (table::epoch.eq(signed(at.0)), table::owner.eq(at.1.as_str()));
    let changed = on!(c, |c| prepared!(diesel::update(known).set(moved)).execute(c))?;
    Ok(changed == 1)
}

/// A site, and its public address.
pub(crate) type Said = (Site, Option<Address>);

type SiteRow = (String, String, Option<String>, Option<String>, Option<String>);

/// What was said of a module in a deployment: the site and its public address.
pub(crate) fn site(
    c: &mut Connection,
    module: &Module,
    deployment: &Deployment,
) -> QueryResult<Said> {
    let row: Option<SiteRow> = on!(c, |c| said::table
        .find((module.as_str(), deployment.as_str()))
        .get_result(c)
        .optional())?;
    match row {
        Some(row) => Ok(site_of(&row)?.1),
        None => Ok((Site { deployment: deployment.clone(), url: None, database: None }, None)),
    }
}

/// What was said of every module in every deployment.
pub(crate) fn sites(c: &mut Connection) -> QueryResult<Vec<(Module, Said)>> {
    let rows: Vec<SiteRow> = on!(c, |c| said::table.load(c))?;
    rows.iter().map(site_of).collect()
}

fn site_of(row: &SiteRow) -> QueryResult<(Module, Said)> {
    let (module, deployment, url, public_url, database) = row;
    let site = Site {
        deployment: from_text(deployment)?,
        url: from_texts(url.as_ref())?,
        database: from_texts(database.as_ref())?,
    };
    Ok((from_text(module)?, (site, from_texts(public_url.as_ref())?)))
}

/// Says anew where a module shall be in a deployment: what was said before is forgotten, for it may be what was wrong.
pub(crate) fn say_site(c: &mut Connection, module: &Module, site: &Site) -> QueryResult<()> {
    let place = said::table.find((module.as_str(), site.deployment.as_str()));
    on!(&mut *c, |c| prepared!(diesel::delete(place)).execute(c))?;
    put_site(c, module, site, None)
}

/// Says something of a module in a deployment; what is none leaves what was said before.
pub(crate) fn put_site(
    c: &mut Connection,
    module: &Module,
    site: &Site,
    public_url: Option<&Address>,
) -> QueryResult<()> {
    let key = (said::module.eq(module.as_str()), said::deployment.eq(site.deployment.as_str()));
    let place = said::table.find((module.as_str(), site.deployment.as_str()));
    on!(&mut *c, |c| prepared!(
        diesel::insert_into(said::table).values(key).on_conflict_do_nothing()
    )
    .execute(c))?;
    if let Some(url) = &site.url {
        on!(&mut *c, |c| prepared!(diesel::update(place).set(said::url.eq(url.as_str())))
            .execute(c))?;
    }
    if let Some(url) = public_url {
        on!(&mut *c, |c| prepared!(diesel::update(place).set(said::public_url.eq(url.as_str())))
            .execute(c))?;
    }
    if let Some(database) = site.database.as_ref().map(Database::expose) {
        on!(c, |c| prepared!(diesel::update(place).set(said::database.eq(&*database))).execute(c))?;
    }
    Ok(())
}
