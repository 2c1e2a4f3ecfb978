//! What a SQLite file says it is: its module and its deployment, in two numbers of the file's own header, which no backup
//! carries into another file.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::{QueryResult, QueryableByName, RunQueryDsl, SqliteConnection, sql_types::Integer};

use crate::{OpenError, sqlite};

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    module: i32,
    /// The deployment's number, as it was given.
    pub deployment: i32,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Integer)]
    number: i32,
}

impl Mark {
    /// The mark of a module of a deployment.
    pub fn new(module: &str, deployment: i32) -> Self {
        // FNV-1a: the same number for ever, and another for each name that a program has.
        let hash = module
            .bytes()
            .fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let module = i32::try_from(hash >> 1).expect("31 bits fit");
        Self { module, deployment }
    }
}

/// What the file says; nothing where it is not there, empty, or never marked. Makes no file.
pub fn marked(path: &Path) -> Result<Option<Mark>, OpenError> {
    if path.metadata().map_or(0, |file| file.len()) == 0 {
        return Ok(None);
    }
    let mut c = sqlite::open(path)?;
    let read = |c: &mut SqliteConnection| -> QueryResult<Mark> {
        Ok(Mark { module: number(c, "application_id")?, deployment: number(c, "user_version")? })
    };
    let mark = read(&mut c).map_err(|error| failed(path, &error))?;
    Ok(Some(mark).filter(|mark| *mark != Mark { module: 0, deployment: 0 }))
}

/// Marks a file.
pub fn mark(path: &Path, mark: Mark) -> Result<(), OpenError> {
    let Mark { module, deployment } = mark;
    let mut c = sqlite::open(path)?;
    c.batch_execute(&format!(
        "BEGIN IMMEDIATE; PRAGMA application_id = {module}; PRAGMA user_version = {deployment}; COMMIT"
    ))
    .map_err(|error| failed(path, &error))
}

fn number(c: &mut SqliteConnection, pragma: &str) -> QueryResult<i32> {
    let sql = format!("SELECT {pragma} AS number FROM pragma_{pragma}");
    diesel::sql_query(sql).get_result(c).map(|row: Number| row.number)
}

fn failed(path: &Path, error: &diesel::result::Error) -> OpenError {
    OpenError::File { path: path.to_owned(), what: sqlite::explain(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_whose_it_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("catalog.db");
        assert_eq!(marked(&path).unwrap(), None);
        assert!(!path.exists(), "looking makes no file");
        std::fs::write(&path, "").unwrap();
        assert_eq!(marked(&path).unwrap(), None);
        drop(sqlite::open(&path).unwrap());
        assert_eq!(marked(&path).unwrap(), None);
        let ours = Mark::new("catalog", 7);
        mark(&path, ours).unwrap();
        assert_eq!(marked(&path).unwrap(), Some(ours));
        assert_ne!(ours, Mark::new("ordering", 7));
    }
}
