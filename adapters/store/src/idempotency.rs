//! The answers already given: the same caller, operation and key always mean the same one effect.

use std::time::Duration;

use contract::{Command, NotExecuted, Reason};
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    result::{DatabaseErrorKind, Error},
};
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    Connection, Tx, cached, on, prepared,
    schema::idempotency::{self, caller, created_at, key, operation},
    tx::Stop,
};

/// How long an answer is kept. It must outlive the longest saga, because a saga that was stuck until an operator came
/// back from leave asks again with the same keys.
pub const ANSWERS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// One command's place in the table.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    caller: String,
    operation: &'static str,
    key: String,
    request_hash: String,
}

impl Slot {
    pub fn new<Q: Serialize>(
        command: &Command,
        named: &'static str,
        request: &Q,
    ) -> Result<Self, NotExecuted> {
        let request = serde_json::to_value(request).map_err(|error| {
            NotExecuted::new(Reason::Malformed, format!("the request is no JSON: {error}"))
        })?;
        let mut hash = Sha256::new();
        feed(&mut hash, &request);
        let request_hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            caller: command.call.caller.to_string(),
            operation: named,
            key: command.key.to_string(),
            request_hash,
        })
    }

    /// The answer that was given to this key, if one was.
    pub fn find<T: DeserializeOwned, R>(
        &self,
        connection: &mut Connection,
    ) -> Result<Option<T>, Stop<R>> {
        let found: Option<(String, String)> = on!(connection, |c| idempotency::table
            .find((&self.caller, self.operation, &self.key))
            .select((idempotency::request_hash, idempotency::answer))
            .get_result(c)
            .optional())?;
        let Some((request_hash, answer)) = found else { return Ok(None) };
        if request_hash != self.request_hash {
            return Err(Stop::NotExecuted(NotExecuted::new(
                Reason::KeyReused,
                format!("key `{}` was used for another {}", self.key, self.operation),
            )));
        }
        serde_json::from_str(&answer).map(Some).map_err(|error| {
            Stop::Failed(diesel::result::Error::DeserializationError(Box::new(error)))
        })
    }

    /// What a refusal means. While this run waited for rows on PostgreSQL, the same command may have been carried out
    /// by another try of it, and then what was refused is its own effect: the next run finds the answer.
    pub fn refused<R>(&self, connection: &mut Connection, refusal: R) -> Result<Stop<R>, Stop<R>> {
        if !connection.is_postgres() || self.find::<IgnoredAny, R>(connection)?.is_none() {
            return Ok(Stop::Refused(refusal));
        }
        let met = Box::new("another try of this command was answered meanwhile".to_owned());
        Ok(Stop::Failed(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, met)))
    }

    /// Keeps the answer in the transaction of its effect.
    pub fn keep<T: Serialize>(&self, tx: &mut Tx<'_>, answer: &T) -> QueryResult<()> {
        let answer = serde_json::to_string(answer)
            .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
        let row = (
            caller.eq(&self.caller),
            operation.eq(self.operation),
            key.eq(&self.key),
            idempotency::request_hash.eq(&self.request_hash),
            idempotency::answer.eq(answer),
            created_at.eq(tx.now().micros()),
        );
        on!(tx.connection(), |c| cached(diesel::insert_into(idempotency::table).values(row))
            .execute(c))?;
        Ok(())
    }
}

/// Feeds a JSON value to the hash in one canonical form: object keys sorted, no white space.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            hash.update(b"{");
            for (name, value) in sorted {
                hash.update(Value::from(name.as_str()).to_string());
                hash.update(b":");
                feed(hash, value);
                hash.update(b",");
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            for item in items {
                feed(hash, item);
                hash.update(b",");
            }
            hash.update(b"]");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            hash.update(value.to_string());
        }
    }
}

type Place = (String, String, String);

/// The places of answers older than `before`, at most `limit`. A scan, and on purpose: an index on the time would cost
/// every command a write so that this runs faster once an hour, on a reader.
pub(crate) fn old(c: &mut Connection, before: i64, limit: i64) -> QueryResult<Vec<Place>> {
    on!(c, |c| idempotency::table
        .filter(created_at.lt(before))
        .select((caller, operation, key))
        .limit(limit)
        .load(c))
}

/// Forgets these answers.
pub(crate) fn forget(c: &mut Connection, places: &[Place]) -> QueryResult<usize> {
    let mut count = 0;
    for place in places {
        count += on!(&mut *c, |c| prepared!(diesel::delete(
            idempotency::table.find((&place.0, &place.1, &place.2))
        ))
        .execute(c))?;
    }
    Ok(count)
}
