//! The checkout saga's calls and effects. Its table of transitions is `domain/checkout.rs`.

use std::{borrow::Cow, sync::Arc};

use contract::{Answer, Fault, NotExecuted, Reason, async_trait};
use inventory_api::{
    CommitError, HoldSeconds, Inventory, PutBack, ReleaseError, Reserve, ReserveError,
};
use kernel_api::{Bounded, Id, Money};
use ordering_api::{Cart, CheckoutFailure, LineKind, Order, Shortage};
use payments_api::{
    Authorise, AuthoriseError, Capture, CaptureError, PaymentDetail, PaymentError, PaymentState,
    Payments, RefundError, RefundPayment, RefundReason, Void, VoidError,
};
use saga::{Acted, ApplyError, Definition, SagaId, Transition, Turn};

use ::store::{Store, Tx};

use super::{
    placing::{forbidden, give_up, pay, place},
    settling::unread,
    stock::line,
};
use crate::{
    domain::checkout::{self, Outcome, State, Step},
    store::{self, CartRow},
};

/// How many shortages a failed checkout tells of: enough to mend a cart, and a bound on the saga's row.
const SHORTAGES_MAX: usize = 50;

/// What a checkout asks, and whom.
pub(super) struct CheckoutSaga {
    pub store: Store,
    pub inventory: Arc<dyn Inventory>,
    pub payments: Arc<dyn Payments>,
    pub hold: HoldSeconds,
}

#[async_trait]
impl Definition for CheckoutSaga {
    const KIND: &'static str = "ordering.checkout";
    const VERSION: u32 = 1;
    type State = State;
    type Outcome = Outcome;

    fn step(state: &State) -> Cow<'static, str> {
        state.name().into()
    }

    fn next(state: &State, outcome: &Outcome) -> Transition<State> {
        checkout::next(state, outcome)
    }

    fn exhausted(state: &State, reason: &str) -> Transition<State> {
        state.exhausted(reason)
    }

    fn compensation(state: &State) -> Option<State> {
        state.abandon()
    }

    async fn act(&self, turn: &Turn, state: &State) -> Acted<Outcome> {
        match &state.step {
            Step::Reserve { .. } => self.reserve(turn, state).await,
            Step::Authorise { token } => self.authorise(turn, state, token.as_deref()).await,
            Step::Commit => self.commit(turn).await,
            Step::Place => Acted::Known(Outcome::Done),
            Step::Capture => self.capture(turn, state).await,
            Step::Void { .. } => self.void(turn).await,
            Step::Refund { .. } => self.refund(turn).await,
            Step::Release { .. } => self.release(turn).await,
            Step::PutBack { .. } => self.put_back(turn, state).await,
            Step::Completed | Step::Failed { .. } => {
                Acted::Known(Outcome::Impossible("there is nothing left to do".to_owned()))
            }
        }
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        saga: SagaId,
        from: &State,
        transition: &Transition<State>,
    ) -> Result<(), ApplyError> {
        let order: Id<Order> = saga.cast();
        match transition {
            Transition::Go(to) => {
                if to.placed && !from.placed {
                    place(tx, order, from.cart, false)
                } else {
                    Ok(())
                }
            }
            Transition::Done(_) if from.placed => pay(tx, order),
            Transition::Done(_) => place(tx, order, from.cart, true),
            Transition::Compensated(to) => {
                if let (true, Step::Failed { failure }) = (from.placed, &to.step) {
                    give_up(tx, order, failure)?;
                }
                let reopened = store::reopen_cart(tx.connection(), from.cart, saga.cast())?;
                if reopened { Ok(()) } else { Err(forbidden("the cart is not at this checkout")) }
            }
            Transition::Again { .. } | Transition::Stuck { .. } => Ok(()),
        }
    }
}

impl CheckoutSaga {
    async fn cart(&self, turn: &Turn, id: Id<Cart>) -> Result<CartRow, NotExecuted> {
        let read: Answer<Option<CartRow>, contract::Never> =
            self.store.read(&turn.call, move |c| Ok(store::cart(c, id)?)).await;
        read.map_err(unread)?
            .ok_or_else(|| NotExecuted::new(Reason::Failed, "there is no such cart"))
    }

    /// The cart's products as inventory's lines.
    async fn lines(
        &self,
        turn: &Turn,
        cart: Id<Cart>,
    ) -> Result<Vec<inventory_api::Line>, NotExecuted> {
        let row = self.cart(turn, cart).await?;
        let lines = row
            .currency()
            .and_then(|currency| store::lines_from_text(&row.lines, currency))
            .map_err(|error| NotExecuted::new(Reason::Failed, error.to_string()))?;
        let goods = lines.iter().filter_map(|sold| match &sold.kind {
            LineKind::Goods { sku, .. } => Some(line(sku, sold.quantity)),
            LineKind::Service { .. } => None,
        });
        goods
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| NotExecuted::new(Reason::Failed, "a quantity is out of range"))
    }

    async fn reserve(&self, turn: &Turn, state: &State) -> Acted<Outcome> {
        let wish = self.lines(turn, state.cart).await.and_then(|lines| {
            Ok(Reserve {
                reservation: turn.saga.cast(),
                reference: reference("order", turn.saga)?,
                lines: bounded(lines)?,
                expires_in_s: self.hold,
            })
        });
        let wish = match wish {
            Ok(wish) => wish,
            Err(why) => return Acted::NotExecuted(why),
        };
        Acted::of(self.inventory.reserve(&turn.command(), wish).await, |done| match done {
            Ok(_reserved) => Outcome::Done,
            Err(ReserveError::OutOfStock { lines }) => {
                let shortages = lines
                    .into_iter()
                    .take(SHORTAGES_MAX)
                    .map(|short| {
                        let inventory_api::Shortage { sku, wanted, available, .. } = short;
                        Shortage { sku, wanted, available }
                    })
                    .collect();
                Outcome::Refused(CheckoutFailure::OutOfStock { shortages })
            }
            Err(refusal @ ReserveError::IdTaken) => Outcome::Impossible(refusal.to_string()),
        })
    }

    async fn authorise(&self, turn: &Turn, state: &State, token: Option<&str>) -> Acted<Outcome> {
        let Some(Ok(token)) = token.map(str::parse) else {
            // It was read before the checkout began.
            return Acted::Known(Outcome::Impossible("there is no payment token".to_owned()));
        };
        let (payment, order, amount) = (turn.saga.cast(), turn.saga.cast(), state.total());
        let wish = Authorise { payment, order, amount, token };
        Acted::of(self.payments.authorise(&turn.command(), wish).await, |done| match done {
            Ok(_receipt) => Outcome::Done,
            Err(AuthoriseError::Declined { reason }) => {
                Outcome::Refused(CheckoutFailure::PaymentDeclined { detail: reason })
            }
            Err(refusal @ AuthoriseError::BadAmount) => {
                let detail = refusal.to_string();
                Outcome::Refused(CheckoutFailure::PaymentDeclined { detail })
            }
            Err(refusal @ AuthoriseError::PaymentExists) => {
                Outcome::Impossible(refusal.to_string())
            }
        })
    }

    async fn commit(&self, turn: &Turn) -> Acted<Outcome> {
        let answer = self.inventory.commit(&turn.command(), turn.saga.cast()).await;
        Acted::of(answer, |done| match done {
            Ok(()) => Outcome::Done,
            Err(CommitError::NotFound | CommitError::Expired { .. } | CommitError::Released) => {
                Outcome::Refused(CheckoutFailure::ReservationExpired)
            }
        })
    }

    async fn capture(&self, turn: &Turn, state: &State) -> Acted<Outcome> {
        let wish = Capture { payment: turn.saga.cast(), amount: state.total() };
        Acted::of(self.payments.capture(&turn.command(), wish).await, |done| match done {
            Ok(_receipt) => Outcome::Done,
            Err(CaptureError::Declined { reason }) => {
                Outcome::Refused(CheckoutFailure::CaptureDeclined { detail: reason })
            }
            Err(
                refusal @ (CaptureError::NoSuchPayment
                | CaptureError::WrongState { .. }
                | CaptureError::TooMuch { .. }
                | CaptureError::BadAmount),
            ) => Outcome::Refused(CheckoutFailure::CaptureDeclined { detail: refusal.to_string() }),
        })
    }

    async fn void(&self, turn: &Turn) -> Acted<Outcome> {
        let wish = Void { payment: turn.saga.cast(), amount: None };
        let voided = self.payments.void(&turn.command(), wish).await;
        let voided = Acted::of(voided, |done| match done {
            Ok(_receipt) => Outcome::Done,
            Err(VoidError::NoSuchPayment) => Outcome::NothingThere,
            Err(VoidError::WrongState { state }) => match state {
                PaymentState::Declined
                | PaymentState::Voided
                | PaymentState::Refunded
                | PaymentState::Credited => Outcome::NothingThere,
                PaymentState::Captured
                | PaymentState::PartlyCaptured
                | PaymentState::PartlyRefunded => Outcome::TooLate,
                PaymentState::Pending | PaymentState::Authorised => {
                    Outcome::Impossible(format!("the payment is {state:?}"))
                }
            },
            Err(
                refusal @ (VoidError::TooMuch { .. }
                | VoidError::BadAmount
                | VoidError::Declined { .. }),
            ) => Outcome::Impossible(refusal.to_string()),
        });
        if !matches!(voided, Acted::Known(Outcome::Done)) {
            return voided;
        }
        // Nothing is left to take, but an operator may have taken a part before.
        match self.taken(turn).await {
            Ok(Some(_part)) => Acted::Known(Outcome::TooLate),
            Ok(None) => voided,
            Err(why) => Acted::NotExecuted(why),
        }
    }

    async fn refund(&self, turn: &Turn) -> Acted<Outcome> {
        let amount = match self.taken(turn).await {
            Ok(Some(amount)) => amount,
            Ok(None) => return Acted::Known(Outcome::NothingThere),
            Err(why) => return Acted::NotExecuted(why),
        };
        let (payment, refund) = (turn.saga.cast(), turn.saga.cast());
        let reason = RefundReason::out_of("the checkout failed");
        let wish = RefundPayment { payment, refund, amount, reason };
        Acted::of(self.payments.refund(&turn.command(), wish).await, |done| match done {
            Ok(_receipt) => Outcome::Done,
            Err(RefundError::NoSuchPayment) => Outcome::NothingThere,
            Err(refusal) => Outcome::Impossible(refusal.to_string()),
        })
    }

    /// What was taken of the payment and not paid back; nothing where that is nothing.
    async fn taken(&self, turn: &Turn) -> Result<Option<Money>, NotExecuted> {
        match self.payments.payment(&turn.call, turn.saga.cast()).await {
            Ok(PaymentDetail { payment, .. }) => {
                let taken = payment.captured.minus(payment.refunded);
                Ok(taken.filter(|taken| taken.minor > 0))
            }
            Err(Fault::Refused(PaymentError::NoSuchPayment)) => Ok(None),
            Err(Fault::NotExecuted(why)) => Err(why),
            Err(Fault::Unknown(why)) => Err(NotExecuted::new(Reason::Unavailable, why.detail)),
        }
    }

    async fn release(&self, turn: &Turn) -> Acted<Outcome> {
        let answer = self.inventory.release(&turn.command(), turn.saga.cast()).await;
        Acted::of(answer, |done| match done {
            Ok(()) => Outcome::Done,
            Err(ReleaseError::NotFound) => Outcome::NothingThere,
            Err(ReleaseError::Committed) => Outcome::TooLate,
        })
    }

    async fn put_back(&self, turn: &Turn, state: &State) -> Acted<Outcome> {
        let wish = self.lines(turn, state.cart).await.and_then(|lines| {
            Ok(PutBack {
                reference: reference("checkout", turn.saga)?,
                reason: "the checkout failed".parse().map_err(malformed)?,
                lines: bounded(lines)?,
            })
        });
        let wish = match wish {
            Ok(wish) => wish,
            Err(why) => return Acted::NotExecuted(why),
        };
        Acted::of(self.inventory.put_back(&turn.command(), wish).await, |done| match done {
            Ok(()) => Outcome::Done,
            Err(refusal) => Outcome::Impossible(refusal.to_string()),
        })
    }
}

fn malformed(error: impl std::fmt::Display) -> NotExecuted {
    NotExecuted::new(Reason::Malformed, error.to_string())
}

fn reference(what: &str, saga: SagaId) -> Result<inventory_api::Reference, NotExecuted> {
    format!("{what}:{saga}").parse().map_err(malformed)
}

fn bounded<T, const MAX: usize>(lines: Vec<T>) -> Result<Bounded<T, MAX>, NotExecuted> {
    Bounded::new(lines).map_err(malformed)
}
