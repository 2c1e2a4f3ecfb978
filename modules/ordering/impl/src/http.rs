//! Ordering over HTTP: carts and checkout for everyone, the rest for the operator.

mod bodies;
mod carts;
mod customers;
mod orders;
mod refusals;
mod returns;
mod sagas;

use std::sync::Arc;

use actix_web::web::Data;
use contract::Never;
use http_api::{Access, Ask, GuestSecret, Json, Operation, Problem, Routes, Visitor, problems};
use kernel_api::Page;
use ordering_api::{
    Adjustment, Books, Cart, Checkout, Customer, Opener, Order, OrderSummary, Ordering, ReturnNote,
    Saga, SecretHash,
};

use self::refusals as kinds;

/// The routes of ordering.
pub fn routes(ordering: Arc<dyn Ordering>) -> Routes {
    let routes = Routes::new("ordering").data(ordering);
    customer_routes(saga_routes(return_routes(order_routes(cart_routes(routes)))))
}

fn cart_routes(routes: Routes) -> Routes {
    routes
        .add(
            Operation::post("/v1/carts")
                .summary("Opens a cart")
                .description(
                    "Empty or filled, at the catalog's prices. The answer has the secret that opens the cart and its \
                     order: 32 hex digits, shown this once, sent from then on as `Authorization: Bearer …`. Prices \
                     and services of one's own, a customer and a reference are the operator's.",
                )
                .access(Access::Public)
                .answers::<bodies::OpenedBody>(201)
                .problems(&kinds::CART),
            carts::open,
        )
        .add(
            Operation::get("/v1/carts/{id}")
                .summary("A cart")
                .access(Access::Guest)
                .answers::<Cart>(200)
                .etag()
                .problems(&[problems::NOT_FOUND]),
            carts::show,
        )
        .add(
            Operation::put("/v1/carts/{id}")
                .summary("Replaces a cart's whole content")
                .description("All lines or none, at the catalog's prices of now, which are then held for a while.")
                .access(Access::Guest)
                .answers::<Cart>(200)
                .etag()
                .problems(&kinds::CART)
                .problems(&[problems::NOT_FOUND, problems::VERSION_MISMATCH, kinds::CART_NOT_OPEN]),
            carts::replace,
        )
        .add(
            Operation::post("/v1/carts/{id}/checkout")
                .summary("Makes an order of a cart")
                .description(
                    "201 with the order's place when it is done within the bound, 202 with the checkout's place when \
                     not. A cart becomes at most one order: checking it out again answers the same checkout.",
                )
                .access(Access::Guest)
                .answers::<Checkout>(201)
                .answers::<Checkout>(202)
                .problems(&kinds::CHECKOUT)
                .problems(&[problems::NOT_FOUND, problems::UNAVAILABLE]),
            carts::check_out,
        )
        .add(
            Operation::get("/v1/checkouts/{id}")
                .summary("How far a checkout is")
                .access(Access::Guest)
                .answers::<Checkout>(200)
                .problems(&[problems::NOT_FOUND]),
            carts::checkout,
        )
}

fn order_routes(routes: Routes) -> Routes {
    routes
        .add(
            operation(Operation::get("/v1/orders"), "The orders, by id")
                .answers::<Page<OrderSummary>>(200),
            orders::list,
        )
        .add(
            operation(Operation::get("/v1/orders/{id}"), "An order")
                .description("A guest sees it with the secret of its cart.")
                .access(Access::Guest)
                .answers::<Order>(200)
                .etag()
                .problems(&[problems::NOT_FOUND]),
            orders::show,
        )
        .add(
            operation(Operation::post("/v1/orders/{id}/shipments"), "An order leaves the house")
                .answers::<Order>(201)
                .etag()
                .problems(&kinds::ORDER),
            orders::ship,
        )
        .add(
            operation(Operation::post("/v1/orders/{id}/cancellation"), "An order is called off")
                .description(
                    "Only a paid one that was not shipped. Stock and money go back by themselves.",
                )
                .answers::<ReturnNote>(201)
                .problems(&kinds::ORDER),
            orders::cancel,
        )
        .add(
            operation(Operation::post("/v1/orders/{id}/returns"), "Lines of an order come back")
                .description(
                    "Stock and money go back by themselves. Naming a service line credits it.",
                )
                .answers::<ReturnNote>(201)
                .problems(&kinds::ORDER)
                .problems(&kinds::RETURN),
            returns::of_order,
        )
}

fn return_routes(routes: Routes) -> Routes {
    routes
        .add(
            operation(Operation::post("/v1/returns"), "Something comes back, no sale is named")
                .description(
                    "Products are matched to the newest earlier sales of the same product to the same customer; what \
                     has no sale, and services, become one unlinked credit.",
                )
                .answers::<ReturnNote>(201)
                .problems(&kinds::RETURN),
            returns::unlinked,
        )
        .add(
            operation(Operation::get("/v1/returns/{id}"), "A return")
                .answers::<ReturnNote>(200)
                .problems(&[problems::NOT_FOUND]),
            returns::show,
        )
        .add(
            operation(Operation::post("/v1/adjustments"), "Corrects the books")
                .description("Services of either sign; neither goods nor money move. Bad debt, for example.")
                .answers::<Adjustment>(201)
                .problems(&kinds::ADJUSTMENT),
            returns::adjust,
        )
        .add(
            operation(Operation::get("/v1/books"), "What all documents add up to")
                .answers::<Vec<Books>>(200),
            books,
        )
}

fn saga_routes(routes: Routes) -> Routes {
    routes
        .add(
            operation(Operation::get("/v1/sagas"), "Checkouts and settlements as sagas, by id")
                .answers::<Page<Saga>>(200),
            sagas::list,
        )
        .add(
            operation(Operation::get("/v1/sagas/{id}"), "A saga")
                .answers::<Saga>(200)
                .problems(&[problems::NOT_FOUND]),
            sagas::show,
        )
        .add(
            operation(Operation::post("/v1/sagas/{id}/retry"), "A stuck saga tries its step again")
                .answers::<Saga>(200)
                .problems(&[problems::NOT_FOUND, kinds::SAGA_STATE]),
            sagas::retry,
        )
        .add(
            operation(Operation::post("/v1/sagas/{id}/abandonment"), "A stuck saga is given up")
                .answers::<Saga>(200)
                .problems(&[problems::NOT_FOUND, kinds::SAGA_STATE]),
            sagas::abandon,
        )
}

fn customer_routes(routes: Routes) -> Routes {
    routes
        .add(
            operation(Operation::post("/v1/customers"), "Registers a customer")
                .description("The same reference with the same data again gives the same customer.")
                .answers::<Customer>(201)
                .problems(&[kinds::REFERENCE_TAKEN, kinds::OUT_OF_RANGE]),
            customers::register,
        )
        .add(
            operation(Operation::get("/v1/customers"), "The customers, by id")
                .answers::<Page<Customer>>(200),
            customers::list,
        )
        .add(
            operation(Operation::get("/v1/customers/{id}"), "A customer")
                .answers::<Customer>(200)
                .problems(&[problems::NOT_FOUND]),
            customers::show,
        )
}

fn operation(operation: Operation, summary: &'static str) -> Operation {
    operation.summary(summary).access(Access::Operator)
}

/// Who asks, as the contract knows it. Someone without a credential opens nothing.
fn opener(visitor: &Visitor) -> Result<Opener, Problem> {
    match visitor {
        Visitor::Operator => Ok(Opener::Operator),
        Visitor::Guest(secret) => Ok(Opener::Guest(hash(secret))),
        Visitor::Anyone => Err(Problem::of(&problems::UNAUTHENTICATED)),
    }
}

fn hash(secret: &GuestSecret) -> SecretHash {
    SecretHash(secret.digest())
}

async fn books(ordering: Data<dyn Ordering>, ask: Ask) -> Result<Json<Vec<Books>>, Problem> {
    let answer = ordering.books(&ask, ()).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, never))
}

fn never(refusal: Never) -> Problem {
    match refusal {}
}
