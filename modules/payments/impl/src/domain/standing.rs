//! Where a payment stands, what may be done to it, and what that changes.

use kernel_api::{Currency, Money};
use payments_api::{AMOUNT_MINOR_MAX, OperationKind, Outcome, PaymentKind, PaymentState};

/// A payment's sums, in hundredths of its currency, and the operation that the provider has not answered yet.
///
/// Invariant ([`Standing::holds`], and the table's checks): nothing is negative; of a charge
/// `authorised` is zero or `amount`, `captured + voided <= authorised` and `refunded <= captured`; of a credit
/// `refunded` is zero or `amount` and the rest is zero. While an operation is pending its amount is already part of no
/// sum, and no other operation begins; so a sum that was checked when the operation began still holds when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub kind: PaymentKind,
    pub currency: Currency,
    pub amount: i64,
    pub authorised: i64,
    pub captured: i64,
    pub voided: i64,
    pub refunded: i64,
    pub pending: Option<OperationKind>,
}

/// What is asked of a payment that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Take this much.
    Capture(Money),
    /// Give back this much, or all that is left.
    Void(Option<Money>),
    /// Pay back this much.
    Refund(Money),
}

/// What comes of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write the intent down and ask the provider for this amount.
    Ask(Money),
    /// Another operation is pending: get the provider's word on it, then decide again.
    SettleFirst,
}

/// Why nothing comes of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is nothing of the kind left in this state.
    WrongState(PaymentState),
    /// Only this much is left.
    TooMuch(Money),
    /// Not above zero, beyond the limit, or in another currency.
    BadAmount,
}

/// What an answered operation adds to the sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub authorised: i64,
    pub captured: i64,
    pub voided: i64,
    pub refunded: i64,
}

/// The rule for the operations that make a payment: authorise and credit.
pub(crate) fn opening(amount: Money) -> Result<(), Refusal> {
    if (1..=AMOUNT_MINOR_MAX).contains(&amount.minor) { Ok(()) } else { Err(Refusal::BadAmount) }
}

/// What an operation changes, given the provider's answer. A no changes nothing.
pub(crate) fn effect(kind: OperationKind, amount: i64, outcome: &Outcome) -> Change {
    let none = Change::default();
    match (outcome, kind) {
        (Outcome::Declined { .. }, _) => none,
        (Outcome::Done, OperationKind::Authorise) => Change { authorised: amount, ..none },
        (Outcome::Done, OperationKind::Capture) => Change { captured: amount, ..none },
        (Outcome::Done, OperationKind::Void) => Change { voided: amount, ..none },
        (Outcome::Done, OperationKind::Refund | OperationKind::Credit) => {
            Change { refunded: amount, ..none }
        }
    }
}

impl Standing {
    /// A payment of which nothing is known yet but that `pending` was asked for.
    #[cfg(test)]
    pub fn fresh(kind: PaymentKind, amount: Money, pending: OperationKind) -> Self {
        Self {
            kind,
            currency: amount.currency,
            amount: amount.minor,
            authorised: 0,
            captured: 0,
            voided: 0,
            refunded: 0,
            pending: Some(pending),
        }
    }

    /// The state that follows from the sums.
    pub fn state(&self) -> PaymentState {
        match self.kind {
            PaymentKind::Credit if self.refunded > 0 => PaymentState::Credited,
            PaymentKind::Charge if self.authorised > 0 => self.state_of_charge(),
            PaymentKind::Credit | PaymentKind::Charge if self.pending.is_some() => {
                PaymentState::Pending
            }
            PaymentKind::Credit | PaymentKind::Charge => PaymentState::Declined,
        }
    }

    fn state_of_charge(&self) -> PaymentState {
        let left = self.left_to_capture() > 0;
        match (self.captured, self.refunded) {
            (0, _) if left => PaymentState::Authorised,
            (0, _) => PaymentState::Voided,
            (_, 0) if left => PaymentState::PartlyCaptured,
            (_, 0) => PaymentState::Captured,
            (captured, refunded) if refunded < captured || left => PaymentState::PartlyRefunded,
            (_, _) => PaymentState::Refunded,
        }
    }

    /// Total: every standing with every wish.
    pub fn decide(&self, wish: Wish) -> Result<Decision, Refusal> {
        let (wanted, left) = match wish {
            Wish::Capture(amount) => (Some(amount), self.left_to_capture()),
            Wish::Void(amount) => (amount, self.left_to_capture()),
            Wish::Refund(amount) => (Some(amount), self.left_to_refund()),
        };
        let left = Money::new(left, self.currency);
        let wanted = wanted.unwrap_or(left);
        match () {
            () if self.pending.is_some() => Ok(Decision::SettleFirst),
            () if left.minor == 0 => Err(Refusal::WrongState(self.state())),
            () if wanted.currency != self.currency || wanted.minor <= 0 => Err(Refusal::BadAmount),
            () if wanted.minor > left.minor => Err(Refusal::TooMuch(left)),
            () => Ok(Decision::Ask(wanted)),
        }
    }

    /// The sums after a change: what the second transaction's update does, for the properties to hold against.
    #[cfg(test)]
    pub fn after(self, change: Change) -> Self {
        Self {
            authorised: self.authorised + change.authorised,
            captured: self.captured + change.captured,
            voided: self.voided + change.voided,
            refunded: self.refunded + change.refunded,
            pending: None,
            ..self
        }
    }

    /// What may still be captured or voided.
    pub fn left_to_capture(&self) -> i64 {
        self.authorised - self.captured - self.voided
    }

    /// What may still be refunded. Zero for a credit.
    pub fn left_to_refund(&self) -> i64 {
        match self.kind {
            PaymentKind::Charge => self.captured - self.refunded,
            PaymentKind::Credit => 0,
        }
    }

    /// The invariant.
    #[cfg(test)]
    pub fn holds(&self) -> bool {
        let sums = [self.amount, self.authorised, self.captured, self.voided, self.refunded];
        let all_or_nothing = |sum: i64| sum == 0 || sum == self.amount;
        let zero = |sums: [i64; 3]| sums == [0; 3];
        sums.iter().all(|sum| *sum >= 0)
            && match self.kind {
                PaymentKind::Charge => {
                    all_or_nothing(self.authorised)
                        && self.captured + self.voided <= self.authorised
                        && self.refunded <= self.captured
                }
                PaymentKind::Credit => {
                    all_or_nothing(self.refunded)
                        && zero([self.authorised, self.captured, self.voided])
                }
            }
    }
}
