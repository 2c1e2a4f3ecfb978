//! Two modules to test with: one that tells and one that hears.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use contract::{Call, Caller, Deadline, Envelope, Event, Never, Ownership};
use diesel::prelude::*;
use events::{
    ApplyError, Feed, Handler, Limits, LocalFeed, Readers, Status, SubscriberConfig, Subscription,
    letters::{self, Letter, LetterFilter},
};
use kernel_api::{Clock, PageRequest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{EmbeddedMigrations, Migrations, Store, Tx, embed_migrations, on, testing};
use tokio::sync::watch;

pub const MIGRATIONS: Migrations = Migrations { sqlite: SQLITE, postgres: POSTGRES };
const SQLITE: EmbeddedMigrations = embed_migrations!("tests/migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("tests/migrations/postgres");

pub const NAME: &str = "ears";

diesel::table! {
    heard (subject) {
        subject -> Text,
        last -> BigInt,
        count -> BigInt,
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    pub key: String,
    pub value: i64,
}

impl Event for Counted {
    const NAME: &'static str = "teller.counted";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.key.clone()
    }
}

/// How an event of a key and value is met while it is on the list.
#[derive(Debug, Clone, Copy)]
pub enum Poison {
    Refuse,
    Panic,
    BreakConstraint,
}

/// Counts what it hears per key, and refuses what comes out of order.
#[derive(Default)]
pub struct Ears {
    pub poison: Mutex<HashMap<(String, i64), Poison>>,
}

impl Handler for Ears {
    fn apply(&self, tx: &mut Tx<'_>, event: &Envelope) -> Result<(), ApplyError> {
        let Some(event) = event.read::<Counted>() else { return Ok(()) };
        let event = event?;
        let poison = self.poison.lock().unwrap().get(&(event.key.clone(), event.value)).copied();
        let mut value = event.value;
        match poison {
            Some(Poison::Panic) => panic!("an event to panic at"),
            Some(Poison::BreakConstraint) => value = 1_000_000,
            Some(Poison::Refuse) | None => {}
        }
        let before: Option<i64> = on!(tx.connection(), |c| heard::table
            .find(&event.key)
            .select(heard::last)
            .get_result(c)
            .optional())?;
        if before.is_some_and(|before| before >= value) {
            return Err(ApplyError::Poisoned(format!("{value} after {before:?}")));
        }
        let row = (heard::subject.eq(&event.key), heard::last.eq(value), heard::count.eq(1));
        on!(tx.connection(), |c| diesel::insert_into(heard::table)
            .values(row)
            .on_conflict(heard::subject)
            .do_update()
            .set((heard::last.eq(value), heard::count.eq(heard::count + 1)))
            .execute(c))?;
        // After the write, so that a rollback has something to undo.
        match poison {
            Some(Poison::Refuse) => Err(ApplyError::Poisoned("poison".to_owned())),
            _ => Ok(()),
        }
    }
}

pub struct World {
    pub teller: Store,
    pub hearer: Store,
    pub clock: Clock,
    pub readers: Arc<Readers>,
    pub ears: Arc<Ears>,
    pub ownership: watch::Sender<Ownership>,
    _keep: Vec<testing::Private>,
}

pub fn call() -> Call {
    Call::new(Caller::module("test"), Deadline::within(Duration::from_secs(30)))
}

/// A call of somebody who does not expect to see the end.
pub fn shortly() -> Call {
    Call::new(Caller::module("test"), Deadline::within(Duration::from_millis(30)))
}

/// A world on each database that is there, with clocks that stand still.
pub fn worlds() -> Vec<World> {
    let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
    let tellers = testing::both_at(&MIGRATIONS, "teller", &clock);
    let hearers = testing::both_at(&MIGRATIONS, "hearer", &clock);
    let pairs = tellers.into_iter().zip(hearers);
    pairs
        .map(|((teller, one), (hearer, other))| World {
            teller,
            hearer,
            clock: clock.clone(),
            readers: Arc::default(),
            ears: Arc::default(),
            ownership: watch::Sender::new(Ownership::Here { epoch: 1 }),
            _keep: vec![one, other],
        })
        .collect()
}

/// Short in what takes real time; waits between tries are the clock's.
pub fn limits() -> Limits {
    Limits {
        batch: 64,
        poll: Duration::from_millis(10),
        attempts_max: 4,
        wait_min: Duration::from_secs(10),
        wait_max: Duration::from_secs(1000),
        ..Limits::default()
    }
}

impl World {
    pub fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(LocalFeed::new(self.teller.clone(), Arc::clone(&self.readers)))
    }

    pub fn subscribe(&self) -> Subscription {
        self.subscribe_to(self.feed(), limits())
    }

    pub fn subscribe_to(&self, feed: Arc<dyn Feed>, limits: Limits) -> Subscription {
        let config = SubscriberConfig { limits, ..SubscriberConfig::new(NAME) };
        let handler = Arc::clone(&self.ears);
        let (store, ownership) = (self.hearer.clone(), self.ownership.subscribe());
        events::subscribe(config, store, feed, handler, ownership)
    }

    /// Tells one value of each key in one transaction, and gives positions to what was told.
    pub async fn tell(&self, keys: &[&str], value: i64) {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let call = call();
        let told = self.teller.write::<_, Never>(&call, move |tx| {
            for key in &keys {
                tx.emit(&Counted { key: key.clone(), value })?;
            }
            Ok(())
        });
        told.await.unwrap();
        self.teller.sequence(&crate::world::call(), 10_000).await.unwrap();
    }

    /// What was heard: per key the last value and how many.
    pub async fn heard(&self) -> BTreeMap<String, (i64, i64)> {
        let rows: Vec<(String, i64, i64)> = self
            .hearer
            .read::<_, Never>(&call(), |c| Ok(on!(c, |c| heard::table.load(c))?))
            .await
            .unwrap();
        rows.into_iter().map(|(key, last, count)| (key, (last, count))).collect()
    }

    pub async fn hears(&self, wanted: &[(&str, (i64, i64))]) {
        let wanted: BTreeMap<_, _> =
            wanted.iter().map(|(key, heard)| ((*key).to_owned(), *heard)).collect();
        eventually(async || {
            let heard = self.heard().await;
            if heard == wanted { Ok(()) } else { Err(format!("{heard:?}, not {wanted:?}")) }
        })
        .await;
    }

    pub async fn letters(&self) -> Vec<Letter> {
        let filter = LetterFilter::default();
        letters::list(&self.hearer, &call(), filter, PageRequest::default()).await.unwrap().items
    }

    pub fn poison(&self, key: &str, value: i64, how: Poison) {
        self.ears.poison.lock().unwrap().insert((key.to_owned(), value), how);
    }

    pub fn heal(&self) {
        self.ears.poison.lock().unwrap().clear();
    }

    pub async fn status(&self) -> Status {
        let all = events::status(&self.hearer, &call()).await.unwrap();
        all.into_iter().find(|status| status.subscription == NAME).unwrap()
    }

    pub async fn stands(&self, what: &str, is: impl Fn(&Status) -> bool) -> Status {
        eventually(async || {
            let all = events::status(&self.hearer, &call()).await.unwrap();
            match all.into_iter().find(|status| status.subscription == NAME) {
                Some(status) if is(&status) => Ok(status),
                other => Err(format!("not {what}: {other:?}")),
            }
        })
        .await
    }
}

/// Waits, within a bound, until a condition holds.
pub async fn eventually<T>(mut holds: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Deadline::within(Duration::from_secs(20));
    loop {
        match holds().await {
            Ok(done) => return done,
            Err(why) => assert!(!deadline.passed(), "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
