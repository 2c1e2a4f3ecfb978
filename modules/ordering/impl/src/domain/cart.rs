//! What may be in a cart, and what it costs.
//!
//! Prices come from the catalog when the content is put in and are held for a while; a checkout after that asks the
//! catalog again and refuses when a price without an override is another one now ([`compare`]). So a customer always
//! pays what the cart showed, and the shop never sells long at a price it has given up.

use std::collections::{BTreeSet, HashMap};

use kernel_api::{Currency, Sku, UnitPrice};
use ordering_api::{
    CartError, CheckOutError, Content, GoodsWish, LINES_MAX, Line, LineKind, QUANTITY_MAX,
    ServiceWish, Sum, TEXT_LENGTH_MAX,
};

use crate::domain::{sum, text};

/// The longest code of a service line.
pub(crate) const CODE_LENGTH_MAX: usize = 64;

/// What the catalog offers of one SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub title: String,
    /// Absent where no price is in force.
    pub price: Option<UnitPrice>,
    /// May the public buy it?
    pub published: bool,
}

/// What the catalog offers of all SKUs that it was asked for; one that it does not know is missing.
pub(crate) type Offers = HashMap<Sku, Offer>;

/// Checks all that can be checked without the catalog, cheapest first.
pub(crate) fn check(
    content: &Content,
    currency: Currency,
    operator: bool,
) -> Result<(), CartError> {
    if content.lines.len() + content.services.len() > LINES_MAX {
        return Err(CartError::TooManyLines { limit: LINES_MAX });
    }
    if !operator && !content.services.is_empty() {
        return Err(CartError::OperatorOnly { field: "services".to_owned() });
    }
    for (index, wish) in content.lines.iter().enumerate() {
        check_goods(wish, currency, operator, &format!("lines[{index}]"))?;
    }
    for (index, wish) in content.services.iter().enumerate() {
        check_service(wish, currency, &format!("services[{index}]"))?;
    }
    Ok(())
}

fn check_goods(
    wish: &GoodsWish,
    currency: Currency,
    operator: bool,
    at: &str,
) -> Result<(), CartError> {
    if !(1..=QUANTITY_MAX).contains(&wish.quantity) {
        let field = format!("{at}.quantity");
        return Err(CartError::QuantityOutOfRange { field, limit: QUANTITY_MAX });
    }
    let Some(price) = wish.unit_price else { return Ok(()) };
    let field = format!("{at}.unit_price");
    if !operator {
        return Err(CartError::OperatorOnly { field });
    }
    if price.currency != currency {
        return Err(CartError::CurrencyMismatch { field, currency });
    }
    if price.micros < 0 {
        return Err(CartError::NegativePrice { field });
    }
    Ok(())
}

fn check_service(wish: &ServiceWish, currency: Currency, at: &str) -> Result<(), CartError> {
    if !(1..=QUANTITY_MAX).contains(&wish.quantity) {
        let field = format!("{at}.quantity");
        return Err(CartError::QuantityOutOfRange { field, limit: QUANTITY_MAX });
    }
    if wish.unit_price.currency != currency {
        let field = format!("{at}.unit_price");
        return Err(CartError::CurrencyMismatch { field, currency });
    }
    if !text::is_good(&wish.code, CODE_LENGTH_MAX) {
        let field = format!("{at}.code");
        return Err(CartError::BadText { field, length_max: CODE_LENGTH_MAX });
    }
    if !wish.title.is_empty() && !text::is_good(&wish.title, TEXT_LENGTH_MAX) {
        let field = format!("{at}.title");
        return Err(CartError::BadText { field, length_max: TEXT_LENGTH_MAX });
    }
    Ok(())
}

/// The SKUs whose offers [`price`] needs, each once.
pub(crate) fn skus(content: &Content) -> Vec<Sku> {
    let all: BTreeSet<&Sku> = content.lines.iter().map(|line| &line.sku).collect();
    all.into_iter().cloned().collect()
}

/// The lines with their prices, products first, and what they add up to. The content has passed [`check`].
pub(crate) fn price(
    content: Content,
    currency: Currency,
    operator: bool,
    offers: &Offers,
) -> Result<(Vec<Line>, Sum), CartError> {
    let goods = content.lines.len();
    let mut lines = Vec::with_capacity(goods + content.services.len());
    for (index, wish) in content.lines.into_iter().enumerate() {
        lines.push(price_goods(wish, currency, operator, offers, index)?);
    }
    lines.extend(content.services.into_iter().map(service));
    let sum = sum::of(&lines, currency).map_err(|index| CartError::AmountTooLarge {
        field: match index.checked_sub(goods) {
            Some(service) => format!("services[{service}]"),
            None => format!("lines[{index}]"),
        },
    })?;
    Ok((lines, sum))
}

fn price_goods(
    wish: GoodsWish,
    currency: Currency,
    operator: bool,
    offers: &Offers,
    index: usize,
) -> Result<Line, CartError> {
    let field = || format!("lines[{index}].sku");
    let GoodsWish { sku, quantity, unit_price } = wish;
    let Some(offer) = offers.get(&sku) else {
        return Err(CartError::UnknownSku { field: field(), sku });
    };
    // The staff may sell what the public cannot see yet or any more.
    if !operator && !offer.published {
        return Err(CartError::NotPublished { field: field(), sku });
    }
    let Some(price) = unit_price.or(offer.price) else {
        return Err(CartError::NotPublished { field: field(), sku });
    };
    if price.currency != currency {
        return Err(CartError::CurrencyMismatch { field: field(), currency });
    }
    let price_overridden = unit_price.is_some();
    let title = offer.title.clone();
    Ok(Line { kind: LineKind::Goods { sku, price_overridden }, title, quantity, unit_price: price })
}

/// A service line as it is kept.
pub(crate) fn service(wish: ServiceWish) -> Line {
    let ServiceWish { kind, code, title, quantity, unit_price } = wish;
    Line { kind: LineKind::Service { service: kind, code }, title, quantity, unit_price }
}

/// The SKUs of lines that the catalog priced, each once: what [`compare`] needs offers of.
pub(crate) fn priced_skus(lines: &[Line]) -> Vec<Sku> {
    let all: BTreeSet<&Sku> = lines.iter().filter_map(catalog_priced).collect();
    all.into_iter().cloned().collect()
}

fn catalog_priced(line: &Line) -> Option<&Sku> {
    match &line.kind {
        LineKind::Goods { sku, price_overridden: false } => Some(sku),
        LineKind::Goods { .. } | LineKind::Service { .. } => None,
    }
}

/// Holds a cart's prices against what the catalog offers now.
pub(crate) fn compare(
    lines: &[Line],
    operator: bool,
    offers: &Offers,
) -> Result<(), CheckOutError> {
    for (index, line) in lines.iter().enumerate() {
        let Some(sku) = catalog_priced(line) else { continue };
        let field = || format!("lines[{index}]");
        match offers.get(sku) {
            None => {
                return Err(CheckOutError::NotPublished { field: field(), sku: sku.clone() });
            }
            Some(offer) if !operator && !offer.published => {
                return Err(CheckOutError::NotPublished { field: field(), sku: sku.clone() });
            }
            Some(offer) if offer.price != Some(line.unit_price) => {
                return Err(CheckOutError::PriceChanged { field: field(), sku: sku.clone() });
            }
            Some(_) => {}
        }
    }
    Ok(())
}
