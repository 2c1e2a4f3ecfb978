//! Dead letters and parked events: what an operator sees of them and may do about them.

use ::store::{Abort, Store};
use contract::{Answer, Call, Envelope, Never};
use diesel::result::Error;
use kernel_api::{Page, PageRequest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    delivery::next_in_line,
    store::{self, BEHIND, DEAD, PARKED, ParkedRow},
};

/// An event that could not be given its effect, or that waits behind such a one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Letter {
    /// Whose: the subscription's name.
    pub subscription: String,
    /// The event's position in its feed; with the subscription, what names a letter.
    pub position: u64,
    /// What is becoming of it.
    pub state: LetterState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// Why it failed the last time; empty when it only waits.
    pub last_error: String,
    /// When it came here.
    pub parked_at: Timestamp,
    /// The event.
    pub event: Envelope,
}

/// What is becoming of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// It failed and is tried again.
    Parked,
    /// It waits behind an earlier one of its key.
    Waiting,
    /// It failed too often: an operator replays or discards it.
    Dead,
}

/// Which letters are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LetterFilter {
    /// Only this subscription's.
    #[serde(default)]
    pub subscription: Option<String>,
    /// Only dead ones.
    #[serde(default)]
    pub dead: Option<bool>,
}

/// Why nothing was done about a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum LetterError {
    /// There is no such letter: never, or no longer.
    #[error("there is no such letter")]
    NotFound,
    /// It waits behind an earlier one of its key; that one must be dealt with first.
    #[error("it waits behind the letter at position {first}")]
    Behind {
        /// The position of the key's first letter.
        first: u64,
    },
}

/// The letters of a module, by subscription and position.
pub async fn list(
    store: &Store,
    call: &Call,
    filter: LetterFilter,
    page: PageRequest,
) -> Answer<Page<Letter>, Never> {
    let limit = page.limit();
    // A cursor is `<position>@<subscription>`; one that cannot be read begins again.
    let after = page.after.as_deref().and_then(|text| {
        let (position, subscription) = text.split_once('@')?;
        Some((subscription.to_owned(), position.parse().ok()?))
    });
    let (name, position): (String, u64) = after.unwrap_or_default();
    let rows = store.read(call, move |c| {
        let state = filter.dead.map(|dead| if dead { DEAD } else { PARKED });
        let subscription = filter.subscription.as_deref();
        let rows = store::letters(c, subscription, state, (&name, position), limit + 1)?;
        Ok(rows.into_iter().map(letter).collect::<Result<Vec<_>, _>>()?)
    });
    Ok(Page::of(rows.await?, limit, |letter| {
        format!("{}@{}", letter.position, letter.subscription)
    }))
}

/// One letter.
pub async fn show(
    store: &Store,
    call: &Call,
    subscription: &str,
    position: u64,
) -> Answer<Letter, LetterError> {
    let subscription = subscription.to_owned();
    let found = store.read(call, move |c| {
        let row = store::letter(c, &subscription, position)?;
        let row = row.ok_or(Abort::Refused(LetterError::NotFound))?;
        Ok(letter(row)?)
    });
    found.await
}

/// Lets the worker try the first letter of a key again at once, with all its tries before it. When it has its effect,
/// those behind it follow. Doing it twice is doing it once.
pub async fn replay(
    store: &Store,
    call: &Call,
    subscription: &str,
    position: u64,
) -> Answer<Letter, LetterError> {
    let subscription = subscription.to_owned();
    let replayed = store.write(call, move |tx| {
        let row = locked(tx, &subscription, position)?;
        let first = store::of_key(tx.connection(), &subscription, &row.subject, 1)?;
        if let Some(first) = first.first().filter(|first| first.position != row.position) {
            return Err(Abort::Refused(LetterError::Behind {
                first: store::position(first.position),
            }));
        }
        let now = tx.now().micros();
        let row = ParkedRow { attempts: 0, next_try_at: now, state: PARKED.to_owned(), ..row };
        store::reschedule(tx.connection(), &row)?;
        Ok(letter(row)?)
    });
    let replayed = replayed.await?;
    tracing::info!(subscription = replayed.subscription, position, "an operator replays a letter");
    Ok(replayed)
}

/// Removes a letter for ever: its event has no effect. Those behind it follow. Gives back what was removed, for the
/// record.
pub async fn discard(
    store: &Store,
    call: &Call,
    subscription: &str,
    position: u64,
) -> Answer<Letter, LetterError> {
    let subscription = subscription.to_owned();
    let discarded = store.write(call, move |tx| {
        let row = locked(tx, &subscription, position)?;
        store::remove(tx.connection(), &subscription, row.position)?;
        next_in_line(tx, &subscription, &row.subject)?;
        Ok(letter(row)?)
    });
    let discarded = discarded.await?;
    tracing::warn!(
        subscription = discarded.subscription,
        position,
        event = discarded.event.kind,
        id = discarded.event.id,
        error = discarded.last_error,
        "an operator discarded a letter"
    );
    Ok(discarded)
}

/// The letter, with its subscription locked to the end of the transaction.
fn locked(
    tx: &mut ::store::Tx<'_>,
    subscription: &str,
    position: u64,
) -> Result<ParkedRow, Abort<LetterError>> {
    let now = tx.now();
    store::lock(tx.connection(), subscription, now)?;
    let row = store::letter(tx.connection(), subscription, position)?;
    row.ok_or(Abort::Refused(LetterError::NotFound))
}

fn letter(row: ParkedRow) -> Result<Letter, Error> {
    let state = if row.state == DEAD {
        LetterState::Dead
    } else if row.next_try_at == BEHIND {
        LetterState::Waiting
    } else {
        LetterState::Parked
    };
    Ok(Letter {
        position: store::position(row.position),
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        next_try_at: (state == LetterState::Parked)
            .then_some(Timestamp::from_micros(row.next_try_at)),
        last_error: row.last_error,
        parked_at: Timestamp::from_micros(row.parked_at),
        event: serde_json::from_str(&row.event)
            .map_err(|error| Error::DeserializationError(Box::new(error)))?,
        subscription: row.subscription,
        state,
    })
}
