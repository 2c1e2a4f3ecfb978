//! The settlement saga's calls and effects. Its table of transitions is `domain/settlement.rs`.

use std::{borrow::Cow, sync::Arc};

use contract::{Answer, Fault, NotExecuted, Reason, async_trait};
use inventory_api::{Inventory, PutBack};
use kernel_api::{Bounded, Id};
use ordering_api::{OrderRefunded, ReturnNote, Settlement};
use payments_api::{Credit, Payments, RefundPayment, RefundReason};
use saga::{Acted, ApplyError, Definition, SagaId, Transition, Turn};

use ::store::{Abort, Store, Tx};

use super::{
    stock::line,
    writing::{hold, record},
};
use crate::{
    domain::{
        order::{Wish, decide},
        settlement::{self, Outcome, State, Step},
    },
    store::{self, NoteRow},
};

/// What a settlement asks, and whom.
pub(super) struct SettlementSaga {
    pub store: Store,
    pub inventory: Arc<dyn Inventory>,
    pub payments: Arc<dyn Payments>,
}

#[async_trait]
impl Definition for SettlementSaga {
    const KIND: &'static str = "ordering.settlement";
    const VERSION: u32 = 1;
    type State = State;
    type Outcome = Outcome;

    fn step(state: &State) -> Cow<'static, str> {
        state.name()
    }

    fn next(state: &State, outcome: &Outcome) -> Transition<State> {
        settlement::next(state, outcome)
    }

    async fn act(&self, turn: &Turn, state: &State) -> Acted<Outcome> {
        if state.step == Step::Settled {
            return Acted::Known(Outcome::Done);
        }
        let note = match self.note(turn, state.note).await {
            Ok(note) => note,
            Err(why) => return Acted::NotExecuted(why),
        };
        match state.step {
            Step::PutBack => self.put_back(turn, &note).await,
            Step::Pay(piece) => self.pay(turn, &note, piece).await,
            Step::Settled => Acted::Known(Outcome::Done),
        }
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        _saga: SagaId,
        from: &State,
        transition: &Transition<State>,
    ) -> Result<(), ApplyError> {
        let ended = match transition {
            Transition::Go(_) => false,
            Transition::Done(_) => true,
            Transition::Again { .. } | Transition::Compensated(_) | Transition::Stuck { .. } => {
                return Ok(());
            }
        };
        if let Step::Pay(piece) = from.step {
            let note = store::note(tx.connection(), from.note)?;
            let note = note.ok_or_else(|| ApplyError::Forbidden("the note is gone".to_owned()))?;
            let settlement = piece_of(&note, piece).map_err(ApplyError::Forbidden)?;
            paid_back(tx, from.note, &settlement)?;
        }
        if ended {
            store::settle_note(tx.connection(), from.note)?;
        }
        Ok(())
    }
}

impl SettlementSaga {
    async fn note(&self, turn: &Turn, id: Id<ReturnNote>) -> Result<NoteRow, NotExecuted> {
        let read: Answer<Option<NoteRow>, contract::Never> =
            self.store.read(&turn.call, move |c| Ok(store::note(c, id)?)).await;
        read.map_err(unread)?
            .ok_or_else(|| NotExecuted::new(Reason::Failed, "there is no such return"))
    }

    async fn put_back(&self, turn: &Turn, note: &NoteRow) -> Acted<Outcome> {
        let items = match note.items() {
            Ok(items) => items,
            Err(error) => return Acted::Known(Outcome::Refused(error.to_string())),
        };
        let lines: Option<Vec<_>> = items
            .iter()
            .filter_map(|item| Some((item.line.sku()?, -item.line.quantity)))
            .map(|(sku, quantity)| line(sku, quantity))
            .collect();
        let wish = lines.and_then(|lines| {
            Some(PutBack {
                reference: format!("return:{}", note.id).parse().ok()?,
                reason: "returned by the customer".parse().ok()?,
                lines: Bounded::new(lines).ok()?,
            })
        });
        let Some(wish) = wish else {
            return Acted::Known(Outcome::Refused("its lines are no stock's lines".to_owned()));
        };
        Acted::of(self.inventory.put_back(&turn.command(), wish).await, |done| match done {
            Ok(()) => Outcome::Done,
            Err(refusal) => Outcome::Refused(refusal.to_string()),
        })
    }

    async fn pay(&self, turn: &Turn, note: &NoteRow, piece: usize) -> Acted<Outcome> {
        let Settlement { id, order, amount, .. } = match piece_of(note, piece) {
            Ok(settlement) => settlement,
            Err(problem) => return Acted::Known(Outcome::Refused(problem)),
        };
        // What rounds to nothing moves nothing; it is only booked.
        if amount.minor == 0 {
            return Acted::Known(Outcome::Done);
        }
        let reason = RefundReason::out_of(&note.reason);
        let command = turn.command();
        match order {
            Some(order) => {
                let (payment, refund) = (order.cast(), id.cast());
                let wish = RefundPayment { payment, refund, amount, reason };
                Acted::of(self.payments.refund(&command, wish).await, |done| match done {
                    Ok(_receipt) => Outcome::Done,
                    Err(refusal) => Outcome::Refused(refusal.to_string()),
                })
            }
            None => {
                let wish = Credit { credit: id.cast(), amount, reason, token: None };
                Acted::of(self.payments.credit(&command, wish).await, |done| match done {
                    Ok(_receipt) => Outcome::Done,
                    Err(refusal) => Outcome::Refused(refusal.to_string()),
                })
            }
        }
    }
}

/// A read that failed, as a step that was not executed: reading has no effect.
pub(super) fn unread(fault: Fault<contract::Never>) -> NotExecuted {
    match fault {
        Fault::Refused(never) => match never {},
        Fault::NotExecuted(why) => why,
        Fault::Unknown(why) => NotExecuted::new(Reason::Unavailable, why.detail),
    }
}

fn piece_of(note: &NoteRow, piece: usize) -> Result<Settlement, String> {
    let mut settlements = note.settlements().map_err(|error| error.to_string())?;
    if piece < settlements.len() {
        Ok(settlements.swap_remove(piece))
    } else {
        Err(format!("the return has no piece {piece}"))
    }
}

/// A piece of money has gone back: the order's event, and the fact for others.
pub(super) fn paid_back(
    tx: &mut Tx<'_>,
    note: Id<ReturnNote>,
    settlement: &Settlement,
) -> Result<(), ApplyError> {
    let at = tx.now();
    if let Some(id) = settlement.order {
        let order = hold::<contract::Never>(tx, id).map_err(database)?;
        let mut order =
            order.ok_or_else(|| ApplyError::Forbidden(format!("order {id} is gone")))?;
        let wish = Wish::Refund { note, amount_minor: settlement.amount.minor };
        let event = decide(&order, wish).map_err(|_refusal| {
            ApplyError::Forbidden(format!("order {id} is {:?}", order.status))
        })?;
        record::<contract::Never>(tx, id, &mut order, &event, at).map_err(database)?;
    }
    tx.emit(&refunded(note, settlement, at))?;
    Ok(())
}

/// The fact that others hear of a piece of money.
pub(super) fn refunded(
    note: Id<ReturnNote>,
    settlement: &Settlement,
    at: kernel_api::Timestamp,
) -> OrderRefunded {
    OrderRefunded {
        order: settlement.order,
        note,
        refund: settlement.id,
        refunded: settlement.amount,
        parts: settlement.parts.clone(),
        at,
    }
}

/// An abort that cannot be a refusal, as the saga's error.
pub(super) fn database(abort: Abort<contract::Never>) -> ApplyError {
    match abort {
        Abort::Refused(never) => match never {},
        Abort::Failed(error) => ApplyError::Database(error),
    }
}
