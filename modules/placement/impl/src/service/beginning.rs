//! How a carve begins.

use diesel::result::Error;
use placement_api::{Begin, BeginError, Carve, CarveBegun, Deployment, READS_MAX, Site};

use ::store::{Abort, Tx};

use crate::{
    domain::{Facts, State},
    store::{self, CarveRow, Line},
};

pub(super) fn begin(tx: &mut Tx<'_>, wish: &Begin) -> Result<Carve, Abort<BeginError>> {
    if wish.module.as_str() == "placement" {
        return Err(Abort::Refused(BeginError::Placement));
    }
    if wish.plan.reads.len() > READS_MAX {
        return Err(Abort::Refused(BeginError::TooManyReads));
    }
    if !wish.plan.reads.is_sorted_by(|before, after| before < after) {
        return Err(Abort::Refused(BeginError::ReadsFall));
    }
    let (epoch, owner) = store::place(tx.connection(), &wish.module)?
        .ok_or(Abort::Refused(BeginError::UnknownModule))?;
    let source: Deployment = owner.parse().map_err(|error| {
        Error::DeserializationError(Box::<placement_api::NameError>::new(error))
    })?;
    if source == wish.to {
        return Err(Abort::Refused(BeginError::ThereAlready { owner: source }));
    }
    if store::carve(tx.connection(), wish.carve)?.is_some() {
        return Err(Abort::Refused(BeginError::IdTaken));
    }
    let row = row(tx, wish, source, epoch);
    if !store::insert_carve(tx.connection(), &row)? {
        let open = store::open_carves(tx.connection())?;
        let moving = open.iter().find(|carve| carve.module == wish.module);
        // Gone in between, or the id came in between: asking again tells.
        let refusal =
            moving.map_or(BeginError::IdTaken, |carve| BeginError::Moving { carve: carve.id });
        return Err(Abort::Refused(refusal));
    }
    let (url, database) = (wish.url.clone(), wish.database.clone());
    let site = Site { deployment: wish.to.clone(), url, database };
    store::say_site(tx.connection(), &wish.module, &site)?;
    let State { leg, step, .. } = row.state;
    let line = Line { leg, step, says: wish.reason.to_string(), at: tx.now() };
    store::append(tx.connection(), row.id, &[line])?;
    tx.emit(&CarveBegun {
        carve: row.id,
        module: row.module.clone(),
        from: row.source.clone(),
        to: row.target.clone(),
        who: row.who.clone(),
        reason: row.reason.clone(),
    })?;
    Ok(row.shown())
}

fn row(tx: &Tx<'_>, wish: &Begin, source: Deployment, epoch: u64) -> CarveRow {
    CarveRow {
        id: wish.carve,
        module: wish.module.clone(),
        source,
        target: wish.to.clone(),
        source_data: None,
        target_data: None,
        plan: wish.plan.clone(),
        who: wish.who.clone(),
        reason: wish.reason.clone(),
        begun_at: tx.now(),
        ended_at: None,
        state: State::begun(epoch, tx.now()),
        version: 0,
        facts: Facts { says: "wished".to_owned(), ..Facts::default() },
        term: 0,
    }
}
