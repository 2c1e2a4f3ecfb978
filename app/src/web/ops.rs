//! The operator's API on the internal listener: what `banyan feeds`, `deadletters`, `backup`, `verify`,
//! `modules` and `log-level` ask.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::header,
    web::{Data, ServiceConfig, get, post, put},
};
use http_api::{Json, OperatorToken, Problem, ProblemType, problems};
use serde::Serialize;
use telemetry::LogHandle;

use crate::operations::{BackUp, LetterKey, LetterOrder, LogLevel, Operations, Resumption};

/// What the operator wanted could not be done; the detail says why.
const FAILED: ProblemType = ProblemType::new("operation-failed", 409, "The operation failed");

/// What opens this API: derived from the deployment's secret, compared in constant time.
pub struct Control(OperatorToken);

impl Control {
    /// Opened by this token.
    pub fn new(token: &str) -> Self {
        Self(OperatorToken::new(token))
    }
}

pub(super) type Answered = Result<HttpResponse, Problem>;

/// Mounts it.
pub fn configure(config: &mut ServiceConfig) {
    config
        .route("/ops/subscriptions", get().to(subscriptions))
        .route("/ops/subscriptions/resume", post().to(resume))
        .route("/ops/deadletters", get().to(dead_letters))
        .route("/ops/deadletters/show", post().to(show_letter))
        .route("/ops/deadletters/replay", post().to(replay_letter))
        .route("/ops/deadletters/discard", post().to(discard_letter))
        .route("/ops/calls", get().to(calls))
        .route("/ops/backup", post().to(back_up))
        .route("/ops/log-level", get().to(log_level))
        .route("/ops/log-level", put().to(set_log_level));
}

/// That the control token was shown. Every handler's first parameter: the parameters are made in their order, so nothing
/// of a request is read before.
pub(super) struct Admitted;

impl FromRequest for Admitted {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let headers = request.headers();
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = shown.and_then(|text| text.strip_prefix("Bearer "));
        let control = request.app_data::<Data<Control>>();
        ready(match (token, control) {
            (Some(token), Some(control)) if control.0.admits(token) => Ok(Self),
            (Some(_) | None, Some(_) | None) => Err(Problem::of(&problems::UNAUTHENTICATED)
                .detail("this wants the deployment's control token: use the banyan command with the server's --data")),
        })
    }
}

pub(super) fn answered<T: Serialize>(outcome: anyhow::Result<T>) -> Answered {
    match outcome {
        Ok(answer) => Ok(HttpResponse::Ok().json(answer)),
        Err(error) => Err(Problem::of(&FAILED).detail(format!("{error:#}"))),
    }
}

async fn subscriptions(_: Admitted, operations: Data<dyn Operations>) -> Answered {
    answered(operations.subscriptions().await)
}

async fn resume(_: Admitted, operations: Data<dyn Operations>, wish: Json<Resumption>) -> Answered {
    answered(operations.resume(&wish).await)
}

async fn dead_letters(_: Admitted, operations: Data<dyn Operations>) -> Answered {
    answered(operations.dead_letters().await)
}

async fn show_letter(
    _: Admitted,
    operations: Data<dyn Operations>,
    key: Json<LetterKey>,
) -> Answered {
    answered(operations.dead_letter(&key).await)
}

async fn replay_letter(
    _: Admitted,
    operations: Data<dyn Operations>,
    key: Json<LetterKey>,
) -> Answered {
    answered(operations.order_letter(&key, LetterOrder::Replay).await)
}

async fn discard_letter(
    _: Admitted,
    operations: Data<dyn Operations>,
    key: Json<LetterKey>,
) -> Answered {
    answered(operations.order_letter(&key, LetterOrder::Discard).await)
}

async fn calls(_: Admitted, operations: Data<dyn Operations>) -> Answered {
    answered(operations.calls().await)
}

async fn back_up(_: Admitted, operations: Data<dyn Operations>, wish: Json<BackUp>) -> Answered {
    answered(operations.back_up(&wish.directory, wish.module.as_deref()).await)
}

async fn log_level(_: Admitted, log: Data<Option<LogHandle>>) -> Answered {
    answered(handle(&log).and_then(|log| Ok(LogLevel { level: log.level()? })))
}

async fn set_log_level(
    _: Admitted,
    log: Data<Option<LogHandle>>,
    wish: Json<LogLevel>,
) -> Answered {
    let set = handle(&log).and_then(|log| Ok(log.set_level(&wish.level)?));
    answered(set.map(|()| wish.0))
}

fn handle(log: &Option<LogHandle>) -> anyhow::Result<&LogHandle> {
    log.as_ref().ok_or_else(|| anyhow::anyhow!("this process has no log of its own"))
}
