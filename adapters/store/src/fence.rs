//! The fence: one row that says which epoch may write.

use diesel::{
    ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl,
    dsl::sql,
    expression::{SqlLiteral, UncheckedBind},
    sql_types::{BigInt, Bool},
};

use serde::{Deserialize, Serialize};

use crate::{Connection, Location, OpenError, on, postgres, prepared, schema::fence, sqlite};

/// The epoch of a process that may not write: no row has it, its check says so.
pub(crate) const STANDBY: u64 = 0;

/// What the fence row of a module's database says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The epoch: rises when the module changes owner.
    pub epoch: u64,
    /// The deployment whose processes may write under that epoch; empty where the module was never carved, and then it
    /// is whoever opens it.
    pub owner: String,
}

/// The row.
pub(crate) fn row(c: &mut Connection) -> QueryResult<Standing> {
    let (epoch, owner): (i64, String) =
        on!(c, |c| fence::table.find(1).select((fence::epoch, fence::owner)).get_result(c))?;
    Ok(Standing { epoch: u64::try_from(epoch).unwrap_or(STANDBY), owner })
}

/// What the fence row at `location` says, for tools: on a connection of its own, blocking. Makes no file.
pub fn standing(location: &Location) -> Result<Standing, OpenError> {
    let mut c = match location {
        Location::Sqlite { path } if !path.exists() => {
            let what = "there is no such database".to_owned();
            return Err(OpenError::File { path: path.clone(), what });
        }
        Location::Sqlite { path } => Connection::Sqlite(sqlite::open(path)?),
        Location::Postgres { url } => Connection::Postgres(postgres::establish(url)?),
    };
    row(&mut c).map_err(|error| match location {
        Location::Sqlite { path } => {
            OpenError::File { path: path.clone(), what: sqlite::explain(&error) }
        }
        Location::Postgres { .. } => OpenError::Server(crate::fault::one_line(&error.to_string())),
    })
}

/// Moves the row from one epoch to the next; `false` when it is not at `from`. On PostgreSQL it first waits for every
/// open write transaction and keeps new ones waiting until this one ends.
pub(crate) fn raise(c: &mut Connection, from: i64, to: i64) -> QueryResult<bool> {
    if c.is_postgres() {
        c.batch_execute("LOCK TABLE fence IN ACCESS EXCLUSIVE MODE")?;
    }
    let moved = on!(c, |c| prepared!(
        diesel::update(fence::table.find(1).filter(fence::epoch.eq(from))).set(fence::epoch.eq(to))
    )
    .execute(c))?;
    Ok(moved == 1)
}

/// A condition that holds while this process owns the module: the fence inside a statement of
/// [`Store::write_one`](crate::Store::write_one). Usable in any diesel `filter`.
pub fn fence_holds(epoch: u64) -> FenceHolds {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    sql::<Bool>("EXISTS (SELECT 1 FROM fence WHERE epoch = ").bind::<BigInt, _>(epoch).sql(")")
}

/// See [`fence_holds`].
pub type FenceHolds =
    SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, diesel::dsl::AsExprOf<i64, BigInt>>>;
