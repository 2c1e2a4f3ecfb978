//! The tables of a module, read from the catalog: what moves, by which key, and what stands in the way.

use serde::Deserialize;

use super::{
    error::MoveError,
    lines::Kind,
    names::PREFIX,
    side::{Side, number},
};
use crate::provision::identifier;

/// The tables that do not move: each database's own fence and lease, and the list of its migrations.
pub(super) const STAYS: [&str; 3] = ["fence", "sequencer", "__diesel_schema_migrations"];

/// The column that a lease's end stands in: zeroed on the side that becomes owner.
pub(super) const LEASE: &str = "lease_until_at";

/// A column that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
}

/// A table that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub name: String,
    /// Those of the key first, in its order, then the others by name.
    pub columns: Vec<Column>,
    /// How many of them are the key.
    pub key: usize,
    /// Only the rows for which this holds move.
    pub only: Option<&'static str>,
    /// Is the key's order the order of its bytes, so that another database can be asked for the same range?
    pub by_bytes: bool,
}

impl Table {
    pub fn quoted(&self) -> String {
        identifier(&self.name)
    }

    pub fn keys(&self) -> &[Column] {
        self.columns.get(..self.key).unwrap_or_default()
    }

    pub fn others(&self) -> &[Column] {
        self.columns.get(self.key..).unwrap_or_default()
    }

    pub fn has_lease(&self) -> bool {
        self.others().iter().any(|column| column.name == LEASE)
    }

    /// The columns for a statement, each with `before` in front.
    pub fn list(columns: &[Column], before: &str) -> String {
        let names = columns.iter().map(|column| format!("{before}{}", identifier(&column.name)));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// What the catalog says.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    /// By name.
    pub tables: Vec<Table>,
    /// Why some of it cannot move.
    pub blockers: Vec<String>,
}

/// A line of the catalog: table, column, type, place in the key (from 1, or 0), may it be NULL, is its order that of
/// its bytes.
#[derive(Deserialize)]
struct Line(String, String, String, i64, bool, bool);

/// `insertion` is PostgreSQL's own.
const POSTGRES: &str = "
SELECT json_build_array(c.relname, a.attname, format_type(a.atttypid, NULL),
       coalesce(array_position(k.indkey::int2[], a.attnum) + 1, 0), NOT a.attnotnull,
       a.attcollation = 0 OR coll.collname IN ('C', 'POSIX', 'ucs_basic') OR
       coll.collname = 'default' AND lower(d.datcollate) IN ('c', 'posix', 'c.utf-8', 'c.utf8'))::text
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
JOIN pg_database d ON d.datname = current_database()
LEFT JOIN pg_collation coll ON coll.oid = a.attcollation
LEFT JOIN pg_index k ON k.indrelid = c.oid AND k.indisprimary
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  AND NOT (c.relname = 'outbox' AND a.attname = 'insertion')
ORDER BY c.relname COLLATE \"C\", a.attname COLLATE \"C\"";

const SQLITE: &str = "
SELECT json_array(t.name, c.name, c.type, c.pk,
       json(CASE WHEN c.\"notnull\" OR t.wr OR c.pk = 1 AND lower(c.type) = 'integer' THEN 'false' ELSE 'true' END),
       json('true'))
FROM pragma_table_list t, pragma_table_xinfo(t.name) c
WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND c.hidden = 0
ORDER BY t.name, c.name";

/// Triggers of somebody else: what they do has been done on the side that the rows come from.
const POSTGRES_TRIGGERS: &str = "
SELECT format('table %s has the trigger %s', c.relname, t.tgname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal AND NOT starts_with(t.tgname, 'carve_')
ORDER BY 1";

const SQLITE_TABLES: &str = "
SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('virtual', 'shadow') ORDER BY name";

/// Keys for which `a` and `A` are one are two on PostgreSQL.
const SQLITE_KEYS: &str = "
SELECT DISTINCT t.name FROM pragma_table_list t, pragma_index_list(t.name) i, pragma_index_xinfo(i.name) x
WHERE t.schema = 'main' AND t.type = 'table' AND i.origin = 'pk' AND x.key AND x.coll <> 'BINARY' ORDER BY 1";

/// Reads it.
pub(super) fn shape(side: &mut dyn Side) -> Result<Shape, MoveError> {
    let sql = if side.is_postgres() { POSTGRES } else { SQLITE };
    let mut tables: Vec<(String, Vec<Line>)> = Vec::new();
    for row in side.ask(sql)? {
        let text = row.into_iter().next().flatten().unwrap_or_default();
        let line: Line = serde_json::from_str(&text)
            .map_err(|error| MoveError::Unfit(format!("the catalog cannot be read: {error}")))?;
        if STAYS.contains(&line.0.as_str()) || line.0.starts_with(PREFIX) {
            continue;
        }
        match tables.last_mut() {
            Some((name, lines)) if *name == line.0 => lines.push(line),
            Some(_) | None => tables.push((line.0.clone(), vec![line])),
        }
    }
    let mut shape = Shape::default();
    for (name, lines) in tables {
        let table = table(name, lines, side.is_postgres(), &mut shape.blockers);
        shape.tables.extend(table);
    }
    let others = if side.is_postgres() { POSTGRES_TRIGGERS } else { SQLITE_TABLES };
    for row in side.ask(others)? {
        let what = row.into_iter().next().flatten().unwrap_or_default();
        shape.blockers.push(if side.is_postgres() {
            format!("{what}, whose effect would come twice")
        } else {
            format!("table {what} is virtual")
        });
    }
    if !side.is_postgres() {
        for row in side.ask(SQLITE_KEYS)? {
            let table = row.into_iter().next().flatten().unwrap_or_default();
            shape.blockers.push(format!("the key of table {table} does not compare by its bytes"));
        }
    }
    Ok(shape)
}

fn table(
    name: String,
    mut lines: Vec<Line>,
    is_postgres: bool,
    blockers: &mut Vec<String>,
) -> Option<Table> {
    let mut only = None;
    if name == "outbox" {
        // An event moves by its position; one that has none yet moves when it gets it.
        for Line(_, column, _, place, null, _) in &mut lines {
            *place = i64::from(column == "position");
            *null &= column != "position";
        }
        only = is_postgres.then_some("position IS NOT NULL");
    }
    lines.sort_by_key(|line| if line.3 == 0 { i64::MAX } else { line.3 });
    let before = blockers.len();
    let key = lines.iter().filter(|line| line.3 > 0).count();
    let by_bytes = lines.iter().filter(|line| line.3 > 0).all(|line| line.5);
    if key == 0 {
        blockers.push(format!("table {name} has no primary key"));
    }
    let mut columns = Vec::new();
    for Line(_, column, kind, place, null, _) in lines {
        if place > 0 && null {
            blockers.push(format!("column {column} of the key of table {name} may be NULL"));
        }
        match kind_of(&kind) {
            Some(kind) => columns.push(Column { name: column, kind }),
            None => blockers.push(format!(
                "column {column} of table {name} is of type {kind}, which does not move"
            )),
        }
    }
    (blockers.len() == before).then_some(Table { name, columns, key, only, by_bytes })
}

/// The portable types, by both databases' names for them.
fn kind_of(declared: &str) -> Option<Kind> {
    match declared.to_lowercase().as_str() {
        "text" | "character varying" | "varchar" => Some(Kind::Text),
        "bigint" | "integer" | "smallint" | "int" => Some(Kind::Integer),
        "boolean" | "bool" => Some(Kind::Boolean),
        _ => None,
    }
}

/// Why the tables of the two sides do not fit; nothing where they do.
pub(super) fn differences(source: &[Table], target: &[Table]) -> Vec<String> {
    let mut found = Vec::new();
    for table in source {
        match target.iter().find(|other| other.name == table.name) {
            None => found.push(format!("the target has no table {}", table.name)),
            Some(other) if other.columns != table.columns || other.key != table.key => {
                found.push(format!("table {} has other columns on the target", table.name));
            }
            Some(_) => {}
        }
    }
    for table in target {
        if source.iter().all(|other| other.name != table.name) {
            found.push(format!("the source has no table {}", table.name));
        }
    }
    found
}

/// The rows of a table that move.
pub(super) fn count(side: &mut dyn Side, table: &Table) -> Result<u64, MoveError> {
    let only = table.only.map(|only| format!(" WHERE {only}")).unwrap_or_default();
    let rows = number(side, &format!("SELECT count(*) FROM {}{only}", table.quoted()))?;
    Ok(u64::try_from(rows).unwrap_or(0))
}
