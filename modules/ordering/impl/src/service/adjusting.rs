//! Adjustments: the books are corrected without goods and without payment.

use contract::{Answer, Command, Fault};
use kernel_api::{Currency, Id};
use ordering_api::{
    Adjust, AdjustError, Adjustment, LINES_MAX, Line, OrderAdjusted, Origin, QUANTITY_MAX, Sum,
    TEXT_LENGTH_MAX,
};

use ::store::{Abort, Tx};

use super::{Service, carts::broken};
use crate::{
    domain::{
        cart::{CODE_LENGTH_MAX, service},
        sum, text,
    },
    store::{self, AdjustmentRow},
};

impl Service {
    pub(super) async fn correct(
        &self,
        command: &Command,
        wish: Adjust,
    ) -> Answer<Adjustment, AdjustError> {
        let currency = wish.currency.unwrap_or(self.config.currency);
        check(&wish, currency).map_err(Fault::Refused)?;
        let lines: Vec<Line> = wish.lines.iter().cloned().map(service).collect();
        let sum = sum::of_unbacked(&lines, currency).map_err(|index| {
            Fault::Refused(AdjustError::AmountTooLarge { field: format!("lines[{index}]") })
        })?;
        let id = Id::<Adjustment>::fresh();
        let asked = wish.clone();
        let text = store::lines_to_text(&lines).map_err(broken)?;
        let made: Id<Adjustment> = self
            .store
            .command(command, "adjust", &asked, move |tx| {
                check_there(tx, &wish)?;
                write(tx, id, &wish, &sum, &text)?;
                Ok(id)
            })
            .await?;
        self.store
            .read(command, move |c| {
                let row = store::adjustment(c, made)?;
                let row = row.ok_or(Abort::Refused(AdjustError::NotFound))?;
                Ok(row.adjustment()?)
            })
            .await
    }
}

fn check_there(tx: &mut Tx<'_>, wish: &Adjust) -> Result<(), Abort<AdjustError>> {
    if let Some(customer) = wish.customer
        && !store::customer_exists(tx.connection(), customer)?
    {
        return Err(Abort::Refused(AdjustError::UnknownCustomer));
    }
    if let Some(order) = wish.order
        && store::order_secret(tx.connection(), order)?.is_none()
    {
        return Err(Abort::Refused(AdjustError::UnknownOrder));
    }
    Ok(())
}

fn write(
    tx: &mut Tx<'_>,
    id: Id<Adjustment>,
    wish: &Adjust,
    sum: &Sum,
    lines: &str,
) -> Result<(), Abort<AdjustError>> {
    let at = tx.now();
    let row = AdjustmentRow {
        id: id.to_string(),
        origin: store::to_word(&Origin::Live)?,
        reference: wish.reference.clone(),
        source: None,
        source_rows: 0,
        order_id: wish.order.map(|order| order.to_string()),
        customer: wish.customer.map(|customer| customer.to_string()),
        currency: sum.net.currency.to_string(),
        lines: lines.to_owned(),
        parts: store::to_json(&sum.parts)?,
        net_micros: sum.net.micros,
        total_minor: sum.total.minor,
        made_at: at.micros(),
    };
    store::insert_adjustment(tx.connection(), &row)?;
    let (order, parts, charged) = (wish.order, sum.parts.clone(), sum.total);
    tx.emit(&OrderAdjusted { order, adjustment: id, charged, parts, at })?;
    Ok(())
}

fn check(wish: &Adjust, currency: Currency) -> Result<(), AdjustError> {
    let text = |field: String, text: &str, length_max: usize| {
        if text::is_good(text, length_max) {
            Ok(())
        } else {
            Err(AdjustError::BadText { field, length_max })
        }
    };
    if let Some(reference) = &wish.reference {
        text("reference".to_owned(), reference, TEXT_LENGTH_MAX)?;
    }
    match wish.lines.len() {
        0 => return Err(AdjustError::Empty),
        count if count > LINES_MAX => return Err(AdjustError::TooManyLines { limit: LINES_MAX }),
        _ => {}
    }
    for (index, line) in wish.lines.iter().enumerate() {
        text(format!("lines[{index}].code"), &line.code, CODE_LENGTH_MAX)?;
        if !line.title.is_empty() {
            text(format!("lines[{index}].title"), &line.title, TEXT_LENGTH_MAX)?;
        }
        if !(1..=QUANTITY_MAX).contains(&line.quantity) {
            let field = format!("lines[{index}].quantity");
            return Err(AdjustError::QuantityOutOfRange { field, limit: QUANTITY_MAX });
        }
        if line.unit_price.currency != currency {
            let field = format!("lines[{index}].unit_price");
            return Err(AdjustError::CurrencyMismatch { field, currency });
        }
    }
    Ok(())
}
