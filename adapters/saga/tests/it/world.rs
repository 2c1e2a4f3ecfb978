//! A saga to test with, and a world outside its module that answers as it is told.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contract::{Call, Caller, Deadline, Never, NotExecuted, Ownership, Reason, Unknown};
use diesel::prelude::*;
use kernel_api::{Clock, Timestamp};
use saga::{Acted, ApplyError, Definition, Limits, Progress, Runner, SagaId, Transition, Turn};
use serde::{Deserialize, Serialize};
use store::{EmbeddedMigrations, Migrations, Store, Tx, embed_migrations, on, testing};
use tokio::sync::{Notify, watch};

pub const MIGRATIONS: Migrations = Migrations { sqlite: SQLITE, postgres: POSTGRES };
const SQLITE: EmbeddedMigrations = embed_migrations!("tests/migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("tests/migrations/postgres");

diesel::table! {
    effect (saga, what) {
        saga -> Text,
        what -> Text,
    }
}

/// Takes a thing, pays for it; gives it back when it cannot pay.
pub struct Purchase(pub Arc<Outside>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Take,
    Pay,
    GiveBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Yes,
    No,
    Later,
}

/// How the outside meets one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    Says(Said),
    /// Does not do it, and says so.
    Away,
    /// Does it, and the answer is lost.
    DoneButLost,
    /// Does not do it, and no answer comes.
    Lost,
    /// Never answers.
    Hangs,
    /// Does it and never answers.
    DoneThenHangs,
    Panics,
    /// Says that the key was used for something else.
    Confused,
}

/// The other modules, idempotent by key as they all are.
#[derive(Default)]
pub struct Outside {
    pub script: Mutex<VecDeque<Meets>>,
    /// What was really done, by key, and what was answered to it.
    pub done: Mutex<BTreeMap<String, Said>>,
    /// Every call, by its key.
    pub calls: Mutex<Vec<String>>,
    /// How an effect is refused by the module's own rows.
    pub forbidden: Mutex<HashMap<SagaId, &'static str>>,
    pub hanging: Notify,
}

impl Outside {
    pub fn will(&self, meets: &[Meets]) {
        self.script.lock().unwrap().extend(meets);
    }

    fn execute(&self, key: &str, said: Said) -> Said {
        *self.done.lock().unwrap().entry(key.to_owned()).or_insert(said)
    }

    async fn ask(&self, key: &str) -> Acted<Said> {
        self.calls.lock().unwrap().push(key.to_owned());
        let meets = self.script.lock().unwrap().pop_front().unwrap_or(Meets::Says(Said::Yes));
        let kept = self.done.lock().unwrap().get(key).copied();
        match meets {
            // "Later" is not kept: nothing was done yet.
            Meets::Says(Said::Later) => Acted::Known(kept.unwrap_or(Said::Later)),
            Meets::Says(said) => Acted::Known(self.execute(key, said)),
            Meets::Away => Acted::NotExecuted(NotExecuted::new(Reason::Unavailable, "away")),
            Meets::Confused => Acted::NotExecuted(NotExecuted::new(Reason::KeyReused, "confused")),
            Meets::DoneButLost => {
                self.execute(key, Said::Yes);
                Acted::Unknown(Unknown { detail: "lost".to_owned() })
            }
            Meets::Lost => Acted::Unknown(Unknown { detail: "lost".to_owned() }),
            Meets::Hangs | Meets::DoneThenHangs => {
                if meets == Meets::DoneThenHangs {
                    self.execute(key, Said::Yes);
                }
                self.hanging.notify_one();
                std::future::pending().await
            }
            Meets::Panics => panic!("a step to panic in"),
        }
    }

    /// Was the step of this saga really done?
    pub fn did(&self, saga: SagaId, step: &str) -> bool {
        self.done.lock().unwrap().get(&format!("{saga}:{step}")) == Some(&Said::Yes)
    }
}

#[async_trait]
impl Definition for Purchase {
    const KIND: &'static str = "test.purchase";
    const VERSION: u32 = 2;
    type State = Stage;
    type Outcome = Said;

    fn step(state: &Stage) -> Cow<'static, str> {
        Cow::Borrowed(match state {
            Stage::Take => "take",
            Stage::Pay => "pay",
            Stage::GiveBack => "give-back",
        })
    }

    fn next(state: &Stage, outcome: &Said) -> Transition<Stage> {
        match (state, outcome) {
            (_, Said::Later) => Transition::Again { reason: "later".to_owned() },
            (Stage::Take, Said::Yes) => Transition::Go(Stage::Pay),
            (Stage::Take, Said::No) => Transition::Compensated(Stage::Take),
            (Stage::Pay, Said::Yes) => Transition::Done(Stage::Pay),
            (Stage::Pay, Said::No) => Transition::Go(Stage::GiveBack),
            (Stage::GiveBack, Said::Yes) => Transition::Compensated(Stage::GiveBack),
            (Stage::GiveBack, Said::No) => {
                Transition::Stuck { reason: "not taken back".to_owned() }
            }
        }
    }

    fn exhausted(state: &Stage, reason: &str) -> Transition<Stage> {
        match state {
            Stage::Take => Transition::Compensated(Stage::Take),
            Stage::Pay => Transition::Go(Stage::GiveBack),
            Stage::GiveBack => Transition::Stuck { reason: reason.to_owned() },
        }
    }

    fn compensation(state: &Stage) -> Option<Stage> {
        (*state != Stage::Take).then_some(Stage::GiveBack)
    }

    fn upgrade(version: u32, state: serde_json::Value) -> Result<Stage, String> {
        match (version, state.as_str()) {
            (1, Some("grab")) => Ok(Stage::Take),
            _ => Err(format!("{state} of version {version}")),
        }
    }

    async fn act(&self, turn: &Turn, _state: &Stage) -> Acted<Said> {
        self.0.ask(turn.command().key.as_str()).await
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        saga: SagaId,
        from: &Stage,
        transition: &Transition<Stage>,
    ) -> Result<(), ApplyError> {
        let what = match transition {
            Transition::Go(to) => format!("{from:?} to {to:?}"),
            Transition::Done(_) => "done".to_owned(),
            Transition::Compensated(_) => "compensated".to_owned(),
            Transition::Again { .. } | Transition::Stuck { .. } => return Ok(()),
        };
        let row = (effect::saga.eq(saga.to_string()), effect::what.eq(what));
        on!(tx.connection(), |c| diesel::insert_into(effect::table).values(row).execute(c))?;
        // After the write, so that a rollback has something to undo.
        match self.0.forbidden.lock().unwrap().get(&saga) {
            Some(why) => Err(ApplyError::Forbidden((*why).to_owned())),
            None => Ok(()),
        }
    }
}

pub struct World {
    pub store: Store,
    pub clock: Clock,
    pub outside: Arc<Outside>,
    pub ownership: watch::Sender<Ownership>,
    _keep: testing::Private,
}

/// Waits too short to leave the task, so that one drive sees a saga through.
pub fn limits() -> Limits {
    Limits {
        attempts_max: 4,
        wait_min: Duration::from_millis(1),
        wait_max: Duration::from_millis(4),
        poll: Duration::from_millis(10),
        step_timeout: Duration::from_secs(30),
        ..Limits::default()
    }
}

/// A world on each database that is there, with clocks that stand still.
pub fn worlds() -> Vec<World> {
    let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
    let stores = testing::both_at(&MIGRATIONS, "buyer", &clock);
    let world = |(store, keep)| World {
        store,
        clock: clock.clone(),
        outside: Arc::default(),
        ownership: watch::Sender::new(Ownership::Here { epoch: 1 }),
        _keep: keep,
    };
    stores.into_iter().map(world).collect()
}

pub fn call() -> Call {
    Call::new(Caller::module("test"), Deadline::within(Duration::from_secs(30)))
}

pub fn long() -> Deadline {
    Deadline::within(Duration::from_secs(20))
}

pub fn soon() -> Deadline {
    Deadline::within(Duration::from_millis(100))
}

pub async fn begin(runner: &Runner, store: &Store) -> SagaId {
    let (runner, id) = (runner.clone(), SagaId::fresh());
    let call = call();
    let started = store.write::<_, Never>(&call, move |tx| {
        Ok(runner.start_in::<Purchase>(tx, id, &Stage::Take)?)
    });
    started.await.unwrap();
    id
}

impl World {
    pub fn runner(&self) -> Runner {
        self.runner_with(limits())
    }

    pub fn runner_with(&self, limits: Limits) -> Runner {
        let definition = saga::definition(Purchase(Arc::clone(&self.outside)));
        Runner::new(self.store.clone(), limits, vec![definition])
    }

    pub async fn begin(&self, runner: &Runner) -> SagaId {
        begin(runner, &self.store).await
    }

    /// Starts one and sees it through.
    pub async fn buy(&self, runner: &Runner) -> (SagaId, Progress) {
        let id = self.begin(runner).await;
        (id, runner.drive(id, long()).await.unwrap())
    }

    /// What it has made true in the module's own tables.
    pub async fn effects(&self, saga: SagaId) -> Vec<String> {
        let mut found: Vec<String> = self
            .store
            .read::<_, Never>(&call(), move |c| {
                Ok(on!(c, |c| effect::table
                    .filter(effect::saga.eq(saga.to_string()))
                    .select(effect::what)
                    .load(c))?)
            })
            .await
            .unwrap();
        found.sort();
        found
    }
}

/// Waits, within a bound, until a condition holds.
pub async fn eventually<T>(mut holds: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = long();
    loop {
        match holds().await {
            Ok(done) => return done,
            Err(why) => assert!(!deadline.passed(), "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
