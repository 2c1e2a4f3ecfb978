//! The admin API's handlers: each one asks the steering or the engine, off the server's thread where it takes time.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::{StatusCode, header},
    web::{Data, Path, block},
};
use http_api::{FieldError, Json, OperatorToken, Problem, ProblemType, problems};
use serde::Serialize;
use telemetry::{Health, HealthReport, Metrics};

use super::answers::{
    KillStatus, KillWish, ParkWish, Parked, Status, Switched, ToggleWish, Undone,
};
use crate::{
    config::{ConfigError, Fault, KillSource, Snapshot},
    route::{RouteId, Stage, State, UpstreamId},
    seen::recent::{FAILED, LAST, SAMPLED, TROUBLED},
    steer::{Asked, Engine, SteerError, Steering, Switch, Target, Toggle, explain as told},
};

/// The configuration is wrong, or would be.
const CONFIG_WRONG: ProblemType = ProblemType::new(
    "configuration-wrong",
    422,
    "The configuration is wrong; the one in force stays",
);

/// The file is at another version.
const VERSION: ProblemType =
    ProblemType::new("version-mismatch", 412, "The configuration is at another version");

/// The group is somebody else's for now.
const RESERVED: ProblemType =
    ProblemType::new("reserved", 409, "These toggles are somebody else's for now");

/// Something cannot be written.
const NOT_WRITTEN: ProblemType =
    ProblemType::new("not-written", 500, "The change cannot be written, so nothing was changed");

/// Another process takes this one's place.
const LEAVING: ProblemType =
    ProblemType::new("being-replaced", 503, "Another binary takes over at this moment");

type Answered = Result<HttpResponse, Problem>;

/// That the token was shown. Every handler's first parameter: the parameters are made in their order, so nothing of a
/// request is read before.
pub struct Admitted;

impl FromRequest for Admitted {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let shown = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let shown = shown.and_then(|text| text.strip_prefix("Bearer "));
        let token = request.app_data::<Data<OperatorToken>>();
        ready(match (shown, token) {
            (Some(shown), Some(token)) if token.admits(shown) => Ok(Self),
            (Some(_) | None, Some(_) | None) => Err(Problem::of(&problems::UNAUTHENTICATED).detail(
                "this wants the admin token as `Authorization: Bearer …`; it stands in the token file beside the configuration",
            )),
        })
    }
}

pub async fn status(_: Admitted, steering: Data<Steering>, engine: Data<dyn Engine>) -> Answered {
    off_thread(move || Status::of(&steering, &**engine)).await.map(|status| {
        let etag = format!("\"{}\"", status.revision);
        HttpResponse::Ok().insert_header((header::ETAG, etag)).json(status)
    })
}

pub async fn toggle(
    _: Admitted,
    request: HttpRequest,
    steering: Data<Steering>,
    name: Path<String>,
    wish: Json<ToggleWish>,
) -> Answered {
    let Json(wish) = wish;
    let stage = match (wish.stage, wish.weight) {
        (Some(stage), _) => stage,
        (None, Some(_)) => Stage::Canary,
        (None, None) => return Err(Problem::malformed("stage", "say a stage, a weight or both")),
    };
    let target = Target {
        name: name.into_inner(),
        expected: expected(&request),
        who: who(&request, wish.who.as_deref()),
        why: wish.reason,
    };
    let toggle = Toggle { stage, weight: wish.weight };
    let changed = off_thread(move || steering.toggle(&target, toggle)).await?.map_err(problem)?;
    let etag = format!("\"{}\"", changed.revision);
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).json(changed))
}

pub async fn kill(
    _: Admitted,
    request: HttpRequest,
    steering: Data<Steering>,
    wish: Json<KillWish>,
) -> Answered {
    let who = who(&request, wish.who.as_deref());
    switch(steering, Switch::On, who, wish.0.reason).await
}

pub async fn unkill(_: Admitted, request: HttpRequest, steering: Data<Steering>) -> Answered {
    let who = who(&request, None);
    switch(steering, Switch::Off, who, String::new()).await
}

async fn switch(steering: Data<Steering>, to: Switch, who: String, reason: String) -> Answered {
    let switched = off_thread(move || {
        let notes = steering.switch(to, KillSource::Api, &who, &reason);
        let kill = steering.shared().get().kill.as_ref().map(KillStatus::from);
        Switched { kill, notes }
    });
    Ok(HttpResponse::Ok().json(switched.await?))
}

pub async fn park(
    _: Admitted,
    request: HttpRequest,
    steering: Data<Steering>,
    engine: Data<dyn Engine>,
    name: Path<String>,
    wish: Json<ParkWish>,
) -> Answered {
    let Json(wish) = wish;
    let why = wish.reason;
    let target = Target { name: name.into_inner(), expected: None, who: who(&request, None), why };
    let parked = off_thread(move || steering.park(&target, Switch::On)).await?;
    let routes = parked.map_err(problem)?;
    let mut drained = wish.drain.map(|_| true);
    if let Some(within) = wish.drain {
        for route in &routes {
            if !engine.barrier(route, within.get()).await {
                drained = Some(false);
            }
        }
    }
    Ok(HttpResponse::Ok().json(Parked { routes, drained }))
}

pub async fn resume(
    _: Admitted,
    request: HttpRequest,
    steering: Data<Steering>,
    name: Path<String>,
) -> Answered {
    let target = Target {
        name: name.into_inner(),
        expected: None,
        who: who(&request, None),
        why: String::new(),
    };
    let resumed = off_thread(move || steering.park(&target, Switch::Off)).await?;
    Ok(HttpResponse::Ok().json(Undone { routes: resumed.map_err(problem)? }))
}

pub async fn reload(_: Admitted, request: HttpRequest, steering: Data<Steering>) -> Answered {
    #[derive(Serialize)]
    struct Reloaded {
        revision: String,
    }
    let who = who(&request, None);
    let revision = off_thread(move || steering.reload(&who)).await?;
    let revision = revision.map_err(|error| problem(error.into()))?.to_string();
    Ok(HttpResponse::Ok().json(Reloaded { revision }))
}

pub async fn explain(
    _: Admitted,
    steering: Data<Steering>,
    engine: Data<dyn Engine>,
    asked: Json<Asked>,
) -> Answered {
    let snapshot = steering.shared().get();
    let live = Live { engine: &**engine, snapshot: &snapshot };
    match told(&asked, &snapshot, &live) {
        Ok(explanation) => Ok(HttpResponse::Ok().json(explanation)),
        Err(error) => Err(Problem::malformed("url", error.to_string())),
    }
}

pub async fn recall(_: Admitted, engine: Data<dyn Engine>, trace: Path<String>) -> Answered {
    match engine.recall(&trace).await {
        told if told.is_empty() => Err(Problem::not_found(format!(
            "no request of this trace is remembered. Each worker has its last {LAST}, the last {FAILED} that failed, {TROUBLED} that went well only in the end, and {SAMPLED} others before, sampled; a restart forgets"
        ))),
        told => Ok(HttpResponse::Ok().json(told)),
    }
}

/// The upstreams as the running engine sees them.
struct Live<'a> {
    engine: &'a dyn Engine,
    snapshot: &'a Snapshot,
}

impl State for Live<'_> {
    fn is_usable(&self, route: RouteId, upstream: UpstreamId) -> bool {
        let (route, upstream) = (self.snapshot.route(route), self.snapshot.upstream(upstream));
        self.engine.is_usable(&route.name, &upstream.name)
    }
}

pub async fn drain(_: Admitted, engine: Data<dyn Engine>) -> Answered {
    engine.drain();
    Ok(HttpResponse::Accepted().finish())
}

pub async fn metrics(metrics: Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok().content_type(Metrics::CONTENT_TYPE).body(metrics.text())
}

pub async fn live(health: Data<Health>) -> HttpResponse {
    report(health.live())
}

pub async fn is_ready(health: Data<Health>) -> HttpResponse {
    report(health.ready())
}

pub async fn startup(health: Data<Health>) -> HttpResponse {
    report(health.startup())
}

fn report(report: HealthReport) -> HttpResponse {
    let status = if report.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).insert_header(("cache-control", "no-store")).json(report)
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    block(work).await.map_err(|error| {
        tracing::error!(%error, "an admin request failed");
        Problem::of(&problems::INTERNAL)
    })
}

/// The revision of `If-Match`; `*` and no header accept any.
fn expected(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::IF_MATCH)?.to_str().ok()?.trim();
    (value != "*").then(|| value.trim_matches('"').to_owned())
}

/// Who asks, for the audit log: as the caller says, and where from.
fn who(request: &HttpRequest, said: Option<&str>) -> String {
    /// A name, not a story.
    const NAME_MAX: usize = 100;
    let from = request.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
    let said: String =
        said.unwrap_or("admin").chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
    format!("{said} from {from}")
}

fn problem(error: SteerError) -> Problem {
    match error {
        SteerError::Unknown { .. } => Problem::not_found(error.to_string()),
        SteerError::Version { .. } => Problem::of(&VERSION).detail(error.to_string()),
        SteerError::Config(error) => wrong(&error),
        SteerError::Edit(_) => Problem::of(&CONFIG_WRONG).detail(error.to_string()),
        SteerError::Reserved { .. } => Problem::of(&RESERVED).detail(error.to_string()),
        SteerError::Busy => Problem::of(&VERSION).detail(error.to_string()),
        SteerError::Leaving => Problem::of(&LEAVING).retry_after(std::time::Duration::from_secs(1)),
        SteerError::Reason => Problem::malformed("reason", error.to_string()),
        SteerError::Write { ref source, .. } => {
            Problem::of(&NOT_WRITTEN).detail(format!("{error}: {source}"))
        }
    }
}

fn wrong(error: &ConfigError) -> Problem {
    let problem = Problem::of(&CONFIG_WRONG);
    match error {
        ConfigError::File { source, .. } => problem.detail(format!("{error}: {source}")),
        ConfigError::Faults(faults) => {
            let field =
                |fault: &Fault| FieldError { field: fault.key.clone(), detail: fault.to_string() };
            faults
                .iter()
                .map(field)
                .fold(problem, |problem, error| problem.field(error.field, error.detail))
        }
    }
}
