//! What a return that names no sale may ask for, as far as it can be told from the wish and the catalog.

use kernel_api::Currency;
use ordering_api::{
    LINES_MAX, QUANTITY_MAX, ReturnGoods, ReturnsError, TEXT_LENGTH_MAX, UnlinkedLine,
};

use crate::domain::{
    cart::{CODE_LENGTH_MAX, Offers},
    text,
};

/// The reason, where there is one.
pub(crate) fn check_reason(reason: Option<&str>) -> Result<(), ReturnsError> {
    check_text("reason", reason, TEXT_LENGTH_MAX)
}

fn check_text(field: &str, text: Option<&str>, length_max: usize) -> Result<(), ReturnsError> {
    if text.is_none_or(|text| text::is_good(text, length_max)) {
        return Ok(());
    }
    Err(ReturnsError::BadText { field: field.to_owned(), length_max })
}

/// The wish by itself.
pub(crate) fn check_goods(wish: &ReturnGoods, currency: Currency) -> Result<(), ReturnsError> {
    check_reason(wish.reason.as_deref())?;
    check_text("reference", wish.reference.as_deref(), TEXT_LENGTH_MAX)?;
    match wish.lines.len() + wish.services.len() {
        0 => return Err(ReturnsError::Empty),
        count if count > LINES_MAX => return Err(ReturnsError::TooManyLines { limit: LINES_MAX }),
        _ => {}
    }
    for (index, line) in wish.lines.iter().enumerate() {
        let UnlinkedLine { quantity, unit_price, .. } = line;
        check_quantity(*quantity, &format!("lines[{index}]"))?;
        let field = format!("lines[{index}].unit_price");
        if unit_price.is_some_and(|price| price.micros < 0) {
            return Err(ReturnsError::NegativePrice { field });
        }
        if unit_price.is_some_and(|price| price.currency != currency) {
            return Err(ReturnsError::CurrencyMismatch { field, currency });
        }
    }
    for (index, wish) in wish.services.iter().enumerate() {
        check_quantity(wish.quantity, &format!("services[{index}]"))?;
        let code = format!("services[{index}].code");
        check_text(&code, Some(&wish.code), CODE_LENGTH_MAX)?;
        let title = Some(wish.title.as_str()).filter(|title| !title.is_empty());
        check_text(&format!("services[{index}].title"), title, TEXT_LENGTH_MAX)?;
        if wish.unit_price.currency != currency {
            let field = format!("services[{index}].unit_price");
            return Err(ReturnsError::CurrencyMismatch { field, currency });
        }
    }
    Ok(())
}

fn check_quantity(quantity: i64, at: &str) -> Result<(), ReturnsError> {
    if (1..=QUANTITY_MAX).contains(&quantity) {
        return Ok(());
    }
    Err(ReturnsError::QuantityOutOfRange { field: format!("{at}.quantity"), limit: QUANTITY_MAX })
}

/// Each product is known, and what the catalog would give back for it is in the return's currency.
pub(crate) fn check_offers(
    wish: &ReturnGoods,
    currency: Currency,
    offers: &Offers,
) -> Result<(), ReturnsError> {
    for (index, line) in wish.lines.iter().enumerate() {
        let field = || format!("lines[{index}].sku");
        let Some(offer) = offers.get(&line.sku) else {
            return Err(ReturnsError::UnknownSku { field: field(), sku: line.sku.clone() });
        };
        let listed = offer.price.filter(|_| line.unit_price.is_none());
        if listed.is_some_and(|price| price.currency != currency) {
            return Err(ReturnsError::CurrencyMismatch { field: field(), currency });
        }
    }
    Ok(())
}
