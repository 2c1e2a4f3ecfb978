//! A module's own role and schema on a PostgreSQL server, made with an administrator's URL.

use diesel::{
    Connection as _, PgConnection, RunQueryDsl, connection::SimpleConnection, sql_types::Bool,
};

use crate::{Location, OpenError, postgres};

/// The longest name that PostgreSQL keeps whole.
const NAME_LENGTH_MAX: usize = 63;

/// Where `module` lives in the database that `url` names: the same server, database and parameters, but the module's
/// own role (`<database>_<module>`, so that two databases of one server do not share roles) and `password`.
///
/// `url` is `postgres://[user[:password]@][host][:port]/database[?parameters]`; its own user is left out.
pub fn module_location(url: &str, module: &str, password: &str) -> Result<Location, OpenError> {
    let parts = Parts::read(url)?;
    let role = parts.role(module)?;
    Ok(Location::Postgres { url: parts.with(&role, password) })
}

/// Makes or corrects the role and the schema of `module`: LOGIN with `password` and nothing more, a schema of the
/// module's name that the role owns and that is its whole `search_path`, and nobody else's rights on it. Running it
/// again changes nothing but the password. The administrator needs CREATEROLE and CREATE on the database, or more.
pub fn provision(admin_url: &str, module: &str, password: &str) -> Result<Location, OpenError> {
    let parts = Parts::read(admin_url)?;
    let role = parts.role(module)?;
    let mut c = postgres::establish(admin_url)?;
    let failed = |error: diesel::result::Error| OpenError::Server(error.to_string());
    c.transaction(|c| make(c, &parts.database, module, &role, password)).map_err(failed)?;
    module_location(admin_url, module, password)
}

fn make(
    c: &mut PgConnection,
    database: &str,
    module: &str,
    role: &str,
    password: &str,
) -> diesel::QueryResult<()> {
    #[derive(diesel::QueryableByName)]
    struct There {
        #[diesel(sql_type = Bool)]
        there: bool,
    }
    // Two processes that start at once would otherwise trip over each other's catalog rows.
    c.batch_execute("SELECT pg_advisory_xact_lock(hashtext('banyan provision'))")?;
    let there: There =
        diesel::sql_query("SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1) AS there")
            .bind::<diesel::sql_types::Text, _>(role)
            .get_result(c)?;
    let (name, schema) = (identifier(role), identifier(module));
    let database = identifier(database);
    if !there.there {
        c.batch_execute(&format!("CREATE ROLE {name}"))?;
        // An administrator who is not a superuser has to be a member to give the role a schema.
        c.batch_execute(&format!("GRANT {name} TO CURRENT_USER"))?;
    }
    c.batch_execute(&format!(
        "ALTER ROLE {name} LOGIN NOCREATEDB NOCREATEROLE PASSWORD {password};
         CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {name};
         REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;
         REVOKE ALL ON SCHEMA public FROM PUBLIC;
         REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
         GRANT CONNECT ON DATABASE {database} TO {name};
         ALTER ROLE {name} IN DATABASE {database} SET search_path = {schema};",
        password = literal(password),
    ))
}

/// A name as SQL writes it.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A PostgreSQL URL, taken apart as far as it must be to change its user.
struct Parts {
    hosts: String,
    database: String,
    parameters: String,
}

impl Parts {
    fn read(url: &str) -> Result<Self, OpenError> {
        let wrong = |what: &str| OpenError::Server(format!("{what} in its URL"));
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or_else(|| wrong("no `postgres://`"))?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').ok_or_else(|| wrong("no database"))?;
        let hosts = authority.rsplit_once('@').map_or(authority, |(_user, hosts)| hosts);
        if database.is_empty() {
            return Err(wrong("no database"));
        }
        let parameters: Vec<_> = parameters
            .split('&')
            .filter(|one| !one.is_empty())
            .filter(|one| !one.starts_with("user=") && !one.starts_with("password="))
            .collect();
        Ok(Self {
            hosts: hosts.to_owned(),
            database: database.to_owned(),
            parameters: parameters.join("&"),
        })
    }

    fn role(&self, module: &str) -> Result<String, OpenError> {
        let role = format!("{}_{module}", self.database);
        if role.len() > NAME_LENGTH_MAX {
            return Err(OpenError::Server(format!("the role name {role} is too long")));
        }
        Ok(role)
    }

    fn with(&self, role: &str, password: &str) -> String {
        let question = if self.parameters.is_empty() { "" } else { "?" };
        format!(
            "postgres://{}:{}@{}/{}{question}{}",
            escaped(role),
            escaped(password),
            self.hosts,
            self.database,
            self.parameters
        )
    }
}

/// Percent-encodes everything but letters, digits and a few marks (RFC 3986, section 2.3).
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
