//! Payments that a test can make fail where the fake of its api crate cannot.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contract::{Answer, Call, Command, Deadline, Fault, Never, async_trait};
use kernel_api::{Clock, Money, Page, PageRequest};
use payments_api::{
    Audit, AuditWanted, Authorise, AuthoriseError, Balances, BalancesWanted, Capture, CaptureError,
    Credit, CreditError, Entry, History, ImportError, Imported, Payment, PaymentDetail,
    PaymentError, Payments, Receipt, RefundError, RefundPayment, Void, VoidError,
    fake::FakePayments,
};

/// The fake, with what a test wants to go wrong.
pub struct Moody {
    pub fake: Arc<FakePayments>,
    /// Inventory's clock: while an authorisation runs, an hour passes there.
    pub slow: AtomicBool,
    pub clock: Clock,
    /// Captures are declined.
    pub declines_captures: AtomicBool,
    /// An operator captures a penny by hand before each capture.
    pub captured_by_hand: AtomicBool,
    /// Refunds are declined.
    pub declines_refunds: AtomicBool,
    /// The next refund ends when this time is over, and nothing else is done meanwhile.
    pub holds_everything: Mutex<Option<Deadline>>,
}

impl Moody {
    pub fn new(clock: &Clock) -> Self {
        Self {
            fake: Arc::new(FakePayments::new(clock.clone())),
            slow: AtomicBool::new(false),
            clock: clock.clone(),
            declines_captures: AtomicBool::new(false),
            captured_by_hand: AtomicBool::new(false),
            declines_refunds: AtomicBool::new(false),
            holds_everything: Mutex::new(None),
        }
    }
}

fn declined() -> String {
    "not today".to_owned()
}

#[async_trait]
impl Payments for Moody {
    async fn payment(
        &self,
        call: &Call,
        which: kernel_api::Id<Payment>,
    ) -> Answer<PaymentDetail, PaymentError> {
        self.fake.payment(call, which).await
    }
    async fn payments(&self, call: &Call, page: PageRequest) -> Answer<Page<Payment>, Never> {
        self.fake.payments(call, page).await
    }
    async fn balances(&self, call: &Call, wanted: BalancesWanted) -> Answer<Balances, Never> {
        self.fake.balances(call, wanted).await
    }
    async fn entries(&self, call: &Call, page: PageRequest) -> Answer<Page<Entry>, Never> {
        self.fake.entries(call, page).await
    }
    async fn audit(&self, call: &Call, wanted: AuditWanted) -> Answer<Audit, Never> {
        self.fake.audit(call, wanted).await
    }
    async fn authorise(
        &self,
        command: &Command,
        wish: Authorise,
    ) -> Answer<Receipt, AuthoriseError> {
        if self.slow.load(Ordering::SeqCst) {
            self.clock.advance(Duration::from_secs(3600));
        }
        self.fake.authorise(command, wish).await
    }
    async fn capture(&self, command: &Command, wish: Capture) -> Answer<Receipt, CaptureError> {
        if self.declines_captures.load(Ordering::SeqCst) {
            return Err(Fault::Refused(CaptureError::Declined { reason: declined() }));
        }
        if self.captured_by_hand.load(Ordering::SeqCst) {
            let amount = Money::new(1, wish.amount.currency);
            let by_hand = command.call.clone().command("by-hand".parse().unwrap());
            self.fake.capture(&by_hand, Capture { amount, ..wish.clone() }).await?;
        }
        self.fake.capture(command, wish).await
    }
    async fn void(&self, command: &Command, wish: Void) -> Answer<Receipt, VoidError> {
        self.fake.void(command, wish).await
    }
    async fn refund(&self, command: &Command, wish: RefundPayment) -> Answer<Receipt, RefundError> {
        if self.declines_refunds.load(Ordering::SeqCst) {
            return Err(Fault::Refused(RefundError::Declined { reason: declined() }));
        }
        let held = self.holds_everything.lock().unwrap().take();
        if let Some(held) = held {
            // With the test's only thread, as a machine does that has too much to do.
            std::thread::sleep(held.remaining());
        }
        self.fake.refund(command, wish).await
    }
    async fn credit(&self, command: &Command, wish: Credit) -> Answer<Receipt, CreditError> {
        self.fake.credit(command, wish).await
    }
    async fn import(&self, command: &Command, history: History) -> Answer<Imported, ImportError> {
        self.fake.import(command, history).await
    }
}
