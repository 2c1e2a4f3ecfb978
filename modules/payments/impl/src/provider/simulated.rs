//! A provider that behaves as the payment's token says.
//!
//! | token | what it does |
//! |---|---|
//! | `tok_approve` | says yes |
//! | `tok_decline` | says no to authorisations and credits |
//! | `tok_timeout` | does it, and does not answer the first time it is asked |
//! | `tok_timeout_lost` | does not do it and does not answer the first time; does it the second |
//! | `tok_silent` | does it and never answers |
//! | `tok_late` | says yes after a delay |
//! | `tok_twice` | says yes, and sends the same answer again by itself |
//! | `tok_flaky` | the connection breaks the first time, nothing was done |
//!
//! With `:capture` (or `:authorise`, `:void`, `:refund`, `:credit`) after it, the token plays its part in that
//! operation only and approves the others. Any other token is declined. No token at all is approved: that is a credit
//! to an account on file.
//!
//! The answer of the tokens whose behaviour does not depend on how often they are asked follows from the question
//! alone, so they are idempotent without a memory, and cost the hot path no write. The others remember each reference
//! in a table of their own, in transactions of their own, as a provider elsewhere would: a kill between any two steps
//! loses nothing.

use std::time::Duration;

use ::store::Store;
use async_trait::async_trait;
use contract::{Call, Caller, Deadline, Never};
use payments_api::{OperationKind, Outcome, PaymentToken};
use tokio::sync::mpsc;

use super::{Ask, NoAnswer, Notice, Provider};
use crate::store;

/// How long the simulator's own database may take: as the store's patience with one statement.
const MEMORY_TIME: Duration = Duration::from_secs(15);

/// The simulated provider.
pub(crate) struct Simulated {
    store: Store,
    delay: Duration,
    notices: mpsc::Sender<Notice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Approve,
    Decline(&'static str),
    Timeout,
    TimeoutLost,
    Silent,
    Late,
    Twice,
    Flaky,
}

impl Simulated {
    /// A provider that answers late by `delay` and sends what it sends by itself to `notices`.
    pub fn new(store: Store, delay: Duration, notices: mpsc::Sender<Notice>) -> Self {
        Self { store, delay, notices }
    }

    /// Writes down that this was asked, and whether it has had its effect by now; how often it was asked.
    async fn remember(&self, ask: &Ask, effects: i64) -> Result<i64, NoAnswer> {
        let call = Call::new(Caller::module("payments"), Deadline::within(MEMORY_TIME));
        let ask = ask.clone();
        let asked =
            self.store.write::<_, Never>(&call, move |tx| Ok(store::remember(tx, &ask, effects)?));
        asked.await.map_err(|fault| NoAnswer(fault.to_string()))
    }
}

#[async_trait]
impl Provider for Simulated {
    async fn ask(&self, ask: &Ask) -> Result<Outcome, NoAnswer> {
        match behaviour(ask.token.as_ref(), ask.kind) {
            Behaviour::Approve => {}
            Behaviour::Decline(reason) => {
                return Ok(Outcome::Declined { reason: reason.to_owned() });
            }
            Behaviour::Late => tokio::time::sleep(self.delay).await,
            Behaviour::Twice => {
                let (payment, reference) = (ask.payment, ask.reference.clone());
                let notice = Notice { payment, reference, outcome: Outcome::Done };
                // A notice that nobody has room for is lost, as on a real network: nothing may depend on it.
                drop(self.notices.try_send(notice));
            }
            Behaviour::Timeout => {
                if self.remember(ask, 1).await? == 1 {
                    std::future::pending::<()>().await;
                }
            }
            Behaviour::TimeoutLost => {
                if self.remember(ask, 0).await? == 1 {
                    std::future::pending::<()>().await;
                }
                self.remember(ask, 1).await?;
            }
            Behaviour::Flaky => {
                if self.remember(ask, 0).await? == 1 {
                    return Err(NoAnswer("connection reset".to_owned()));
                }
                self.remember(ask, 1).await?;
            }
            Behaviour::Silent => {
                self.remember(ask, 1).await?;
                std::future::pending::<()>().await;
            }
        }
        Ok(Outcome::Done)
    }
}

fn behaviour(token: Option<&PaymentToken>, kind: OperationKind) -> Behaviour {
    let Some(token) = token else { return Behaviour::Approve };
    let (name, only) = match token.as_str().split_once(':') {
        Some((name, only)) => (name, Some(only)),
        None => (token.as_str(), None),
    };
    let opening = matches!(kind, OperationKind::Authorise | OperationKind::Credit);
    let this = match kind {
        OperationKind::Authorise => "authorise",
        OperationKind::Capture => "capture",
        OperationKind::Void => "void",
        OperationKind::Refund => "refund",
        OperationKind::Credit => "credit",
    };
    let plays = match only {
        Some(only) => only == this,
        None => name != "tok_decline" || opening,
    };
    match name {
        "tok_approve" => Behaviour::Approve,
        "tok_decline" if plays => Behaviour::Decline("declined by the issuer"),
        "tok_timeout" if plays => Behaviour::Timeout,
        "tok_timeout_lost" if plays => Behaviour::TimeoutLost,
        "tok_silent" if plays => Behaviour::Silent,
        "tok_late" if plays => Behaviour::Late,
        "tok_twice" if plays => Behaviour::Twice,
        "tok_flaky" if plays => Behaviour::Flaky,
        "tok_decline" | "tok_timeout" | "tok_timeout_lost" | "tok_silent" | "tok_late"
        | "tok_twice" | "tok_flaky" => Behaviour::Approve,
        _ => Behaviour::Decline("the provider does not know this token"),
    }
}

#[cfg(test)]
mod tests {
    use payments_api::OperationKind;

    use super::{Behaviour, behaviour};

    #[test]
    fn a_token_plays_its_part_where_it_says() {
        let unknown = Behaviour::Decline("the provider does not know this token");
        let declined = Behaviour::Decline("declined by the issuer");
        for (token, kind, expected) in [
            ("tok_approve", OperationKind::Authorise, Behaviour::Approve),
            ("tok_decline", OperationKind::Authorise, declined),
            ("tok_decline", OperationKind::Credit, declined),
            ("tok_decline", OperationKind::Refund, Behaviour::Approve),
            ("tok_decline:capture", OperationKind::Authorise, Behaviour::Approve),
            ("tok_decline:capture", OperationKind::Capture, declined),
            ("tok_timeout", OperationKind::Capture, Behaviour::Timeout),
            ("tok_timeout:refund", OperationKind::Capture, Behaviour::Approve),
            ("tok_timeout:refund", OperationKind::Refund, Behaviour::Timeout),
            ("tok_visa", OperationKind::Authorise, unknown),
            ("visa", OperationKind::Capture, unknown),
        ] {
            let token = token.parse().unwrap();
            assert_eq!(behaviour(Some(&token), kind), expected, "{token:?} {kind:?}");
        }
        assert_eq!(behaviour(None, OperationKind::Credit), Behaviour::Approve);
    }
}
