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
        Ok(data) => {
            let (found, counted) = found(desk, &wish, data).await.map_err(away)?;
            blockers.extend(found);
            size = counted;
        }
        Err(HostError::Blocked(blocker)) => blockers.push(blocker),
        Err(HostError::NotReady(why)) => blockers.push(not_ready(&wish.to, why)),
    }
    let survey = desk.ports.surveyor.survey(&wish).await;
    let survey = survey.map_err(|error| away(error.0))?;
    blockers.extend(survey.blockers);
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

fn away<R>(why: String) -> Fault<R> {
    Fault::NotExecuted(NotExecuted::new(Reason::Unavailable, why))
}

fn not_ready(to: &Deployment, why: String) -> Blocker {
    Blocker { kind: "not_ready".to_owned(), about: to.to_string(), detail: why }
}

/// Both sides as they would be.
async fn sides(desk: &Desk, call: &Call, wish: &DryRun) -> Answer<Sides, DryRunError> {
    let (module, to) = (wish.module.clone(), wish.to.clone());
    let (from, to) = desk
        .store
        .read(call, move |c| {
            let (_, owner) =
                store::place(c, &module)?.ok_or(Abort::Refused(DryRunError::UnknownModule))?;
            let owner: Deployment = owner.parse().map_err(|_bad| diesel::NotFound)?;
            if owner == to {
                return Err(Abort::Refused(DryRunError::ThereAlready { owner }));
            }
            Ok((store::site(c, &module, &owner)?.0, store::site(c, &module, &to)?.0))
        })
        .await?;
    let to = Site {
        url: wish.url.clone().or(to.url),
        database: wish.database.clone().or(to.database),
        deployment: to.deployment,
    };
    Ok(Sides { module: wish.module.clone(), from, to })
}

/// What stands in the way in the data, and how much there is.
async fn found(
    desk: &Desk,
    wish: &DryRun,
    (from, to): (Database, Database),
) -> Result<(Vec<Blocker>, Size), String> {
    let which = Move { carve: Id::fresh(), module: wish.module.clone(), from, to };
    let readiness = match desk.movements.of(&which) {
        Ok(movement) => movement.readiness().await,
        Err(trouble) => Err(trouble),
    };
    match readiness {
        Ok(found) => Ok(found),
        Err(Trouble::Blocked(why)) => Ok((vec![not_ready(&wish.to, why)], Size::default())),
        Err(Trouble::NotNow(why) | Trouble::Failed(why) | Trouble::Unknown(why)) => Err(why),
    }
}
