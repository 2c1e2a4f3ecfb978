//! The public routes. All of them are the operator's: buyers pay through checkout.

use std::sync::Arc;

use actix_web::web::Data;
use http_api::{
    Access, Ask, Json, Operation, Paging, Path, Problem, ProblemType, Reply, Routes, Tell, problems,
};
use kernel_api::{Id, Money, Page, PageRequest};
use payments_api::{
    Audit, AuditWanted, Balances, BalancesWanted, Capture, CaptureError, Entry, Payment,
    PaymentDetail, PaymentError, Payments, Receipt, Void, VoidError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The payment's state does not allow it.
const WRONG_STATE: ProblemType =
    ProblemType::new("payment-state", 409, "The payment's state does not allow this");

/// More than is left.
const TOO_MUCH: ProblemType =
    ProblemType::new("payment-amount-left", 422, "The amount is more than what is left");

/// Not an amount for this payment.
const BAD_AMOUNT: ProblemType =
    ProblemType::new("payment-amount", 422, "The amount is none for this payment");

/// The provider said no.
const DECLINED: ProblemType =
    ProblemType::new("payment-declined", 422, "The payment provider declined it");

const CHANGE_PROBLEMS: [ProblemType; 5] =
    [problems::NOT_FOUND, WRONG_STATE, TOO_MUCH, BAD_AMOUNT, DECLINED];

/// An amount to capture.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureBody {
    /// How much.
    pub amount: Money,
}

/// An amount to void.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoidBody {
    /// How much; all that is left when absent.
    #[serde(default)]
    pub amount: Option<Money>,
}

/// The routes of the module.
pub fn routes(payments: Arc<dyn Payments>) -> Routes {
    Routes::new("payments")
        .data(payments)
        .add(
            Operation::get("/v1/payments")
                .summary("All payments and unlinked credits, by id")
                .access(Access::Operator)
                .answers::<Page<Payment>>(200),
            list,
        )
        .add(
            Operation::get("/v1/payments/{payment}")
                .summary("One payment with everything that was done to it")
                .access(Access::Operator)
                .answers::<PaymentDetail>(200)
                .problems(&[problems::NOT_FOUND]),
            show,
        )
        .add(
            Operation::post("/v1/payments/{payment}/captures")
                .summary("Takes all or a part of what was authorised")
                .access(Access::Operator)
                .answers::<Receipt>(201)
                .problems(&CHANGE_PROBLEMS),
            capture,
        )
        .add(
            Operation::post("/v1/payments/{payment}/voids")
                .summary("Gives back all or a part of what was authorised and not captured")
                .access(Access::Operator)
                .answers::<Receipt>(201)
                .problems(&CHANGE_PROBLEMS),
            void,
        )
        .add(
            Operation::get("/v1/ledger/accounts")
                .summary("What stands on each account, and the net revenue")
                .access(Access::Operator)
                .answers::<Balances>(200),
            accounts,
        )
        .add(
            Operation::get("/v1/ledger/entries")
                .summary("The journal, by id")
                .access(Access::Operator)
                .answers::<Page<Entry>>(200),
            entries,
        )
        .add(
            Operation::get("/v1/ledger/audit")
                .summary("Checks the ledger against the payments")
                .access(Access::Operator)
                .answers::<Audit>(200),
            audit,
        )
}

async fn list(
    payments: Data<dyn Payments>,
    ask: Ask,
    page: Paging,
) -> Result<Json<Page<Payment>>, Problem> {
    let answer = payments.payments(&ask, by_id(page)?).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, |never| match never {}))
}

async fn show(
    payments: Data<dyn Payments>,
    ask: Ask,
    id: Path<Id<Payment>>,
) -> Result<Json<PaymentDetail>, Problem> {
    let answer = payments.payment(&ask, id.0).await;
    answer.map(Json).map_err(|fault| {
        Problem::from_fault(fault, |refusal| match refusal {
            PaymentError::NoSuchPayment => no_such_payment(),
        })
    })
}

async fn capture(
    payments: Data<dyn Payments>,
    tell: Tell,
    id: Path<Id<Payment>>,
    body: Json<CaptureBody>,
) -> Result<Reply<Receipt>, Problem> {
    let wish = Capture { payment: id.0, amount: body.amount };
    created(payments.capture(&tell, wish).await.map_err(|fault| {
        Problem::from_fault(fault, |refusal| {
            let detail = refusal.to_string();
            match refusal {
                CaptureError::NoSuchPayment => no_such_payment(),
                CaptureError::WrongState { .. } => Problem::of(&WRONG_STATE).detail(detail),
                CaptureError::TooMuch { left } => too_much(left).detail(detail),
                CaptureError::BadAmount => bad_amount(detail),
                CaptureError::Declined { .. } => Problem::of(&DECLINED).detail(detail),
            }
        })
    }))
}

async fn void(
    payments: Data<dyn Payments>,
    tell: Tell,
    id: Path<Id<Payment>>,
    body: Json<VoidBody>,
) -> Result<Reply<Receipt>, Problem> {
    let wish = Void { payment: id.0, amount: body.amount };
    created(payments.void(&tell, wish).await.map_err(|fault| {
        Problem::from_fault(fault, |refusal| {
            let detail = refusal.to_string();
            match refusal {
                VoidError::NoSuchPayment => no_such_payment(),
                VoidError::WrongState { .. } => Problem::of(&WRONG_STATE).detail(detail),
                VoidError::TooMuch { left } => too_much(left).detail(detail),
                VoidError::BadAmount => bad_amount(detail),
                VoidError::Declined { .. } => Problem::of(&DECLINED).detail(detail),
            }
        })
    }))
}

async fn accounts(payments: Data<dyn Payments>, ask: Ask) -> Result<Json<Balances>, Problem> {
    let answer = payments.balances(&ask, BalancesWanted::default()).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, |never| match never {}))
}

async fn entries(
    payments: Data<dyn Payments>,
    ask: Ask,
    page: Paging,
) -> Result<Json<Page<Entry>>, Problem> {
    let answer = payments.entries(&ask, by_id(page)?).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, |never| match never {}))
}

async fn audit(payments: Data<dyn Payments>, ask: Ask) -> Result<Json<Audit>, Problem> {
    let answer = payments.audit(&ask, AuditWanted::default()).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, |never| match never {}))
}

/// A page of a list whose cursors are ids.
fn by_id(page: Paging) -> Result<PageRequest, Problem> {
    let unread = |after: &String| after.parse::<Id<Payment>>().is_err();
    match page.0.after.as_ref().filter(|after| unread(after)) {
        Some(_) => Err(Problem::malformed("after", "must be the `next` of the page before")),
        None => Ok(page.0),
    }
}

fn created(answer: Result<Receipt, Problem>) -> Result<Reply<Receipt>, Problem> {
    answer.map(|receipt| Reply::created(format!("/v1/payments/{}", receipt.payment), receipt))
}

fn no_such_payment() -> Problem {
    Problem::not_found("there is no such payment")
}

fn too_much(left: Money) -> Problem {
    Problem::of(&TOO_MUCH).field("amount", "is more than what is left").with("left", left)
}

fn bad_amount(detail: String) -> Problem {
    Problem::of(&BAD_AMOUNT).field("amount", detail.clone()).detail(detail)
}
