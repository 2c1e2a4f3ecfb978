//! What a process tells of itself, and what placement learns from it.

use std::time::Duration;

use diesel::QueryResult;
use placement_api::{Announce, AnnounceError, Housed, Moved, Table};

use ::store::{Abort, Tx};

use crate::{desk::table, domain::learnt, store};

/// Who was silent for so many times the time after which a process is not asked any more is forgotten.
const FORGOTTEN_AFTER: u32 = 60;

pub(super) fn announce(
    tx: &mut Tx<'_>,
    told: &Announce,
    silent_after: Duration,
) -> Result<Table, Abort<AnnounceError>> {
    let now = tx.now();
    if told.leaving {
        store::remove_process(tx.connection(), told.process)?;
    } else {
        store::put_process(tx.connection(), told, now)?;
        for housed in &told.modules {
            learn(tx, told, housed)?;
        }
    }
    let forgotten = now.minus(silent_after.saturating_mul(FORGOTTEN_AFTER));
    store::forget_processes(tx.connection(), forgotten)?;
    Ok(table(tx.connection(), now.minus(silent_after))?)
}

/// Placement follows the fence rows, also where nobody recorded a switch.
fn learn(tx: &mut Tx<'_>, told: &Announce, housed: &Housed) -> QueryResult<()> {
    let known = store::place(tx.connection(), &housed.module)?;
    let Some(at) = learnt(known.as_ref(), &told.deployment, housed) else { return Ok(()) };
    match known {
        // Who was quicker told the same or something newer; the next heartbeat sees it.
        None => {
            store::put_place(tx.connection(), &housed.module, &at)?;
        }
        Some(known) => {
            if store::move_place(tx.connection(), &housed.module, &known, &at)? {
                let (module, owner) = (housed.module.clone(), told.deployment.clone());
                tx.emit(&Moved { module, epoch: at.0, owner })?;
            }
        }
    }
    Ok(())
}
