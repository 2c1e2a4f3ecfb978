//! The contract on real databases: SQLite always, PostgreSQL where a server is there.

mod books;
mod http;
mod imports;
mod keys;
mod pending;
mod random;
mod sums;
mod tokens;
mod workers;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ::store::{Store, testing};
use async_trait::async_trait;
use contract::{Answer, Call, Caller, Command, Deadline, Fault};
use kernel_api::{Clock, Currency, Id, Money, Timestamp};
use payments_api::{
    Audit, AuditWanted, Authorise, AuthoriseError, Capture, CaptureError, Outcome, Payment,
    PaymentDetail, Payments, Receipt, RefundError, RefundPayment, Void, VoidError,
};
use tokio::sync::mpsc;

use crate::{
    provider::{Ask, NoAnswer, Notice, Provider, Simulated},
    service::{Patience, Service},
    start::MIGRATIONS,
};

/// How long a test's provider may take: long enough for a busy machine to answer, short enough to wait for silence.
const ANSWER: Duration = Duration::from_millis(150);

/// How long an intent is left alone by the resolver.
const AGAIN: Duration = Duration::from_secs(10);

/// A provider that remembers what it was asked and what it answered.
pub(crate) struct Watched {
    inner: Simulated,
    pub asked: Mutex<Vec<Ask>>,
    pub answered: Mutex<Vec<(Ask, Outcome)>>,
}

#[async_trait]
impl Provider for Watched {
    async fn ask(&self, ask: &Ask) -> Result<Outcome, NoAnswer> {
        self.asked.lock().unwrap().push(ask.clone());
        let outcome = self.inner.ask(ask).await?;
        self.answered.lock().unwrap().push((ask.clone(), outcome.clone()));
        Ok(outcome)
    }
}

impl Watched {
    /// How many different effects it had: references that it said yes to.
    pub fn effects(&self) -> usize {
        let answered = self.answered.lock().unwrap();
        let mut references: Vec<_> = answered
            .iter()
            .filter(|(_, outcome)| *outcome == Outcome::Done)
            .map(|(ask, _)| ask.reference.clone())
            .collect();
        references.sort_unstable();
        references.dedup();
        references.len()
    }
}

/// The module on one database.
pub(crate) struct Shop {
    pub store: Store,
    pub clock: Clock,
    pub provider: Arc<Watched>,
    pub service: Service,
    pub notices: Mutex<mpsc::Receiver<Notice>>,
    _private: Option<testing::Private>,
}

/// The module on each database that is there.
pub(crate) fn shops() -> Vec<Shop> {
    let clock = Clock::manual(Timestamp::from_micros(1_300_000_000_000_000));
    testing::both_at(&MIGRATIONS, "payments", &clock)
        .into_iter()
        .map(|(store, private)| Shop::on(store, clock.clone(), Some(private)))
        .collect()
}

impl Shop {
    fn on(store: Store, clock: Clock, private: Option<testing::Private>) -> Self {
        let (sender, notices) = mpsc::channel(8);
        let inner = Simulated::new(store.clone(), Duration::from_millis(5), sender);
        let provider =
            Arc::new(Watched { inner, asked: Mutex::default(), answered: Mutex::default() });
        let patience = Patience { answer: ANSWER, again: AGAIN };
        let service = Service::new(store.clone(), Arc::<Watched>::clone(&provider), patience);
        Self { store, clock, provider, service, notices: Mutex::new(notices), _private: private }
    }

    /// Another process on the same data: nothing in memory is carried over.
    pub fn restarted(&self) -> Self {
        Self::on(self.store.clone(), self.clock.clone(), None)
    }

    pub async fn authorise(
        &self,
        key: &str,
        payment: Id<Payment>,
        minor: i64,
        token: &str,
    ) -> Answer<Receipt, AuthoriseError> {
        let token = token.parse().unwrap();
        let wish = Authorise { payment, order: payment.cast(), amount: gbp(minor), token };
        self.service.authorise(&command(key), wish).await
    }

    pub async fn capture(
        &self,
        key: &str,
        payment: Id<Payment>,
        minor: i64,
    ) -> Answer<Receipt, CaptureError> {
        self.service.capture(&command(key), Capture { payment, amount: gbp(minor) }).await
    }

    pub async fn void(
        &self,
        key: &str,
        payment: Id<Payment>,
        minor: Option<i64>,
    ) -> Answer<Receipt, VoidError> {
        self.service.void(&command(key), Void { payment, amount: minor.map(gbp) }).await
    }

    pub async fn refund(
        &self,
        key: &str,
        payment: Id<Payment>,
        minor: i64,
    ) -> Answer<Receipt, RefundError> {
        let (refund, reason) = (Id::fresh(), "returned".parse().unwrap());
        let wish = RefundPayment { payment, refund, amount: gbp(minor), reason };
        self.service.refund(&command(key), wish).await
    }

    /// A payment with this much captured.
    pub async fn paid(&self, minor: i64) -> Id<Payment> {
        let payment = Id::fresh();
        let key = payment.to_string();
        self.authorise(&key, payment, minor, "tok_approve").await.unwrap();
        self.capture(&key, payment, minor).await.unwrap();
        payment
    }

    pub async fn detail(&self, payment: Id<Payment>) -> PaymentDetail {
        self.service.payment(&call(), payment).await.unwrap()
    }

    pub async fn audited(&self) -> Audit {
        self.service.audit(&call(), AuditWanted::default()).await.unwrap()
    }

    /// The ledger agrees with the payments.
    pub async fn assert_clean(&self) {
        let audit = self.audited().await;
        assert_eq!((audit.unbalanced.len(), audit.differences.len()), (0, 0), "{audit:?}");
    }
}

pub(crate) fn gbp(minor: i64) -> Money {
    Money::new(minor, Currency::GBP)
}

pub(crate) fn call() -> Call {
    Call::new(Caller::module("ordering"), Deadline::within(Duration::from_secs(20)))
}

pub(crate) fn command(key: &str) -> Command {
    call().command(key.parse().unwrap())
}

pub(crate) fn is_unknown<T: std::fmt::Debug, R: std::fmt::Debug>(answer: &Answer<T, R>) -> bool {
    matches!(answer, Err(Fault::Unknown(_)))
}
