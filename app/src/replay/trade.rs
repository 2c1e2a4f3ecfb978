//! What the shop is asked to do with one document, and how far that is followed.
//!
//! Every POST has a key made of the file, the run and the invoice: asking twice, by this run or by one after a kill of
//! either side, has one effect.

use std::time::Instant;

use bytes::Bytes;
use http::{Method, StatusCode};
use ordering_api::CheckoutFailure;
use serde::Deserialize;

use super::{
    figures::Outcome,
    known::Known,
    lane::{Answer, Ask, Away, Lane, Step, Wanted},
};
use crate::online_retail::{Document, Kind};

/// The simulated payment provider says yes to this token.
const PAYMENT: &[u8] = br#"{"payment_token":"tok_approve"}"#;

/// What all documents of a replay have in common.
#[derive(Debug)]
pub struct Trade {
    /// The beginning of every key: the file and the run.
    pub key: String,
    /// Prices and customers.
    pub known: Known,
}

/// Where a checkout stands, as far as we care.
#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum CheckoutStands {
    Running,
    Completed,
    Failed { failure: CheckoutFailure },
    Stuck,
}

/// Where a return stands, as far as we care.
#[derive(Debug, Deserialize)]
struct ReturnStands {
    status: ordering_api::ReturnStatus,
}

impl Trade {
    /// Trades a document to its end: settled, or refused for good.
    pub async fn document(&self, lane: &mut Lane, document: &Document) -> Result<Outcome, Away> {
        match document.kind {
            Kind::Sale => self.sale(lane, document).await,
            Kind::Return => self.give_back(lane, document).await,
            Kind::StockAdjustment => {
                let body = lane.body.stock_adjustment(document);
                let (step, path) = (Step::StockAdjustment, "/v1/stock/adjustments");
                let key = self.key(document, "stock");
                Ok(done(&post(lane, step, path, key, body, Wanted::Head).await?))
            }
            Kind::BadDebt => {
                let body = lane.body.book_adjustment(document, &self.known);
                let (step, path) = (Step::BookAdjustment, "/v1/adjustments");
                let key = self.key(document, "books");
                Ok(done(&post(lane, step, path, key, body, Wanted::Head).await?))
            }
        }
    }

    fn key(&self, document: &Document, what: &str) -> String {
        format!("{}:{}:{what}", self.key, document.invoice)
    }

    async fn sale(&self, lane: &mut Lane, document: &Document) -> Result<Outcome, Away> {
        let body = lane.body.cart(document, &self.known);
        let key = self.key(document, "cart");
        let cart = post(lane, Step::Cart, "/v1/carts", key, body, Wanted::Head).await?;
        let Some(at) = location(&cart) else { return Ok(done(&cart)) };
        let path = format!("{at}/checkout");
        let mut tries = lane.patience().tries();
        // A checkout that failed because a part of the shop was away is undone, and its key answers that for ever: the
        // next try is another wish. The numbers are the same in every run, so a second run finds the one that worked.
        for number in 1_u32.. {
            let key = self.key(document, &format!("checkout:{number}"));
            match check_out(lane, &path, key).await? {
                End::Known(outcome) => return Ok(outcome),
                End::Undone { detail } => {
                    let Some(pause) = tries.pause(Instant::now(), None) else {
                        return Ok(refused("a part of the shop was away", &detail));
                    };
                    tokio::time::sleep(pause).await;
                }
            }
        }
        Ok(refused("checkout not settled in time", ""))
    }

    async fn give_back(&self, lane: &mut Lane, document: &Document) -> Result<Outcome, Away> {
        let body = lane.body.give_back(document, &self.known);
        let key = self.key(document, "return");
        let accepted = post(lane, Step::Return, "/v1/returns", key, body, Wanted::Body).await?;
        let stands = follow(lane, Step::FollowReturn, accepted, |stands: &ReturnStands| {
            stands.status == ordering_api::ReturnStatus::Accepted
        });
        Ok(match stands.await? {
            Err(outcome) => outcome,
            Ok(ReturnStands { status: ordering_api::ReturnStatus::Settled }) => Outcome::Settled,
            Ok(ReturnStands { status: ordering_api::ReturnStatus::Accepted }) => {
                refused("return not settled in time", "")
            }
        })
    }
}

/// How one checkout ended.
enum End {
    /// It need not be tried again.
    Known(Outcome),
    /// A part of the shop was away, everything is undone.
    Undone { detail: String },
}

async fn check_out(lane: &mut Lane, path: &str, key: String) -> Result<End, Away> {
    let (step, method, wanted) = (Step::Checkout, Method::POST, Wanted::Body);
    // With this member, "a part of the shop is away" is how the checkout ended, and no reason to ask the same again.
    let settled_by = Some("checkout");
    let body = Bytes::from_static(PAYMENT);
    let ask = Ask { step, method, path, key: Some(key), body, wanted, settled_by };
    let begun = lane.insist(&ask).await?;
    if begun.status == StatusCode::SERVICE_UNAVAILABLE {
        let (_, detail) = begun.problem();
        return Ok(End::Undone { detail });
    }
    let is_running = |stands: &CheckoutStands| matches!(stands, CheckoutStands::Running);
    Ok(match follow(lane, Step::FollowCheckout, begun, is_running).await? {
        Err(outcome) => End::Known(outcome),
        Ok(CheckoutStands::Completed) => End::Known(Outcome::Settled),
        Ok(CheckoutStands::Running) => End::Known(refused("checkout not settled in time", path)),
        Ok(CheckoutStands::Stuck) => End::Known(refused("checkout stuck", path)),
        Ok(CheckoutStands::Failed { failure: CheckoutFailure::Unavailable { detail } }) => {
            End::Undone { detail }
        }
        Ok(CheckoutStands::Failed { failure }) => End::Known(failed(&failure)),
    })
}

async fn post(
    lane: &mut Lane,
    step: Step,
    path: &str,
    key: String,
    body: Bytes,
    wanted: Wanted,
) -> Result<Answer, Away> {
    lane.insist(&Ask {
        step,
        method: Method::POST,
        path,
        key: Some(key),
        body,
        wanted,
        settled_by: None,
    })
    .await
}

/// Asks after something that is under way until it no longer is, or patience ends: then it is given as it stands.
async fn follow<T: serde::de::DeserializeOwned>(
    lane: &mut Lane,
    step: Step,
    mut answer: Answer,
    is_under_way: impl Fn(&T) -> bool,
) -> Result<Result<T, Outcome>, Away> {
    let at = answer.location.clone();
    let mut tries = lane.patience().tries();
    loop {
        if !answer.status.is_success() {
            return Ok(Err(done(&answer)));
        }
        let stands: T = match serde_json::from_slice(&answer.body) {
            Ok(stands) => stands,
            Err(error) => {
                return Ok(Err(refused("an answer of another shape", &error.to_string())));
            }
        };
        if !is_under_way(&stands) {
            return Ok(Ok(stands));
        }
        let Some(path) = &at else {
            return Ok(Err(refused("no location to ask at", &answer.status.to_string())));
        };
        let Some(pause) = tries.pause(Instant::now(), None) else { return Ok(Ok(stands)) };
        tokio::time::sleep(pause).await;
        let (method, body, wanted) = (Method::GET, Bytes::new(), Wanted::Body);
        answer = lane
            .insist(&Ask { step, method, path, key: None, body, wanted, settled_by: None })
            .await?;
    }
}

fn location(answer: &Answer) -> Option<String> {
    answer.status.is_success().then(|| answer.location.clone()).flatten()
}

/// The end of what has only good and bad answers.
fn done(answer: &Answer) -> Outcome {
    match answer.status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Outcome::Settled,
        StatusCode::ACCEPTED => refused("accepted without a place to ask at", ""),
        _ => {
            let (why, detail) = answer.problem();
            Outcome::Refused { why, detail }
        }
    }
}

fn failed(failure: &CheckoutFailure) -> Outcome {
    let detail = serde_json::to_string(failure).unwrap_or_default();
    let why = match failure {
        CheckoutFailure::OutOfStock { .. } => "not everything is in stock",
        CheckoutFailure::PaymentDeclined { .. } => "the payment was declined",
        CheckoutFailure::ReservationExpired => "the reservation ran out",
        CheckoutFailure::CaptureDeclined { .. } => "the payment could not be captured",
        CheckoutFailure::Unavailable { .. } => "a part of the shop was away",
        CheckoutFailure::Abandoned => "an operator ended it",
    };
    refused(why, &detail)
}

fn refused(why: &str, detail: &str) -> Outcome {
    Outcome::Refused { why: why.to_owned(), detail: detail.to_owned() }
}
