//! The memory of the simulated provider.

use ::store::{Tx, on};
use diesel::{ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl};

use super::rows::word;
use crate::{provider::Ask, schema::simulator};

/// Counts an asking, and its effect (0 or 1) if it had none before; how often this reference was asked so far.
pub(crate) fn remember(tx: &mut Tx<'_>, ask: &Ask, effects: i64) -> QueryResult<i64> {
    let row = (
        simulator::reference.eq(&ask.reference),
        simulator::payment_id.eq(ask.payment.to_string()),
        simulator::operation.eq(word(&ask.kind)?),
        simulator::currency.eq(ask.amount.currency.to_string()),
        simulator::amount.eq(ask.amount.minor),
        simulator::asked.eq(0),
        simulator::effects.eq(0),
    );
    on!(tx.connection(), |c| diesel::insert_into(simulator::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?;
    on!(tx.connection(), |c| diesel::update(simulator::table.find(&ask.reference))
        .set((
            simulator::asked.eq(simulator::asked + 1),
            // At most one: a second effect of the same reference is what must never be.
            simulator::effects.eq(simulator::effects + effects - simulator::effects * effects),
        ))
        .execute(c))?;
    on!(tx.connection(), |c| simulator::table
        .find(&ask.reference)
        .select(simulator::asked)
        .get_result(c))
}
