//! Checkout: begins the saga in one transaction and waits for it within a bound.

use std::time::Duration;

use contract::{Answer, Call, Command, Deadline, Fault, NotExecuted, Reason};
use kernel_api::{Id, Money, Timestamp};
use ordering_api::{CheckOut, CheckOutError, Checkout, CheckoutStatus, CheckoutWish, Opener};
use payments_api::PaymentToken;
use saga::Status;

use ::store::Abort;

use super::{
    Service,
    carts::{broken, opens},
    checking_out::CheckoutSaga,
    offers::offers,
};
use crate::{
    domain::{
        cart,
        checkout::{State, Step},
    },
    store::{self, CartRow},
};

/// How often a checkout begins anew because the cart was replaced between reading and binding it. Each time somebody
/// else got somewhere, so a few are plenty.
const RACES_MAX: usize = 5;

/// What stands in the way of binding a cart to a checkout.
enum NotBegun {
    /// It was replaced since it was read.
    Raced,
    Gone,
}

impl Service {
    pub(super) async fn begin_checkout(
        &self,
        command: &Command,
        wish: CheckOut,
    ) -> Answer<Checkout, CheckOutError> {
        for _ in 0..RACES_MAX {
            let row = self.cart_for(command, &wish).await?;
            let begun = match row.checkout().map_err(broken)? {
                // Under way or done, whoever asked for it.
                Some(checkout) => Some(checkout),
                None => self.begin(command, &wish, row).await?,
            };
            if let Some(checkout) = begun {
                return self.wait(command, checkout, wish.cart).await;
            }
        }
        Err(NotExecuted::new(Reason::Overloaded, "the cart keeps changing")
            .after(Duration::from_millis(100))
            .into())
    }

    /// The cart, for whoever may check it out.
    async fn cart_for(&self, call: &Call, wish: &CheckOut) -> Answer<CartRow, CheckOutError> {
        let (id, by) = (wish.cart, wish.by.clone());
        self.store
            .read(call, move |c| {
                let row = store::cart(c, id)?.filter(|row| opens(&by, Some(&row.secret_hash)));
                row.ok_or(Abort::Refused(CheckOutError::NotFound))
            })
            .await
    }

    /// Binds an open cart to a new checkout and writes its saga; nothing when the cart changed meanwhile.
    async fn begin(
        &self,
        command: &Command,
        wish: &CheckOut,
        row: CartRow,
    ) -> Answer<Option<Id<Checkout>>, CheckOutError> {
        let token = check(&row, wish).map_err(Fault::Refused)?;
        self.recheck(command, &row, wish.by == Opener::Operator).await?;
        let checkout = Id::<Checkout>::fresh();
        let total = Money::new(row.total_minor, row.currency().map_err(broken)?);
        let state = State::begin(wish.cart, total, row.goods, token);
        let (runner, cart) = (self.runner.clone(), wish.cart);
        let begun: Answer<Id<Checkout>, NotBegun> = self
            .store
            .command(command, "check_out", wish, move |tx| {
                let c = tx.connection();
                if !store::begin_checkout(c, &row.id, row.version, checkout)? {
                    let (_, other) =
                        store::cart_version(c, cart)?.ok_or(Abort::Refused(NotBegun::Gone))?;
                    // Another call was faster: its checkout is this one's too.
                    let other = other.ok_or(Abort::Refused(NotBegun::Raced))?;
                    return Ok(store::from_text(&other)?);
                }
                runner.start_in::<CheckoutSaga>(tx, checkout.cast(), &state)?;
                Ok(checkout)
            })
            .await;
        match begun {
            Ok(checkout) => Ok(Some(checkout)),
            Err(Fault::Refused(NotBegun::Raced)) => Ok(None),
            Err(Fault::Refused(NotBegun::Gone)) => Err(Fault::Refused(CheckOutError::NotFound)),
            Err(Fault::NotExecuted(why)) => Err(Fault::NotExecuted(why)),
            Err(Fault::Unknown(why)) => Err(Fault::Unknown(why)),
        }
    }

    /// Holds the cart's prices against the catalog's, once the time is over for which they were promised.
    async fn recheck(
        &self,
        call: &Call,
        row: &CartRow,
        operator: bool,
    ) -> Answer<(), CheckOutError> {
        let priced = Timestamp::from_micros(row.priced_at);
        if self.store.clock().now().since(priced) < self.config.price_hold.get() {
            return Ok(());
        }
        let currency = row.currency().map_err(broken)?;
        let lines = store::lines_from_text(&row.lines, currency).map_err(broken)?;
        let offers = offers(&*self.catalog, call, &cart::priced_skus(&lines)).await?;
        cart::compare(&lines, operator, &offers).map_err(Fault::Refused)
    }

    /// Drives the checkout until it is over or the time is.
    async fn wait(
        &self,
        call: &Call,
        id: Id<Checkout>,
        cart: Id<ordering_api::Cart>,
    ) -> Answer<Checkout, CheckOutError> {
        let deadline = self.bound(call);
        match self.runner.drive(id.cast(), deadline).await {
            Ok(progress) => {
                let status = status_of(id, progress.status, progress.state());
                Ok(Checkout { id, cart, status })
            }
            Err(Fault::Refused(saga::Missing)) => Err(Fault::Refused(CheckOutError::NotFound)),
            // It has begun and goes on by itself, whatever kept us from looking.
            Err(Fault::NotExecuted(_) | Fault::Unknown(_)) => {
                Ok(Checkout { id, cart, status: CheckoutStatus::Running })
            }
        }
    }

    /// How long an answer may wait for a saga: what the setting allows, and what the caller has left to hear of it.
    pub(super) fn bound(&self, call: &Call) -> Deadline {
        let left = call.deadline.remaining().saturating_sub(ANSWERING);
        Deadline::within(left.min(self.config.checkout_bound.get()))
    }

    pub(super) async fn show_checkout(
        &self,
        call: &Call,
        wish: CheckoutWish,
    ) -> Answer<Checkout, CheckOutError> {
        let CheckoutWish { checkout: id, by } = wish;
        let view = self
            .runner
            .show(call, id.cast())
            .await
            .map_err(|fault| fault.map(|saga::Missing| CheckOutError::NotFound))?;
        let state: Option<State> = serde_json::from_value(view.state).ok();
        let Some(state) = state.filter(|_| view.kind == <CheckoutSaga as saga::Definition>::KIND)
        else {
            return Err(Fault::Refused(CheckOutError::NotFound));
        };
        let cart = state.cart;
        if by != Opener::Operator {
            let access = self.store.read(call, move |c| Ok(store::cart_access(c, cart)?)).await?;
            let hash = access.map(|(hash, _)| hash.0);
            if !opens(&by, hash.as_deref()) {
                return Err(Fault::Refused(CheckOutError::NotFound));
            }
        }
        Ok(Checkout { id, cart, status: status_of(id, view.status, Some(state)) })
    }
}

/// What is kept back of the caller's time so that the answer still reaches it.
const ANSWERING: Duration = Duration::from_millis(250);

/// May this cart be checked out, as far as it can be told without asking anybody? The provider's token, where one is needed.
fn check(row: &CartRow, wish: &CheckOut) -> Result<Option<String>, CheckOutError> {
    if row.line_count == 0 {
        return Err(CheckOutError::EmptyCart);
    }
    if row.total_minor < 0 {
        let currency = row.currency().unwrap_or(kernel_api::Currency::GBP);
        let total = Money::new(row.total_minor, currency);
        return Err(CheckOutError::NegativeTotal { total });
    }
    if let Some(token) = &wish.payment_token {
        let token: Result<PaymentToken, _> = token.parse();
        token.map_err(|bad| CheckOutError::BadPaymentToken { problem: bad.to_string() })?;
    }
    if row.total_minor == 0 {
        return Ok(None);
    }
    wish.payment_token.clone().map(Some).ok_or(CheckOutError::NoPaymentToken)
}

/// A saga's status as the buyer sees it.
fn status_of(id: Id<Checkout>, status: Status, state: Option<State>) -> CheckoutStatus {
    let failure = state.and_then(|state| match state.step {
        Step::Failed { failure } => Some(failure),
        Step::Reserve { .. }
        | Step::Authorise { .. }
        | Step::Commit
        | Step::Place
        | Step::Capture
        | Step::Void { .. }
        | Step::Refund { .. }
        | Step::Release { .. }
        | Step::PutBack { .. }
        | Step::Completed => None,
    });
    match (status, failure) {
        (Status::Running, _) => CheckoutStatus::Running,
        (Status::Done, _) => CheckoutStatus::Completed { order: id.cast() },
        (Status::Compensated, Some(failure)) => CheckoutStatus::Failed { failure },
        (Status::Compensated | Status::Stuck | Status::Closed, _) => CheckoutStatus::Stuck,
    }
}
