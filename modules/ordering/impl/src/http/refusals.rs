//! What clients are told when ordering says no.

use std::time::Duration;

use http_api::{IfMatch, Problem, ProblemType, problems};
use ordering_api::{
    AdjustError, CancelError, CartError, CheckOutError, CheckoutFailure, CustomerError, OrderError,
    ReturnsError, SagaError, ShipError,
};

/// A line, a list, a number or a text is outside its limits.
pub(super) const OUT_OF_RANGE: ProblemType =
    ProblemType::new("out-of-range", 422, "Something is outside its limits");
/// The catalog does not know the product.
pub(super) const UNKNOWN_SKU: ProblemType =
    ProblemType::new("unknown-sku", 422, "There is no such product");
/// The product is not for sale.
pub(super) const NOT_FOR_SALE: ProblemType =
    ProblemType::new("not-for-sale", 422, "The product is not for sale");
/// Something else that the request names is not there.
pub(super) const UNKNOWN_REFERENCE: ProblemType =
    ProblemType::new("unknown-reference", 422, "The request names something that is not there");
/// Amounts in two currencies.
pub(super) const CURRENCY: ProblemType =
    ProblemType::new("currency-mismatch", 422, "All amounts must be in one currency");
/// The operator's only.
pub(super) const OPERATOR_ONLY: ProblemType =
    ProblemType::new("operator-only", 403, "Only the operator may set this");
/// The cart can no longer change.
pub(super) const CART_NOT_OPEN: ProblemType =
    ProblemType::new("cart-not-open", 409, "The cart is being checked out or has become an order");
/// The key opened a cart before, and its secret was given then.
pub(super) const SECRET_GIVEN: ProblemType =
    ProblemType::new("secret-given", 409, "The cart was opened before and its secret given");
/// Nothing to check out.
pub(super) const EMPTY: ProblemType = ProblemType::new("empty", 422, "There is nothing in it");
/// A sum of the wrong sign.
pub(super) const WRONG_SIGN: ProblemType =
    ProblemType::new("wrong-sign", 422, "The sum has the wrong sign");
/// No payment token, or none that could be one.
pub(super) const PAYMENT_TOKEN: ProblemType =
    ProblemType::new("payment-token", 422, "A valid payment token is needed");
/// The catalog's price is another one now.
pub(super) const PRICE_CHANGED: ProblemType =
    ProblemType::new("price-changed", 409, "A price has changed: replace the cart to accept it");
/// Not everything is in stock.
pub(super) const OUT_OF_STOCK: ProblemType =
    ProblemType::new("out-of-stock", 409, "There is not enough in stock");
/// The provider said no.
pub(super) const PAYMENT_DECLINED: ProblemType =
    ProblemType::new("payment-declined", 422, "The payment was declined");
/// It took too long, or an operator ended it.
pub(super) const CHECKOUT_ENDED: ProblemType =
    ProblemType::new("checkout-ended", 409, "The checkout ended without an order: check out again");
/// The order's status forbids it.
pub(super) const ORDER_STATE: ProblemType =
    ProblemType::new("order-state", 409, "The order's state forbids it");
/// More than is left.
pub(super) const TOO_MUCH: ProblemType =
    ProblemType::new("more-than-left", 422, "That is more than is left");
/// The reference names somebody else.
pub(super) const REFERENCE_TAKEN: ProblemType =
    ProblemType::new("reference-taken", 409, "The reference names another customer");
/// Only a stuck saga is an operator's.
pub(super) const SAGA_STATE: ProblemType =
    ProblemType::new("saga-state", 409, "The saga's state forbids it");

/// What filling a cart may end in.
pub(super) const CART: [ProblemType; 6] =
    [OUT_OF_RANGE, UNKNOWN_SKU, NOT_FOR_SALE, UNKNOWN_REFERENCE, CURRENCY, OPERATOR_ONLY];
/// What a checkout may end in.
pub(super) const CHECKOUT: [ProblemType; 8] = [
    EMPTY,
    WRONG_SIGN,
    PAYMENT_TOKEN,
    PRICE_CHANGED,
    NOT_FOR_SALE,
    OUT_OF_STOCK,
    PAYMENT_DECLINED,
    CHECKOUT_ENDED,
];
/// What a command on an order may end in.
pub(super) const ORDER: [ProblemType; 4] =
    [problems::NOT_FOUND, problems::VERSION_MISMATCH, ORDER_STATE, OUT_OF_RANGE];
/// What a return may end in.
pub(super) const RETURN: [ProblemType; 7] =
    [EMPTY, OUT_OF_RANGE, UNKNOWN_REFERENCE, UNKNOWN_SKU, TOO_MUCH, WRONG_SIGN, CURRENCY];
/// What an adjustment may end in.
pub(super) const ADJUSTMENT: [ProblemType; 4] = [EMPTY, OUT_OF_RANGE, UNKNOWN_REFERENCE, CURRENCY];

fn at(kind: &ProblemType, field: impl Into<String>, detail: String) -> Problem {
    Problem::of(kind).detail(detail.clone()).field(field, detail)
}

pub(super) fn cart_refused(refusal: CartError) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        CartError::NotFound => Problem::not_found(detail),
        CartError::VersionMismatch { version } => IfMatch::mismatch(version),
        CartError::NotOpen { checkout } => {
            Problem::of(&CART_NOT_OPEN).detail(detail).with("checkout", checkout)
        }
        CartError::UnknownCustomer => at(&UNKNOWN_REFERENCE, "customer", detail),
        CartError::TooManyLines { .. } => at(&OUT_OF_RANGE, "lines", detail),
        CartError::UnknownSku { field, .. } => at(&UNKNOWN_SKU, field, detail),
        CartError::NotPublished { field, .. } => at(&NOT_FOR_SALE, field, detail),
        CartError::QuantityOutOfRange { field, .. }
        | CartError::AmountTooLarge { field }
        | CartError::NegativePrice { field }
        | CartError::BadText { field, .. } => at(&OUT_OF_RANGE, field, detail),
        CartError::CurrencyMismatch { field, .. } => at(&CURRENCY, field, detail),
        CartError::OperatorOnly { field } => at(&OPERATOR_ONLY, field, detail),
    }
}

pub(super) fn checkout_refused(refusal: CheckOutError) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        CheckOutError::NotFound => Problem::not_found(detail),
        CheckOutError::EmptyCart => Problem::of(&EMPTY).detail(detail),
        CheckOutError::NegativeTotal { .. } => Problem::of(&WRONG_SIGN).detail(detail),
        CheckOutError::NoPaymentToken | CheckOutError::BadPaymentToken { .. } => {
            at(&PAYMENT_TOKEN, "payment_token", detail)
        }
        CheckOutError::PriceChanged { field, .. } => at(&PRICE_CHANGED, field, detail),
        CheckOutError::NotPublished { field, .. } => at(&NOT_FOR_SALE, field, detail),
    }
}

pub(super) fn checkout_failed(failure: &CheckoutFailure) -> Problem {
    let detail = failure.to_string();
    match failure {
        CheckoutFailure::OutOfStock { shortages } => {
            Problem::of(&OUT_OF_STOCK).detail(detail).with("lines", shortages)
        }
        CheckoutFailure::PaymentDeclined { .. } | CheckoutFailure::CaptureDeclined { .. } => {
            Problem::of(&PAYMENT_DECLINED).detail(detail)
        }
        CheckoutFailure::ReservationExpired | CheckoutFailure::Abandoned => {
            Problem::of(&CHECKOUT_ENDED).detail(detail)
        }
        CheckoutFailure::Unavailable { .. } => Problem::of(&problems::UNAVAILABLE)
            .detail("a part of the shop was away; nothing was done")
            .retry_after(Duration::from_secs(1)),
    }
}

pub(super) fn order_refused(refusal: OrderError) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        OrderError::NotFound => Problem::not_found(detail),
        OrderError::BadCursor => Problem::malformed("after", detail),
    }
}

pub(super) fn ship_refused(refusal: ShipError) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        ShipError::NotFound => Problem::not_found(detail),
        ShipError::VersionMismatch { .. } => at(&problems::VERSION_MISMATCH, "version", detail),
        ShipError::NotNow { status } => {
            Problem::of(&ORDER_STATE).detail(detail).with("order_status", status)
        }
        ShipError::BadText { field, .. } => at(&OUT_OF_RANGE, field, detail),
    }
}

pub(super) fn cancel_refused(refusal: CancelError) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        CancelError::NotFound => Problem::not_found(detail),
        CancelError::VersionMismatch { .. } => at(&problems::VERSION_MISMATCH, "version", detail),
        CancelError::NotNow { status } => {
            Problem::of(&ORDER_STATE).detail(detail).with("order_status", status)
        }
        CancelError::BadText { field, .. } => at(&OUT_OF_RANGE, field, detail),
    }
}

pub(super) fn return_refused(refusal: ReturnsError) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        ReturnsError::NotFound => Problem::not_found(detail),
        ReturnsError::VersionMismatch { .. } => at(&problems::VERSION_MISMATCH, "version", detail),
        ReturnsError::NotNow { status } => {
            Problem::of(&ORDER_STATE).detail(detail).with("order_status", status)
        }
        ReturnsError::MoreThanPaid { .. } => Problem::of(&TOO_MUCH).detail(detail),
        ReturnsError::Empty => at(&EMPTY, "lines", detail),
        ReturnsError::TooManyLines { .. } => at(&OUT_OF_RANGE, "lines", detail),
        ReturnsError::UnknownLine { field } => at(&UNKNOWN_REFERENCE, field, detail),
        ReturnsError::MoreThanSold { field, .. } => at(&TOO_MUCH, field, detail),
        ReturnsError::QuantityOutOfRange { field, .. }
        | ReturnsError::AmountTooLarge { field }
        | ReturnsError::NegativePrice { field }
        | ReturnsError::BadText { field, .. } => at(&OUT_OF_RANGE, field, detail),
        ReturnsError::UnknownSku { field, .. } => at(&UNKNOWN_SKU, field, detail),
        ReturnsError::UnknownCustomer => at(&UNKNOWN_REFERENCE, "customer", detail),
        ReturnsError::NotGivenBack => Problem::of(&WRONG_SIGN).detail(detail),
        ReturnsError::CurrencyMismatch { field, .. } => at(&CURRENCY, field, detail),
    }
}

pub(super) fn adjust_refused(refusal: AdjustError) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        AdjustError::NotFound => Problem::not_found(detail),
        AdjustError::Empty => at(&EMPTY, "lines", detail),
        AdjustError::TooManyLines { .. } => at(&OUT_OF_RANGE, "lines", detail),
        AdjustError::UnknownOrder => at(&UNKNOWN_REFERENCE, "order", detail),
        AdjustError::UnknownCustomer => at(&UNKNOWN_REFERENCE, "customer", detail),
        AdjustError::QuantityOutOfRange { field, .. }
        | AdjustError::AmountTooLarge { field }
        | AdjustError::BadText { field, .. } => at(&OUT_OF_RANGE, field, detail),
        AdjustError::CurrencyMismatch { field, .. } => at(&CURRENCY, field, detail),
    }
}

pub(super) fn customer_refused(refusal: CustomerError) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        CustomerError::NotFound => Problem::not_found(detail),
        CustomerError::ReferenceTaken { .. } => at(&REFERENCE_TAKEN, "reference", detail),
        CustomerError::BadText { field, .. } => at(&OUT_OF_RANGE, field, detail),
        CustomerError::TooMany { .. } => Problem::of(&OUT_OF_RANGE).detail(detail),
        CustomerError::BadCursor => Problem::malformed("after", detail),
    }
}

pub(super) fn saga_refused(refusal: SagaError) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        SagaError::NotFound => Problem::not_found(detail),
        SagaError::NotStuck | SagaError::NoWayBack { .. } => {
            Problem::of(&SAGA_STATE).detail(detail)
        }
        SagaError::BadCursor => Problem::malformed("after", detail),
    }
}
