//! History: documents of the past, written as they were. No saga runs and nobody is asked.

use contract::{Answer, Command, Fault};
use kernel_api::{Currency, Id, Sku};
use ordering_api::{
    IMPORT_DOCUMENTS_MAX, Import, ImportError, Imported, ImportedAdjustment, ImportedDocument,
    ImportedOrder, ImportedReturn, LINES_MAX, Line, OrderAdjusted, OrderPaid, Origin, QUANTITY_MAX,
    ReturnedItem, ReturnsError, SettledReturn, TEXT_LENGTH_MAX,
};

use ::store::{Abort, Tx};

use super::{
    Service,
    matching::{Matched, Unmatched},
    returning::{goods_of, note_row},
    settling::refunded,
    writing::record,
};
use crate::{
    domain::{
        order::{OrderEvent, OrderState, Sale, Wish, decide},
        returns::SplitError,
        sum, text,
    },
    store::{self, AdjustmentRow, NoteRow, SummaryRow},
};

impl Service {
    pub(super) async fn bring(
        &self,
        command: &Command,
        wish: Import,
    ) -> Answer<Imported, ImportError> {
        let Import { source, documents } = wish;
        if documents.len() > IMPORT_DOCUMENTS_MAX {
            let limit = IMPORT_DOCUMENTS_MAX;
            return Err(Fault::Refused(ImportError::TooManyDocuments { limit }));
        }
        if !text::is_good(&source, TEXT_LENGTH_MAX) {
            let error = bad("", "source", "is empty, too long or has control characters");
            return Err(Fault::Refused(error));
        }
        documents.iter().try_for_each(check).map_err(Fault::Refused)?;
        // Idempotent by the documents' references, so no answer of this size needs to be kept.
        self.store
            .write(command, move |tx| {
                let mut imported = Imported { new: 0, known: 0, settled: Vec::new() };
                for document in &documents {
                    let new = match document {
                        ImportedDocument::Order(order) => import_order(tx, &source, order)?,
                        ImportedDocument::Return(back) => {
                            let (new, settled) = import_return(tx, &source, back)?;
                            imported.settled.push(settled);
                            new
                        }
                        ImportedDocument::Adjustment(adjustment) => {
                            import_adjustment(tx, &source, adjustment)?
                        }
                    };
                    *if new { &mut imported.new } else { &mut imported.known } += 1;
                }
                Ok(imported)
            })
            .await
    }
}

fn bad(reference: &str, field: impl Into<String>, problem: &str) -> ImportError {
    let (reference, field) = (reference.to_owned(), field.into());
    ImportError::BadDocument { reference, field, problem: problem.to_owned() }
}

/// Checks a document by itself.
fn check(document: &ImportedDocument) -> Result<(), ImportError> {
    let (reference, lines, currency, rows) = match document {
        ImportedDocument::Order(d) => (&d.reference, &d.lines, d.currency, d.rows),
        ImportedDocument::Return(d) => (&d.reference, &d.lines, d.currency, d.rows),
        ImportedDocument::Adjustment(d) => (&d.reference, &d.lines, d.currency, d.rows),
    };
    let bad = |field: &str, problem: &str| bad(reference, field, problem);
    if !text::is_good(reference, TEXT_LENGTH_MAX) {
        return Err(bad("reference", "is empty, too long or has control characters"));
    }
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(bad("lines", "must be 1 to 2000"));
    }
    if rows < 0 {
        return Err(bad("rows", "must not be negative"));
    }
    for (index, line) in lines.iter().enumerate() {
        let bad = |field: &str, problem| bad(&format!("lines[{index}].{field}"), problem);
        if line.quantity == 0 || line.quantity.unsigned_abs() > QUANTITY_MAX.unsigned_abs() {
            return Err(bad("quantity", "must be 1 to a million, of either sign"));
        }
        if line.unit_price.currency != currency {
            return Err(bad("unit_price", "is not in the document's currency"));
        }
        if line.sku().is_some() && line.unit_price.micros < 0 {
            return Err(bad("unit_price", "of a product must not be negative"));
        }
        let wrong_sign = match document {
            ImportedDocument::Order(_) => line.quantity < 0,
            ImportedDocument::Return(_) => line.quantity > 0,
            ImportedDocument::Adjustment(_) => line.sku().is_some(),
        };
        if wrong_sign {
            return Err(bad(
                "quantity",
                "an order sells, a return takes back, an adjustment has services only",
            ));
        }
    }
    sum::of(lines, currency)
        .map(|_sum| ())
        .map_err(|index| bad(&format!("lines[{index}]"), "makes an amount that is too large"))
}

fn check_customer(
    tx: &mut Tx<'_>,
    customer: Option<Id<ordering_api::Customer>>,
    reference: &str,
) -> Result<(), Abort<ImportError>> {
    match customer {
        Some(customer) if !store::customer_exists(tx.connection(), customer)? => {
            let reference = reference.to_owned();
            Err(Abort::Refused(ImportError::UnknownCustomer { reference }))
        }
        Some(_) | None => Ok(()),
    }
}

/// A document that is there already must be the one that comes again.
fn same(known: bool, reference: &str) -> Result<(), Abort<ImportError>> {
    let reference = || reference.to_owned();
    if known {
        Ok(())
    } else {
        Err(Abort::Refused(ImportError::Changed { reference: reference() }))
    }
}

/// The sum of lines that [`check`] has summed before.
fn summed(lines: &[Line], currency: Currency) -> Result<ordering_api::Sum, Abort<ImportError>> {
    sum::of(lines, currency)
        .map_err(|_checked| Abort::Failed(diesel::result::Error::RollbackTransaction))
}

fn import_order(
    tx: &mut Tx<'_>,
    source: &str,
    order: &ImportedOrder,
) -> Result<bool, Abort<ImportError>> {
    let ImportedOrder { id, reference, customer, currency, lines, rows, at } = order;
    if let Some(there) = store::order_by_reference(tx.connection(), source, reference)? {
        let net = summed(lines, *currency)?.net;
        same(there.id()? == *id && there.net_micros == net.micros, reference)?;
        return Ok(false);
    }
    check_customer(tx, *customer, reference)?;
    let sale = Sale {
        reference: Some(reference.clone()),
        customer: *customer,
        secret: None,
        source: Some((source.to_owned(), *rows)),
        currency: *currency,
        lines: lines.clone(),
    };
    let event = OrderEvent::Imported(sale);
    let c = tx.connection();
    store::append(c, *id, 1, &event, *at)?;
    let state = OrderState::begin(event, *at)
        .map_err(|broken| diesel::result::Error::DeserializationError(Box::new(broken)))?;
    store::insert_summary(c, &SummaryRow::of(*id, &state)?)?;
    store::insert_lines(c, *id, &store::lines_to_text(lines)?)?;
    let ordering_api::Sum { parts, total, .. } = state.sum;
    tx.emit(&OrderPaid { order: *id, charged: total, parts, at: *at })?;
    Ok(true)
}

fn import_return(
    tx: &mut Tx<'_>,
    source: &str,
    back: &ImportedReturn,
) -> Result<(bool, SettledReturn), Abort<ImportError>> {
    let ImportedReturn { id, reference, customer, currency, lines, rows, at } = back;
    if let Some(there) = store::note_by_reference(tx.connection(), source, reference)? {
        let net = summed(lines, *currency)?.net;
        same(there.id()? == *id && there.net_micros == net.micros, reference)?;
        let settlements = there.settlements()?;
        let reference = reference.clone();
        return Ok((false, SettledReturn { note: *id, reference, settlements }));
    }
    let wanted: Vec<(Sku, i64)> =
        lines.iter().filter_map(|line| Some((line.sku()?.clone(), -line.quantity))).collect();
    let mut matched = Matched::of(tx, *customer, &wanted, *currency, *at)
        .map_err(|abort| unfound(abort, reference))?;
    let items: Vec<_> = lines
        .iter()
        .map(|line| {
            let taken = line.sku().map(|sku| matched.allocate(sku, -line.quantity).0);
            let allocations = taken.into_iter().flatten().map(|(one, _price)| one).collect();
            ReturnedItem { line: line.clone(), allocations }
        })
        .collect();
    let mut accepted = matched
        .write(tx, *id, items, *currency, *at)
        .map_err(|unmatched| unwritten(unmatched, reference))?;
    accepted.reference = Some(reference.clone());
    accepted.customer = *customer;
    let row = note_row(&accepted, (Origin::History, Some((source, *rows))), *at)?;
    let row = NoteRow { settled: true, ..row };
    store::insert_note(tx.connection(), &row)?;
    store::insert_return_lines(tx.connection(), &row.id, &goods_of(&accepted.items))?;
    for settlement in &accepted.split.settlements {
        if let Some(order) = settlement.order
            && let Some(state) = matched.order_mut(order)
        {
            let wish = Wish::Refund { note: *id, amount_minor: settlement.amount.minor };
            let event = decide(state, wish)
                .map_err(|_refusal| Abort::Refused(bad(reference, "lines", "its order moved")))?;
            record(tx, order, state, &event, *at)?;
        }
        tx.emit(&refunded(*id, settlement, *at))?;
    }
    let settlements = accepted.split.settlements;
    Ok((true, SettledReturn { note: *id, reference: reference.clone(), settlements }))
}

fn unfound(abort: Abort<ReturnsError>, reference: &str) -> Abort<ImportError> {
    match abort {
        Abort::Refused(_unknown_customer) => {
            Abort::Refused(ImportError::UnknownCustomer { reference: reference.to_owned() })
        }
        Abort::Failed(error) => Abort::Failed(error),
    }
}

fn unwritten(unmatched: Unmatched, reference: &str) -> Abort<ImportError> {
    match unmatched {
        Unmatched::Split(SplitError::TooLarge(index)) => Abort::Refused(bad(
            reference,
            format!("lines[{index}]"),
            "makes an amount that is too large",
        )),
        Unmatched::Split(SplitError::TakesMoney) => {
            Abort::Refused(bad(reference, "lines", "takes money instead of giving it back"))
        }
        Unmatched::Order(status) => {
            Abort::Refused(bad(reference, "lines", &format!("its order is {status:?}")))
        }
        Unmatched::Failed(error) => Abort::Failed(error),
    }
}

fn import_adjustment(
    tx: &mut Tx<'_>,
    source: &str,
    adjustment: &ImportedAdjustment,
) -> Result<bool, Abort<ImportError>> {
    let ImportedAdjustment { id, reference, customer, currency, lines, rows, at } = adjustment;
    let sum = summed(lines, *currency)?;
    if let Some(there) = store::adjustment_by_reference(tx.connection(), source, reference)? {
        let known = there.id == id.to_string() && there.net_micros == sum.net.micros;
        same(known, reference)?;
        return Ok(false);
    }
    check_customer(tx, *customer, reference)?;
    let row = AdjustmentRow {
        id: id.to_string(),
        origin: store::to_word(&Origin::History)?,
        reference: Some(reference.clone()),
        source: Some(source.to_owned()),
        source_rows: *rows,
        order_id: None,
        customer: customer.map(|customer| customer.to_string()),
        currency: currency.to_string(),
        lines: store::lines_to_text(lines)?,
        parts: store::to_json(&sum.parts)?,
        net_micros: sum.net.micros,
        total_minor: sum.total.minor,
        made_at: at.micros(),
    };
    store::insert_adjustment(tx.connection(), &row)?;
    let ordering_api::Sum { parts, total, .. } = sum;
    tx.emit(&OrderAdjusted { order: None, adjustment: *id, charged: total, parts, at: *at })?;
    Ok(true)
}
