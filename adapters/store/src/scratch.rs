//! A database on a PostgreSQL server that is there for a while.

use diesel::{PgConnection, RunQueryDsl, connection::SimpleConnection, sql_types::Text};
use kernel_api::Id;

use crate::{OpenError, postgres, provision::identifier};

/// What every such database is called, before its own number.
const PREFIX: &str = "banyan_test_";

/// A database that is dropped, with the roles made for it, at the end.
#[derive(Debug)]
pub struct Scratch {
    server_url: String,
    name: String,
}

impl Scratch {
    /// A new database on the server at this URL, which is that of a role that may make databases.
    pub fn create(server_url: &str) -> Result<Self, OpenError> {
        let id = Id::<()>::fresh().uuid().simple().to_string();
        // The end of the id: its start is the time, the same for those that start together.
        let name = format!("{PREFIX}{}", id.get(20..).unwrap_or(&id));
        let mut c = postgres::establish(server_url)?;
        let created = c.batch_execute(&format!("CREATE DATABASE {name}"));
        created.map_err(|error| OpenError::Server(error.to_string()))?;
        Ok(Self { server_url: server_url.to_owned(), name })
    }

    /// The URL of this database, for the same role.
    pub fn admin_url(&self) -> String {
        let (start, parameters) = self.server_url.split_once('?').unwrap_or((&self.server_url, ""));
        let start = start.rsplit_once('/').map_or(start, |(start, _database)| start);
        let question = if parameters.is_empty() { "" } else { "?" };
        format!("{start}/{}{question}{parameters}", self.name)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn remove(&self) -> Result<(), Box<dyn std::error::Error>> {
        #[derive(diesel::QueryableByName)]
        struct Role {
            #[diesel(sql_type = Text)]
            rolname: String,
        }
        let mut c: PgConnection = postgres::establish(&self.server_url)?;
        c.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name))?;
        let roles: Vec<Role> =
            diesel::sql_query("SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, $1)")
                .bind::<Text, _>(&self.name)
                .load(&mut c)?;
        for role in roles {
            c.batch_execute(&format!("DROP ROLE {}", identifier(&role.rolname)))?;
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(database = self.name, error, "a database was not dropped");
        }
    }
}
