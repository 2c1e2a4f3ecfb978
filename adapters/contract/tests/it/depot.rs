//! A small module with a contract: a depot from which goods are taken.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use contract::{
    Answer, Call, Caller, Command, Deadline, Fault, Never, NotExecuted, Reason, async_trait,
    contract,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// A depot from which goods are taken.
#[contract("depot")]
pub trait Depot: Send + Sync + 'static {
    /// How much there is of it.
    #[query]
    async fn stock(&self, call: &Call, sku: String) -> Answer<u32, StockError>;
    /// Takes some of it.
    #[command]
    async fn take(&self, command: &Command, wish: Take) -> Answer<Taken, TakeError>;
    /// What arrived beside the argument.
    #[command]
    async fn sign(&self, command: &Command, note: String) -> Answer<Seen, Never>;
    /// Does nothing, and gives back nothing.
    #[query]
    async fn nothing(&self, call: &Call, _nothing: ()) -> Answer<(), Never>;
    /// Is not executed, for this reason.
    #[query]
    async fn refuse(&self, call: &Call, reason: String) -> Answer<(), Never>;
    /// Comes back when the test lets it.
    #[command]
    async fn wait(&self, command: &Command, _nothing: ()) -> Answer<(), Never>;
    /// So many bytes.
    #[query]
    async fn bytes(&self, call: &Call, count: usize) -> Answer<String, Never>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Take {
    pub sku: String,
    pub quantity: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    pub left: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    pub caller: String,
    pub trace: String,
    pub key: String,
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum StockError {
    Unlisted { sku: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum TakeError {
    Short { left: u32 },
}

/// The module itself, with its idempotency in memory.
pub struct Service {
    books: Mutex<Books>,
    /// Calls that reached a method.
    pub arrived: AtomicUsize,
    /// `wait` takes one of these.
    pub go: Semaphore,
}

struct Books {
    stock: BTreeMap<String, u32>,
    answers: HashMap<String, (Take, Answer<Taken, TakeError>)>,
}

impl Service {
    pub fn new() -> Arc<Self> {
        let stock = BTreeMap::from([("TEAPOT".to_owned(), 100)]);
        Arc::new(Self {
            books: Mutex::new(Books { stock, answers: HashMap::new() }),
            arrived: AtomicUsize::new(0),
            go: Semaphore::new(0),
        })
    }

    pub fn left(&self, sku: &str) -> u32 {
        self.books.lock().unwrap().stock[sku]
    }

    pub fn arrived(&self) -> usize {
        self.arrived.load(Ordering::SeqCst)
    }

    fn arrive(&self) {
        self.arrived.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Depot for Service {
    async fn stock(&self, _call: &Call, sku: String) -> Answer<u32, StockError> {
        self.arrive();
        let found = self.books.lock().unwrap().stock.get(&sku).copied();
        found.ok_or(Fault::Refused(StockError::Unlisted { sku }))
    }

    async fn take(&self, command: &Command, wish: Take) -> Answer<Taken, TakeError> {
        self.arrive();
        let mut books = self.books.lock().unwrap();
        let key = format!("{} {}", command.caller, command.key);
        if let Some((before, answer)) = books.answers.get(&key) {
            let same = *before == wish;
            let reused = Fault::not_executed(Reason::KeyReused, "with another request");
            return if same { answer.clone() } else { Err(reused) };
        }
        let left = books.stock.get_mut(&wish.sku).expect("the tests take what is listed");
        let answer = match left.checked_sub(wish.quantity) {
            Some(rest) => {
                *left = rest;
                Ok(Taken { left: rest })
            }
            None => Err(Fault::Refused(TakeError::Short { left: *left })),
        };
        books.answers.insert(key, (wish, answer.clone()));
        answer
    }

    async fn sign(&self, command: &Command, note: String) -> Answer<Seen, Never> {
        self.arrive();
        Ok(Seen {
            caller: command.caller.to_string(),
            trace: command.trace.trace_id(),
            key: command.key.to_string(),
            note,
        })
    }

    async fn nothing(&self, _call: &Call, _nothing: ()) -> Answer<(), Never> {
        self.arrive();
        Ok(())
    }

    async fn refuse(&self, _call: &Call, reason: String) -> Answer<(), Never> {
        self.arrive();
        let reason = serde_json::from_value(reason.into()).unwrap();
        Err(NotExecuted::new(reason, "as told").after(Duration::from_millis(7)).into())
    }

    async fn wait(&self, _command: &Command, _nothing: ()) -> Answer<(), Never> {
        self.arrive();
        self.go.acquire().await.unwrap().forget();
        Ok(())
    }

    async fn bytes(&self, _call: &Call, count: usize) -> Answer<String, Never> {
        self.arrive();
        Ok("x".repeat(count))
    }
}

/// A call of the shop's with plenty of time.
pub fn call() -> Call {
    Call::new(Caller::module("shop"), Deadline::within(Duration::from_secs(20)))
}

/// The same as a command.
pub fn command(key: &str) -> Command {
    call().command(key.parse().unwrap())
}

pub fn take(quantity: u32) -> Take {
    Take { sku: "TEAPOT".to_owned(), quantity }
}

/// The reason why nothing was done; anything else fails the test.
pub fn reason<T: std::fmt::Debug, R: std::fmt::Debug>(answer: Answer<T, R>) -> Reason {
    match answer {
        Err(Fault::NotExecuted(fault)) => fault.reason,
        other => panic!("{other:?} was to be not executed"),
    }
}

/// Waits until `condition` holds; 10 s are an eternity for what happens here.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain until {what}");
}
