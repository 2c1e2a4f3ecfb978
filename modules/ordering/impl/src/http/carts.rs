//! Handlers of carts and checkouts.

use actix_web::web::Data;
use http_api::{Ask, GuestSecret, IfMatch, Json, Path, Problem, Reply, Tell, Visitor, problems};
use kernel_api::Id;
use ordering_api::{
    Cart, CartWish, CheckOut, Checkout, CheckoutStatus, CheckoutWish, NewCart, OpenedCart,
    Ordering, PutCart,
};

use super::{
    bodies::{CheckOutBody, ContentBody, NewCartBody, OpenedBody},
    hash, opener,
    refusals::{SECRET_GIVEN, cart_refused, checkout_failed, checkout_refused},
};

pub(super) async fn open(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    visitor: Visitor,
    body: Json<NewCartBody>,
) -> Result<Reply<OpenedBody>, Problem> {
    let secret = GuestSecret::fresh().ok_or_else(|| Problem::of(&problems::INTERNAL))?;
    let mut body = body.0;
    let content = body.take_content();
    let NewCartBody { customer, reference, currency, .. } = body;
    let operator = visitor.is_operator();
    let wish = NewCart { operator, secret: hash(&secret), customer, reference, currency, content };
    let OpenedCart { cart, secret_opens } = ordering
        .open_cart(&tell, wish)
        .await
        .map_err(|fault| Problem::from_fault(fault, cart_refused))?;
    // The operator opens every cart, so it loses nothing when the key was used before.
    if !secret_opens && !operator {
        return Err(Problem::of(&SECRET_GIVEN)
            .detail("its secret was in the first answer and is kept nowhere: open a new cart with a new key"));
    }
    let secret = if secret_opens { secret.reveal().to_owned() } else { String::new() };
    let version = cart.version;
    let location = format!("/v1/carts/{}", cart.id);
    Ok(Reply::created(location, OpenedBody { cart, secret }).etag(version))
}

pub(super) async fn show(
    ordering: Data<dyn Ordering>,
    ask: Ask,
    visitor: Visitor,
    id: Path<Id<Cart>>,
) -> Result<Reply<Cart>, Problem> {
    let wish = CartWish { cart: id.0, by: opener(&visitor)? };
    let cart = ordering
        .cart(&ask, wish)
        .await
        .map_err(|fault| Problem::from_fault(fault, cart_refused))?;
    let version = cart.version;
    Ok(Reply::ok(cart).etag(version))
}

pub(super) async fn replace(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    visitor: Visitor,
    id: Path<Id<Cart>>,
    expected: IfMatch,
    body: Json<ContentBody>,
) -> Result<Reply<Cart>, Problem> {
    let (by, version) = (opener(&visitor)?, expected.version());
    let wish = PutCart { cart: id.0, by, version, content: body.0.content() };
    let cart = ordering
        .put_cart(&tell, wish)
        .await
        .map_err(|fault| Problem::from_fault(fault, cart_refused))?;
    let version = cart.version;
    Ok(Reply::ok(cart).etag(version))
}

pub(super) async fn check_out(
    ordering: Data<dyn Ordering>,
    tell: Tell,
    visitor: Visitor,
    id: Path<Id<Cart>>,
    body: Json<CheckOutBody>,
) -> Result<Reply<Checkout>, Problem> {
    let CheckOutBody { payment_token } = body.0;
    let wish = CheckOut { cart: id.0, by: opener(&visitor)?, payment_token };
    let checkout = ordering
        .check_out(&tell, wish)
        .await
        .map_err(|fault| Problem::from_fault(fault, checkout_refused))?;
    match &checkout.status {
        CheckoutStatus::Completed { order } => {
            let location = format!("/v1/orders/{order}");
            Ok(Reply::created(location, checkout))
        }
        CheckoutStatus::Running | CheckoutStatus::Stuck => {
            Ok(Reply::accepted(format!("/v1/checkouts/{}", checkout.id), checkout))
        }
        CheckoutStatus::Failed { failure } => {
            Err(checkout_failed(failure).with("checkout", checkout.id))
        }
    }
}

pub(super) async fn checkout(
    ordering: Data<dyn Ordering>,
    ask: Ask,
    visitor: Visitor,
    id: Path<Id<Checkout>>,
) -> Result<Json<Checkout>, Problem> {
    let wish = CheckoutWish { checkout: id.0, by: opener(&visitor)? };
    let answer = ordering.checkout(&ask, wish).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, checkout_refused))
}
