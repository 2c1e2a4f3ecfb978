//! The operator's API on the internal listener: what `banyan deadletters`, `backup`, `verify` and `modules` ask.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Json, ServiceConfig, get, post, put},
};
use http_api::{OperatorToken, Problem, ProblemType, problems};
use serde::{Deserialize, Serialize};
use telemetry::LogHandle;

use crate::operations::{BackUp, LetterKey, LetterOrder, Operations};

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

/// The level of the log, there and back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLevel {
    level: String,
}

type Answered = Result<HttpResponse, Problem>;

/// Mounts it.
pub fn configure(config: &mut ServiceConfig) {
    config
        .route("/ops/subscriptions", get().to(subscriptions))
        .route("/ops/deadletters", get().to(dead_letters))
        .route("/ops/deadletters/show", post().to(show_letter))
        .route("/ops/deadletters/replay", post().to(replay_letter))
        .route("/ops/deadletters/discard", post().to(discard_letter))
        .route("/ops/calls", get().to(calls))
        .route("/ops/backup", post().to(back_up))
        .route("/log-level", get().to(log_level))
        .route("/log-level", put().to(set_log_level));
}

/// Lets only those through who show the control token.
fn admit(request: &HttpRequest) -> Result<(), Problem> {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = shown.and_then(|text| text.strip_prefix("Bearer "));
    let control = request.app_data::<Data<Control>>();
    match (token, control) {
        (Some(token), Some(control)) if control.0.admits(token) => Ok(()),
        (Some(_) | None, Some(_) | None) => Err(Problem::of(&problems::UNAUTHENTICATED)
            .detail("this wants the deployment's control token: use the banyan command with the server's --data")),
    }
}

fn answered<T: Serialize>(outcome: anyhow::Result<T>) -> Answered {
    match outcome {
        Ok(answer) => Ok(HttpResponse::Ok().json(answer)),
        Err(error) => Err(Problem::of(&FAILED).detail(format!("{error:#}"))),
    }
}

async fn subscriptions(request: HttpRequest, operations: Data<dyn Operations>) -> Answered {
    admit(&request)?;
    answered(operations.subscriptions().await)
}

async fn dead_letters(request: HttpRequest, operations: Data<dyn Operations>) -> Answered {
    admit(&request)?;
    answered(operations.dead_letters().await)
}

async fn show_letter(
    request: HttpRequest,
    operations: Data<dyn Operations>,
    key: Json<LetterKey>,
) -> Answered {
    admit(&request)?;
    answered(operations.dead_letter(&key).await)
}

async fn replay_letter(
    request: HttpRequest,
    operations: Data<dyn Operations>,
    key: Json<LetterKey>,
) -> Answered {
    admit(&request)?;
    answered(operations.order_letter(&key, LetterOrder::Replay).await)
}

async fn discard_letter(
    request: HttpRequest,
    operations: Data<dyn Operations>,
    key: Json<LetterKey>,
) -> Answered {
    admit(&request)?;
    answered(operations.order_letter(&key, LetterOrder::Discard).await)
}

async fn calls(request: HttpRequest, operations: Data<dyn Operations>) -> Answered {
    admit(&request)?;
    answered(operations.calls().await)
}

async fn back_up(
    request: HttpRequest,
    operations: Data<dyn Operations>,
    wish: Json<BackUp>,
) -> Answered {
    admit(&request)?;
    answered(operations.back_up(&wish.directory, wish.module.as_deref()).await)
}

async fn log_level(request: HttpRequest, log: Data<Option<LogHandle>>) -> Answered {
    admit(&request)?;
    answered(handle(&log).and_then(|log| Ok(LogLevel { level: log.level()? })))
}

async fn set_log_level(
    request: HttpRequest,
    log: Data<Option<LogHandle>>,
    wish: Json<LogLevel>,
) -> Answered {
    admit(&request)?;
    let set = handle(&log).and_then(|log| Ok(log.set_level(&wish.level)?));
    answered(set.map(|()| wish.into_inner()))
}

fn handle(log: &Option<LogHandle>) -> anyhow::Result<&LogHandle> {
    log.as_ref().ok_or_else(|| anyhow::anyhow!("this process has no log of its own"))
}
