//! Placement over HTTP. Everything here is the operator's.

mod page;

use std::sync::Arc;

use actix_web::{HttpResponse, http::header, web::Data};
use contract::Never;
use http_api::{
    Access, Ask, Json, Operation, Paging, Path, Problem, ProblemType, Query, Reply, Routes, Tell,
    problems,
};
use kernel_api::{Id, Page};
use placement_api::{
    Begin, BeginError, Carve, CarveError, Carves, Certificate, DryRun, DryRunError, Entry, Journal,
    JournalError, Module, PageError, Placement, Process, Readiness, Steer, SteerError, Table, Wish,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The deployment owns the module already.
const THERE_ALREADY: ProblemType =
    ProblemType::new("there-already", 409, "The module is there already");

/// Another carve moves the module.
const MOVING: ProblemType = ProblemType::new("carve-under-way", 409, "Another carve moves it");

/// The carve's id belongs to another wish.
const ID_TAKEN: ProblemType = ProblemType::new("carve-id-taken", 409, "The carve's id is taken");

/// The module stays where it is.
const STAYS: ProblemType = ProblemType::new("module-stays", 422, "The module cannot be moved");

/// The carve's state forbids the wish.
const NOT_IN_THIS_STATE: ProblemType =
    ProblemType::new("carve-state", 409, "The carve's state forbids it");

/// Which carves are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfModule {
    /// Only of this module.
    module: Option<Module>,
}

/// What is wanted of a carve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wished {
    /// Pause, resume, reverse, complete or cancel.
    wish: Wish,
}

/// The routes of placement.
pub fn routes(placement: Arc<dyn Placement>) -> Routes {
    let routes = Routes::new("placement")
        .data(placement)
        .add(
            operation(Operation::get("/v1/placement"), "Where every module is")
                .answers::<Table>(200),
            placed,
        )
        .add(
            operation(Operation::get("/v1/placement/processes"), "The processes that are there")
                .answers::<Vec<Process>>(200),
            processes,
        )
        .add(
            operation(
                Operation::post("/v1/placement/readiness"),
                "What a carve would meet; changes nothing",
            )
            .answers::<Readiness>(200)
            .problems(&[problems::NOT_FOUND, THERE_ALREADY, STAYS]),
            readiness,
        );
    of_carves(routes)
}

fn of_carves(routes: Routes) -> Routes {
    routes
        .add(
            operation(Operation::get("/v1/placement/carves"), "The carves, the newest first")
                .answers::<Page<Carve>>(200),
            carves,
        )
        .add(
            operation(Operation::post("/v1/placement/carves"), "Begins to move a module")
                .description(
                    "It is under way when this answers; ask at the location how far it is.",
                )
                .answers::<Carve>(202)
                .problems(&[problems::NOT_FOUND, THERE_ALREADY, MOVING, ID_TAKEN, STAYS]),
            begin,
        )
        .add(
            operation(Operation::get("/v1/placement/carves/{id}"), "A carve and how far it is")
                .answers::<Carve>(200)
                .problems(&[problems::NOT_FOUND]),
            carve,
        )
        .add(
            operation(
                Operation::post("/v1/placement/carves/{id}/wishes"),
                "Pauses, resumes, reverses, completes or cancels a carve",
            )
            .answers::<Carve>(202)
            .problems(&[problems::NOT_FOUND, NOT_IN_THIS_STATE]),
            steer,
        )
        .add(
            operation(Operation::get("/v1/placement/carves/{id}/journal"), "What a carve did")
                .answers::<Page<Entry>>(200)
                .problems(&[problems::NOT_FOUND]),
            journal,
        )
        .add(
            operation(
                Operation::get("/v1/placement/carves/{id}/certificate"),
                "What a carve proves",
            )
            .answers::<Certificate>(200)
            .problems(&[problems::NOT_FOUND]),
            certificate,
        )
        .add(
            operation(
                Operation::get("/v1/placement/carves/{id}/certificate.html"),
                "What a carve proves, as a page for people",
            )
            .answers_nothing(200)
            .problems(&[problems::NOT_FOUND]),
            certificate_page,
        )
}

fn operation(operation: Operation, summary: &'static str) -> Operation {
    operation.summary(summary).access(Access::Operator)
}

async fn placed(placement: Data<dyn Placement>, ask: Ask) -> Result<Json<Table>, Problem> {
    let answer = placement.placed(&ask, ()).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, never))
}

async fn processes(
    placement: Data<dyn Placement>,
    ask: Ask,
) -> Result<Json<Vec<Process>>, Problem> {
    let answer = placement.processes(&ask, ()).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, never))
}

async fn readiness(
    placement: Data<dyn Placement>,
    ask: Ask,
    body: Json<DryRun>,
) -> Result<Json<Readiness>, Problem> {
    let answer = placement.readiness(&ask, body.0).await;
    answer.map(Json).map_err(|fault| {
        Problem::from_fault(fault, |refusal| {
            let detail = refusal.to_string();
            match refusal {
                DryRunError::UnknownModule => Problem::not_found(detail),
                DryRunError::ThereAlready { .. } => Problem::of(&THERE_ALREADY).detail(detail),
                DryRunError::Placement => Problem::of(&STAYS).detail(detail),
            }
        })
    })
}

async fn carves(
    placement: Data<dyn Placement>,
    ask: Ask,
    of: Query<OfModule>,
    page: Paging,
) -> Result<Json<Page<Carve>>, Problem> {
    let answer = placement.carves(&ask, Carves { module: of.0.module, page: page.0 }).await;
    answer.map(Json).map_err(|fault| {
        Problem::from_fault(fault, |refusal| match refusal {
            PageError::BadCursor => Problem::malformed("after", refusal.to_string()),
        })
    })
}

async fn begin(
    placement: Data<dyn Placement>,
    tell: Tell,
    body: Json<Begin>,
) -> Result<Reply<Carve>, Problem> {
    let answer = placement.begin(&tell, body.0).await;
    answer.map(accepted).map_err(|fault| {
        Problem::from_fault(fault, |refusal| {
            let detail = refusal.to_string();
            match refusal {
                BeginError::UnknownModule => Problem::not_found(detail),
                BeginError::ThereAlready { .. } => Problem::of(&THERE_ALREADY).detail(detail),
                BeginError::Moving { carve } => {
                    Problem::of(&MOVING).detail(detail).with("carve", carve)
                }
                BeginError::IdTaken => Problem::of(&ID_TAKEN).detail(detail),
                BeginError::Placement => Problem::of(&STAYS).detail(detail),
                BeginError::TooManyReads | BeginError::ReadsFall => {
                    Problem::malformed("plan.reads", detail)
                }
            }
        })
    })
}

fn accepted(carve: Carve) -> Reply<Carve> {
    Reply::accepted(format!("/v1/placement/carves/{}", carve.id), carve)
}

async fn carve(
    placement: Data<dyn Placement>,
    ask: Ask,
    id: Path<Id<Carve>>,
) -> Result<Json<Carve>, Problem> {
    let answer = placement.carve(&ask, id.0).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, no_carve))
}

async fn steer(
    placement: Data<dyn Placement>,
    tell: Tell,
    id: Path<Id<Carve>>,
    body: Json<Wished>,
) -> Result<Reply<Carve>, Problem> {
    let answer = placement.steer(&tell, Steer { carve: id.0, wish: body.0.wish }).await;
    answer.map(accepted).map_err(|fault| {
        Problem::from_fault(fault, |refusal| match refusal {
            SteerError::NotFound => Problem::not_found(refusal.to_string()),
            SteerError::Ended | SteerError::TooLate | SteerError::TooEarly => {
                Problem::of(&NOT_IN_THIS_STATE).detail(refusal.to_string())
            }
        })
    })
}

async fn journal(
    placement: Data<dyn Placement>,
    ask: Ask,
    id: Path<Id<Carve>>,
    page: Paging,
) -> Result<Json<Page<Entry>>, Problem> {
    let answer = placement.journal(&ask, Journal { carve: id.0, page: page.0 }).await;
    answer.map(Json).map_err(|fault| {
        Problem::from_fault(fault, |refusal| match refusal {
            JournalError::NotFound => Problem::not_found(refusal.to_string()),
            JournalError::BadCursor => Problem::malformed("after", refusal.to_string()),
        })
    })
}

async fn certificate(
    placement: Data<dyn Placement>,
    ask: Ask,
    id: Path<Id<Carve>>,
) -> Result<Json<Certificate>, Problem> {
    let answer = placement.certificate(&ask, id.0).await;
    answer.map(Json).map_err(|fault| Problem::from_fault(fault, no_carve))
}

async fn certificate_page(
    placement: Data<dyn Placement>,
    ask: Ask,
    id: Path<Id<Carve>>,
) -> Result<HttpResponse, Problem> {
    let answer = placement.certificate(&ask, id.0).await;
    let certificate = answer.map_err(|fault| Problem::from_fault(fault, no_carve))?;
    Ok(HttpResponse::Ok()
        .insert_header(header::ContentType::html())
        // Nothing is loaded and nothing runs, whatever a reason or a name contains.
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(page::html(&certificate)))
}

fn no_carve(refusal: CarveError) -> Problem {
    match refusal {
        CarveError::NotFound => Problem::not_found(refusal.to_string()),
    }
}

fn never(refusal: Never) -> Problem {
    match refusal {}
}
