//! Payments in memory, for the tests of modules that pay: keeps the sums and the keys, has no ledger and no workers.
//!
//! Tokens: `tok_decline` is declined; `tok_timeout` ends in `Unknown` the first time, having had its effect;
//! `tok_timeout_lost` the same without effect; any other token is approved.

use std::{
    collections::{BTreeMap, btree_map},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use contract::{Answer, Call, Command, Fault, Never, Reason};
use kernel_api::{Clock, Exact, Id, Money, Page, PageRequest};

use crate::{
    Account, Audit, AuditWanted, Authorise, AuthoriseError, Balance, Balances, BalancesWanted,
    Capture, CaptureError, Credit, CreditError, Entry, History, HistoryRecord, ImportError,
    Imported, Operation, OperationKind, Order, Outcome, Payment, PaymentDetail, PaymentError,
    PaymentKind, PaymentState, Payments, Receipt, RefundError, RefundPayment, Void, VoidError,
};

/// Payments in memory.
#[derive(Debug)]
pub struct FakePayments {
    clock: Clock,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    payments: BTreeMap<Id<Payment>, PaymentDetail>,
    /// By caller, operation and key: the request as JSON, and the receipt or the provider's no.
    done: BTreeMap<String, (String, Result<Receipt, String>)>,
    /// Keys that have ended in `Unknown` once.
    unknown: Vec<String>,
}

/// What is to be done, in one shape for all operations.
struct Step<'a> {
    key: String,
    request: String,
    payment: Id<Payment>,
    kind: OperationKind,
    amount: Money,
    token: &'a str,
}

impl FakePayments {
    /// No payments yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, book: Mutex::default() }
    }

    /// The payments as they stand.
    pub fn all(&self) -> Vec<Payment> {
        self.book().payments.values().map(|detail| detail.payment.clone()).collect()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a known key; otherwise lets `check` refuse, then plays the token, and books the step.
    fn run<R>(
        &self,
        step: Step<'_>,
        check: impl FnOnce(&mut Book) -> Result<(), R>,
        declined: impl Fn(String) -> R,
    ) -> Answer<Receipt, R> {
        let mut book = self.book();
        if let Some((request, receipt)) = book.done.get(&step.key) {
            if *request != step.request {
                return Err(Fault::not_executed(Reason::KeyReused, step.key));
            }
            return receipt.clone().map_err(|reason| Fault::Refused(declined(reason)));
        }
        check(&mut book).map_err(Fault::Refused)?;
        let first = !book.unknown.contains(&step.key);
        if first && step.token == "tok_timeout_lost" {
            book.unknown.push(step.key);
            return Err(Fault::unknown("the provider did not answer"));
        }
        let answer = self.settle(&mut book, &step);
        if first && step.token == "tok_timeout" {
            book.unknown.push(step.key);
            return Err(Fault::unknown("the provider did not answer"));
        }
        answer.map_err(|reason| Fault::Refused(declined(reason)))
    }

    fn settle(&self, book: &mut Book, step: &Step<'_>) -> Result<Receipt, String> {
        let at = self.clock.now();
        let reference = format!("fake-{}", book.done.len());
        let receipt = Receipt {
            payment: step.payment,
            operation: step.kind,
            amount: step.amount,
            reference: reference.clone(),
            at,
        };
        let answer = match step.token {
            "tok_decline" => Err("declined by the issuer".to_owned()),
            _ => Ok(receipt),
        };
        book.done.insert(step.key.clone(), (step.request.clone(), answer.clone()));
        if let Some(detail) = book.payments.get_mut(&step.payment) {
            let (amount, payment) = (step.amount.minor, &mut detail.payment);
            let outcome = match &answer {
                Ok(_receipt) => Outcome::Done,
                Err(reason) => Outcome::Declined { reason: reason.clone() },
            };
            match (step.kind, &answer) {
                (OperationKind::Authorise, Ok(_)) => payment.authorised.minor += amount,
                (OperationKind::Capture, Ok(_)) => payment.captured.minor += amount,
                (OperationKind::Void, Ok(_)) => payment.voided.minor += amount,
                (OperationKind::Refund | OperationKind::Credit, Ok(_)) => {
                    payment.refunded.minor += amount;
                }
                (_, Err(_)) => {}
            }
            payment.state = state(payment);
            let (refund, reason) = (None, None);
            let (kind, amount) = (step.kind, step.amount);
            detail.history.push(Operation { kind, amount, outcome, reference, refund, reason, at });
        }
        answer
    }

    fn blank(
        &self,
        id: Id<Payment>,
        kind: PaymentKind,
        order: Option<Id<Order>>,
        amount: Money,
    ) -> PaymentDetail {
        let zero = Money::zero(amount.currency);
        let payment = Payment {
            id,
            kind,
            order,
            state: PaymentState::Pending,
            amount,
            authorised: zero,
            captured: zero,
            voided: zero,
            refunded: zero,
            pending: None,
            history: false,
            created_at: self.clock.now(),
        };
        PaymentDetail { payment, history: Vec::new() }
    }
}

fn state(payment: &Payment) -> PaymentState {
    let left = payment.authorised.minor - payment.captured.minor - payment.voided.minor;
    match payment.kind {
        PaymentKind::Credit if payment.refunded.minor > 0 => PaymentState::Credited,
        PaymentKind::Credit => PaymentState::Declined,
        PaymentKind::Charge if payment.authorised.minor == 0 => PaymentState::Declined,
        PaymentKind::Charge if payment.refunded.minor > 0 => {
            if payment.refunded.minor == payment.captured.minor {
                PaymentState::Refunded
            } else {
                PaymentState::PartlyRefunded
            }
        }
        PaymentKind::Charge if payment.captured.minor > 0 && left > 0 => {
            PaymentState::PartlyCaptured
        }
        PaymentKind::Charge if payment.captured.minor > 0 => PaymentState::Captured,
        PaymentKind::Charge if left > 0 => PaymentState::Authorised,
        PaymentKind::Charge => PaymentState::Voided,
    }
}

fn key(command: &Command, operation: &str) -> String {
    format!("{} {operation} {}", command.caller, command.key)
}

fn json(request: &impl serde::Serialize) -> String {
    serde_json::to_string(request).expect("requests are plain data")
}

#[async_trait]
impl Payments for FakePayments {
    async fn payment(&self, _call: &Call, id: Id<Payment>) -> Answer<PaymentDetail, PaymentError> {
        let found = self.book().payments.get(&id).cloned();
        found.ok_or(Fault::Refused(PaymentError::NoSuchPayment))
    }

    async fn payments(&self, _call: &Call, page: PageRequest) -> Answer<Page<Payment>, Never> {
        let after = page.after.clone().unwrap_or_default();
        let rows = self.all().into_iter().filter(|payment| payment.id.to_string() > after);
        Ok(Page::of(rows.collect(), page.limit(), |payment| payment.id.to_string()))
    }

    async fn balances(&self, _call: &Call, wanted: BalancesWanted) -> Answer<Balances, Never> {
        let mut accounts = Vec::<Balance>::new();
        for payment in self.all() {
            let currency = payment.amount.currency;
            if wanted.currency.is_some_and(|wanted| wanted != currency) {
                continue;
            }
            let clearing = payment.captured.minor - payment.refunded.minor;
            for (account, minor) in
                [(Account::ProviderClearing, clearing), (Account::Receivable, -clearing)]
            {
                let amount = Exact::from(Money::new(minor, currency));
                let known = accounts.iter_mut().find(|balance| {
                    balance.account == account && balance.balance.currency == currency
                });
                match known {
                    Some(balance) => balance.balance.micros += amount.micros,
                    None => accounts.push(Balance { account, balance: amount }),
                }
            }
        }
        Ok(Balances { accounts, net: Vec::new() })
    }

    async fn entries(&self, _call: &Call, _page: PageRequest) -> Answer<Page<Entry>, Never> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn audit(&self, _call: &Call, _wanted: AuditWanted) -> Answer<Audit, Never> {
        let (unbalanced, differences, receivables) = (Vec::new(), Vec::new(), Vec::new());
        let payments = u64::try_from(self.all().len()).unwrap_or(u64::MAX);
        Ok(Audit { payments, pending: 0, entries: 0, unbalanced, differences, receivables })
    }

    async fn authorise(
        &self,
        command: &Command,
        wish: Authorise,
    ) -> Answer<Receipt, AuthoriseError> {
        let blank = self.blank(wish.payment, PaymentKind::Charge, Some(wish.order), wish.amount);
        let (key, request) = (key(command, "authorise"), json(&wish));
        let (kind, token) = (OperationKind::Authorise, wish.token.as_str());
        let step = Step { key, request, payment: wish.payment, kind, amount: wish.amount, token };
        let retried = self.book().unknown.contains(&step.key);
        self.run(
            step,
            |book| match () {
                () if wish.amount.minor <= 0 => Err(AuthoriseError::BadAmount),
                () if book.payments.contains_key(&wish.payment) && !retried => {
                    Err(AuthoriseError::PaymentExists)
                }
                () => {
                    book.payments.entry(wish.payment).or_insert(blank);
                    Ok(())
                }
            },
            |reason| AuthoriseError::Declined { reason },
        )
    }

    async fn capture(&self, command: &Command, wish: Capture) -> Answer<Receipt, CaptureError> {
        let (key, request) = (key(command, "capture"), json(&wish));
        let kind = OperationKind::Capture;
        let step =
            Step { key, request, payment: wish.payment, kind, amount: wish.amount, token: "" };
        self.run(
            step,
            |book| {
                let payment = find(book, wish.payment).ok_or(CaptureError::NoSuchPayment)?;
                let left = left_to_capture(payment);
                match () {
                    () if left.minor == 0 => Err(CaptureError::WrongState { state: payment.state }),
                    () if wish.amount.minor <= 0 => Err(CaptureError::BadAmount),
                    () if wish.amount.minor > left.minor => Err(CaptureError::TooMuch { left }),
                    () => Ok(()),
                }
            },
            |reason| CaptureError::Declined { reason },
        )
    }

    async fn void(&self, command: &Command, wish: Void) -> Answer<Receipt, VoidError> {
        let (key, request) = (key(command, "void"), json(&wish));
        let left = find(&mut self.book(), wish.payment).map(left_to_capture);
        let amount = wish.amount.or(left).ok_or(Fault::Refused(VoidError::NoSuchPayment))?;
        let kind = OperationKind::Void;
        let step = Step { key, request, payment: wish.payment, kind, amount, token: "" };
        self.run(
            step,
            |book| {
                let payment = find(book, wish.payment).ok_or(VoidError::NoSuchPayment)?;
                let left = left_to_capture(payment);
                match () {
                    () if left.minor == 0 => Err(VoidError::WrongState { state: payment.state }),
                    () if amount.minor <= 0 => Err(VoidError::BadAmount),
                    () if amount.minor > left.minor => Err(VoidError::TooMuch { left }),
                    () => Ok(()),
                }
            },
            |reason| VoidError::Declined { reason },
        )
    }

    async fn refund(&self, command: &Command, wish: RefundPayment) -> Answer<Receipt, RefundError> {
        let (key, request) = (key(command, "refund"), json(&wish));
        let kind = OperationKind::Refund;
        let step =
            Step { key, request, payment: wish.payment, kind, amount: wish.amount, token: "" };
        self.run(
            step,
            |book| {
                let payment = find(book, wish.payment).ok_or(RefundError::NoSuchPayment)?;
                let left = payment.captured.minor - payment.refunded.minor;
                let left = Money::new(left, payment.amount.currency);
                match () {
                    () if left.minor == 0 => Err(RefundError::WrongState { state: payment.state }),
                    () if wish.amount.minor <= 0 => Err(RefundError::BadAmount),
                    () if wish.amount.minor > left.minor => Err(RefundError::TooMuch { left }),
                    () => Ok(()),
                }
            },
            |reason| RefundError::Declined { reason },
        )
    }

    async fn credit(&self, command: &Command, wish: Credit) -> Answer<Receipt, CreditError> {
        let blank = self.blank(wish.credit, PaymentKind::Credit, None, wish.amount);
        let (key, request) = (key(command, "credit"), json(&wish));
        let token = wish.token.as_ref().map_or("", |token| token.as_str());
        let kind = OperationKind::Credit;
        let step = Step { key, request, payment: wish.credit, kind, amount: wish.amount, token };
        let retried = self.book().unknown.contains(&step.key);
        self.run(
            step,
            |book| match () {
                () if wish.amount.minor <= 0 => Err(CreditError::BadAmount),
                () if book.payments.contains_key(&wish.credit) && !retried => {
                    Err(CreditError::CreditExists)
                }
                () => {
                    book.payments.entry(wish.credit).or_insert(blank);
                    Ok(())
                }
            },
            |reason| CreditError::Declined { reason },
        )
    }

    async fn import(&self, _command: &Command, history: History) -> Answer<Imported, ImportError> {
        let mut imported = Imported::default();
        for record in history.records {
            let (id, kind, order, amount) = match record {
                HistoryRecord::Charge { payment, order, amount, .. } => {
                    (payment, PaymentKind::Charge, Some(order), amount)
                }
                HistoryRecord::Credit { credit, amount, .. } => {
                    (credit, PaymentKind::Credit, None, amount)
                }
                HistoryRecord::Refund { .. } => continue,
            };
            let mut detail = self.blank(id, kind, order, amount);
            detail.payment.history = true;
            match kind {
                PaymentKind::Charge => {
                    (detail.payment.authorised, detail.payment.captured) = (amount, amount);
                    detail.payment.state = PaymentState::Captured;
                }
                PaymentKind::Credit => {
                    detail.payment.refunded = amount;
                    detail.payment.state = PaymentState::Credited;
                }
            }
            match self.book().payments.entry(id) {
                btree_map::Entry::Occupied(_known) => imported.known += 1,
                btree_map::Entry::Vacant(place) => {
                    place.insert(detail);
                    imported.booked += 1;
                }
            }
        }
        Ok(imported)
    }
}

fn find(book: &mut Book, id: Id<Payment>) -> Option<&Payment> {
    book.payments.get(&id).map(|detail| &detail.payment)
}

fn left_to_capture(payment: &Payment) -> Money {
    let left = payment.authorised.minor - payment.captured.minor - payment.voided.minor;
    Money::new(left, payment.amount.currency)
}
