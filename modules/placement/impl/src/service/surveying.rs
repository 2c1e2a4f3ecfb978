//! The report before a carve.

use std::sync::Arc;

use contract::{Answer, Call, Fault, NotExecuted, Reason};
use kernel_api::Id;
use placement_api::{
    Blocker, Database, Deployment, DryRun, DryRunError, HostError, Readiness, Sides, Site, Size,
};

use ::store::Abort;

use crate::{
    desk::Desk,
    domain::At,
    movement::{Move, Trouble},
    store,
};

/// Rows a second of a copy between two databases on one machine, where none was measured.
const COPY_ROWS_PER_S: u64 = 300_000;

pub(super) async fn readiness(
    desk: &Arc<Desk>,
    call: &Call,
    wish: DryRun,
) -> Answer<Readiness, DryRunError> {
    if wish.module.as_str() == "placement" {
        return Err(Fault::Refused(DryRunError::Placement));
    }
    let sides = sides(desk, call, &wish).await?;
    let mut blockers = Vec::new();
    let mut size = Size::default();
    match desk.ports.hosts.locations(&sides).await {
        Ok((from, to)) if from == to => {
            let detail = format!("both sides would be at {from}: name another --to or --database");
            blockers.push(blocker("same_place", &wish.to, detail));
        }
        Ok(data) => {
            let given_up = given_up(desk, call, &wish, &data.1).await?;
            let (found, counted) = found(desk, &wish, data, given_up).await;
            blockers.extend(found);
            size = counted;
        }
        Err(HostError::Blocked(blocker)) => blockers.push(blocker),
        Err(HostError::NotReady(why)) => blockers.push(blocker("not_ready", &wish.to, why)),
    }
    let survey = desk.ports.surveyor.survey(&wish).await;
    let survey = survey.map_err(|error| away(error.0))?;
    blockers.extend(survey.blockers);
    if !wish.reads.is_empty() && !may_read_ahead(desk, &wish).await {
        let detail = "no proxy in front leads this module's reads anywhere: leave --reads out";
        blockers.push(blocker("no_proxy", &wish.to, detail.to_owned()));
    }
    Ok(Readiness {
        module: wish.module,
        from: sides.from.deployment,
        to: wish.to,
        ready: blockers.is_empty(),
        blockers,
        copy_s: Some(size.rows.div_ceil(COPY_ROWS_PER_S)),
        size,
        calls: survey.calls,
        added_us: survey.added_us,
    })
}

/// What the proxy leads nowhere is the monolith's: only towards others something moves ahead.
async fn may_read_ahead(desk: &Desk, wish: &DryRun) -> bool {
    wish.to != Deployment::MONOLITH && desk.ports.traffic.is_steerable(&wish.module).await
}

fn away<R>(why: String) -> Fault<R> {
    Fault::NotExecuted(NotExecuted::new(Reason::Unavailable, why))
}

fn blocker(kind: &str, to: &Deployment, why: String) -> Blocker {
    Blocker { kind: kind.to_owned(), about: to.to_string(), detail: why }
}

/// Both sides as they would be.
async fn sides(desk: &Desk, call: &Call, wish: &DryRun) -> Answer<Sides, DryRunError> {
    let (module, to) = (wish.module.clone(), wish.to.clone());
    let from = desk
        .store
        .read(call, move |c| {
            let (_, owner) =
                store::place(c, &module)?.ok_or(Abort::Refused(DryRunError::UnknownModule))?;
            let owner: Deployment = owner.parse().map_err(|_bad| diesel::NotFound)?;
            if owner == to {
                return Err(Abort::Refused(DryRunError::ThereAlready { owner }));
            }
            Ok(store::site(c, &module, &owner)?.0)
        })
        .await?;
    // What an earlier carve said of the target does not count, as it will not for the carve itself.
    let (url, database) = (wish.url.clone(), wish.database.clone());
    let to = Site { deployment: wish.to.clone(), url, database };
    Ok(Sides { module: wish.module.clone(), from, to })
}

async fn given_up(
    desk: &Desk,
    call: &Call,
    wish: &DryRun,
    to: &Database,
) -> Answer<Vec<At>, DryRunError> {
    let (module, to) = (wish.module.clone(), to.clone());
    desk.store.read(call, move |c| Ok(store::given_up(c, &module, &to)?)).await
}

/// What stands in the way in the data, and how much there is. A database that is away stands in the way, too.
async fn found(
    desk: &Desk,
    wish: &DryRun,
    (from, to): (Database, Database),
    given_up: Vec<At>,
) -> (Vec<Blocker>, Size) {
    let which = Move { carve: Id::fresh(), module: wish.module.clone(), from, to, given_up };
    let readiness = match desk.movements.of(&which) {
        Ok(movement) => movement.readiness().await,
        Err(trouble) => Err(trouble),
    };
    let (kind, why) = match readiness {
        Ok(found) => return found,
        Err(Trouble::Blocked(why)) => ("not_ready", why),
        Err(Trouble::NotNow(why) | Trouble::Failed(why) | Trouble::Unknown(why)) => ("away", why),
    };
    (vec![blocker(kind, &wish.to, why)], Size::default())
}
