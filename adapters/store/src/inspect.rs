//! The start-up check: does the database keep this module's data to this module?

use diesel::{
    PgConnection, QueryResult, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection, sql_types::Text,
};

use crate::Connection;

/// One line about something that must not be there.
#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = Text)]
    finding: String,
}

/// What ties this module's data to others', one line each; nothing when all is well.
pub(crate) fn findings(c: &mut Connection) -> QueryResult<Vec<String>> {
    match c {
        Connection::Sqlite(c) => sqlite(c),
        Connection::Postgres(c) => postgres(c),
    }
}

/// Everything that the module's role can see in the catalog about its schema. `ours` is the schema, by its oid.
const POSTGRES: &str = "
WITH ours AS (
    SELECT n.oid AS nsp, n.nspname AS schema_name, n.nspowner AS schema_owner, r.oid AS me, r.rolname AS role_name,
           r.rolsuper AS is_super
    FROM pg_namespace n, pg_roles r
    WHERE n.nspname = current_schema() AND r.rolname = current_user
),
system AS (
    SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast')
)
SELECT format('role %s is a superuser: give the module a role of its own', role_name) AS finding
FROM ours WHERE is_super
UNION ALL
SELECT format('role %s is a member of role %s', role_name, g.rolname)
FROM ours JOIN pg_auth_members m ON m.member = me JOIN pg_roles g ON g.oid = m.roleid
UNION ALL
SELECT format('schema %s belongs to %s and not to %s', schema_name, pg_get_userbyid(schema_owner), role_name)
FROM ours WHERE schema_owner <> me
UNION ALL
SELECT format('%s belongs to %s and not to %s', c.oid::regclass, pg_get_userbyid(c.relowner), role_name)
FROM ours JOIN pg_class c ON c.relnamespace = nsp
WHERE c.relowner <> me AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
UNION ALL
SELECT format('foreign key %s of %s leads to %s in another schema', k.conname, k.conrelid::regclass, k.confrelid::regclass)
FROM ours JOIN pg_constraint k ON k.contype = 'f'
JOIN pg_class a ON a.oid = k.conrelid JOIN pg_class b ON b.oid = k.confrelid
WHERE a.relnamespace <> b.relnamespace AND nsp IN (a.relnamespace, b.relnamespace)
UNION ALL
SELECT DISTINCT format('view %s reads %s in another schema', v.oid::regclass, t.oid::regclass)
FROM ours
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
JOIN pg_rewrite w ON w.oid = d.objid
JOIN pg_class v ON v.oid = w.ev_class
JOIN pg_class t ON t.oid = d.refobjid
WHERE v.relnamespace <> t.relnamespace AND nsp IN (v.relnamespace, t.relnamespace)
  AND t.relnamespace NOT IN (SELECT oid FROM system)
UNION ALL
SELECT format('trigger %s of %s calls %s in another schema', g.tgname, g.tgrelid::regclass, p.oid::regproc)
FROM ours JOIN pg_class c ON c.relnamespace = nsp
JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal
JOIN pg_proc p ON p.oid = g.tgfoid
WHERE p.pronamespace <> nsp AND p.pronamespace NOT IN (SELECT oid FROM system)
UNION ALL
SELECT format('%s inherits from %s across schemas', a.oid::regclass, b.oid::regclass)
FROM ours JOIN pg_inherits i ON true
JOIN pg_class a ON a.oid = i.inhrelid JOIN pg_class b ON b.oid = i.inhparent
WHERE a.relnamespace <> b.relnamespace AND nsp IN (a.relnamespace, b.relnamespace)
UNION ALL
SELECT format('%s is a foreign table', c.oid::regclass)
FROM ours JOIN pg_class c ON c.relnamespace = nsp AND c.relkind = 'f'
UNION ALL
SELECT DISTINCT format('%s on schema %s is granted to %s', g.privilege_type, schema_name,
              CASE g.grantee WHEN 0 THEN 'everyone' ELSE pg_get_userbyid(g.grantee) END)
FROM ours JOIN pg_namespace n ON n.oid = nsp, aclexplode(n.nspacl) g
WHERE g.grantee NOT IN (me, schema_owner)
UNION ALL
SELECT DISTINCT format('%s on %s is granted to %s', g.privilege_type, c.oid::regclass,
              CASE g.grantee WHEN 0 THEN 'everyone' ELSE pg_get_userbyid(g.grantee) END)
FROM ours JOIN pg_class c ON c.relnamespace = nsp, aclexplode(c.relacl) g
WHERE g.grantee NOT IN (me, c.relowner)
UNION ALL
SELECT DISTINCT format('%s on %s of %s is granted to %s', g.privilege_type, a.attname, c.oid::regclass,
              CASE g.grantee WHEN 0 THEN 'everyone' ELSE pg_get_userbyid(g.grantee) END)
FROM ours JOIN pg_class c ON c.relnamespace = nsp
JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped, aclexplode(a.attacl) g
WHERE g.grantee NOT IN (me, c.relowner)
UNION ALL
SELECT DISTINCT format('%s on %s in another schema is granted to %s', g.privilege_type, c.oid::regclass, role_name)
FROM ours JOIN pg_class c ON c.relnamespace <> nsp AND c.relnamespace NOT IN (SELECT oid FROM system),
     aclexplode(c.relacl) g
WHERE g.grantee = me
ORDER BY 1";

fn postgres(c: &mut PgConnection) -> QueryResult<Vec<String>> {
    let found: Vec<Finding> = diesel::sql_query(POSTGRES).load(c)?;
    Ok(found.into_iter().map(|one| one.finding).collect())
}

/// Keys that lead out of the file, and whatever else is open beside it.
const SQLITE: &str = "
SELECT format('foreign key of %s leads to %s, which is not in this file', t.name, k.\"table\") AS finding
FROM sqlite_schema t, pragma_foreign_key_list(t.name) k
WHERE t.type = 'table'
  AND NOT EXISTS (SELECT 1 FROM sqlite_schema p WHERE p.type = 'table' AND lower(p.name) = lower(k.\"table\"))
UNION
SELECT format('the file %s is attached as %s', file, name) FROM pragma_database_list
WHERE name NOT IN ('main', 'temp')
ORDER BY 1";

/// Statements that compile every view and every trigger and run none of them.
const COMPILE: &str = "
SELECT format('EXPLAIN SELECT * FROM \"%w\"', name) AS finding FROM sqlite_schema WHERE type = 'view'
UNION ALL
SELECT DISTINCT format('EXPLAIN DELETE FROM \"%w\"', tbl_name) FROM sqlite_schema WHERE type = 'trigger'
UNION ALL
SELECT DISTINCT format('EXPLAIN INSERT INTO \"%w\" DEFAULT VALUES', tbl_name) FROM sqlite_schema
WHERE type = 'trigger'
UNION ALL
SELECT DISTINCT format('EXPLAIN UPDATE \"%w\" SET \"%w\" = \"%w\"', t.tbl_name, c.name, c.name)
FROM sqlite_schema t, pragma_table_xinfo(t.tbl_name) c WHERE t.type = 'trigger' AND c.hidden = 0";

fn sqlite(c: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    let found: Vec<Finding> = diesel::sql_query(SQLITE).load(c)?;
    let mut lines: Vec<String> = found.into_iter().map(|one| one.finding).collect();
    // SQLite itself refuses a view or a trigger over an attached file when it is made; one that got in otherwise
    // (a renamed table, an edited schema) does not compile.
    let compile: Vec<Finding> = diesel::sql_query(COMPILE).load(c)?;
    for statement in compile {
        if let Err(error) = c.batch_execute(&statement.finding) {
            let line = format!("a view or trigger reaches outside the file: {error}");
            if !lines.contains(&line) && !is_about_triggers_kind(&error.to_string()) {
                lines.push(line);
            }
        }
    }
    Ok(lines)
}

/// A view with INSTEAD OF triggers for some verbs only refuses the other verbs: that is no finding.
fn is_about_triggers_kind(error: &str) -> bool {
    error.contains("because it is a view")
}
