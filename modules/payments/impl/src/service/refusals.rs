//! Refusals of the operations, and how each contract method says them.

use payments_api::{AuthoriseError, CaptureError, CreditError, RefundError, VoidError};

use crate::domain::Refusal;

/// Why a payment is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotOpened {
    BadAmount,
    Exists,
    Declined(String),
}

/// Why a payment is not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotChanged {
    NoSuchPayment,
    Refused(Refusal),
    Declined(String),
}

impl From<NotOpened> for AuthoriseError {
    fn from(refusal: NotOpened) -> Self {
        match refusal {
            NotOpened::BadAmount => Self::BadAmount,
            NotOpened::Exists => Self::PaymentExists,
            NotOpened::Declined(reason) => Self::Declined { reason },
        }
    }
}
impl From<NotOpened> for CreditError {
    fn from(refusal: NotOpened) -> Self {
        match refusal {
            NotOpened::BadAmount => Self::BadAmount,
            NotOpened::Exists => Self::CreditExists,
            NotOpened::Declined(reason) => Self::Declined { reason },
        }
    }
}
impl From<NotChanged> for CaptureError {
    fn from(refusal: NotChanged) -> Self {
        match refusal {
            NotChanged::NoSuchPayment => Self::NoSuchPayment,
            NotChanged::Refused(Refusal::WrongState(state)) => Self::WrongState { state },
            NotChanged::Refused(Refusal::TooMuch(left)) => Self::TooMuch { left },
            NotChanged::Refused(Refusal::BadAmount) => Self::BadAmount,
            NotChanged::Declined(reason) => Self::Declined { reason },
        }
    }
}
impl From<NotChanged> for VoidError {
    fn from(refusal: NotChanged) -> Self {
        match refusal {
            NotChanged::NoSuchPayment => Self::NoSuchPayment,
            NotChanged::Refused(Refusal::WrongState(state)) => Self::WrongState { state },
            NotChanged::Refused(Refusal::TooMuch(left)) => Self::TooMuch { left },
            NotChanged::Refused(Refusal::BadAmount) => Self::BadAmount,
            NotChanged::Declined(reason) => Self::Declined { reason },
        }
    }
}
impl From<NotChanged> for RefundError {
    fn from(refusal: NotChanged) -> Self {
        match refusal {
            NotChanged::NoSuchPayment => Self::NoSuchPayment,
            NotChanged::Refused(Refusal::WrongState(state)) => Self::WrongState { state },
            NotChanged::Refused(Refusal::TooMuch(left)) => Self::TooMuch { left },
            NotChanged::Refused(Refusal::BadAmount) => Self::BadAmount,
            NotChanged::Declined(reason) => Self::Declined { reason },
        }
    }
}
