//! Lines as they are kept: short names and integers, since a cart's lines are written twice and read on every step.

use diesel::{QueryResult, result::Error};
use kernel_api::{Currency, Sku, UnitPrice};
use ordering_api::{Line, LineKind, ServiceKind};
use serde::{Deserialize, Serialize};

use super::{from_json, to_json};

/// One line. The read model of an order's lines is filled from `s`, `q` and `p` by SQL.
#[derive(Serialize, Deserialize)]
pub(super) struct Packed {
    /// The SKU, of a product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<Sku>,
    /// Was its price set by the operator?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    o: bool,
    /// The kind, of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<ServiceKind>,
    /// The code, of a service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    c: String,
    /// The title.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    t: String,
    /// The quantity.
    q: i64,
    /// The price of one, in millionths.
    p: i64,
}

impl Packed {
    pub fn of(line: &Line) -> Self {
        let (s, o, k, c) = match &line.kind {
            LineKind::Goods { sku, price_overridden } => {
                (Some(sku.clone()), *price_overridden, None, String::new())
            }
            LineKind::Service { service, code } => (None, false, Some(*service), code.clone()),
        };
        Self { s, o, k, c, t: line.title.clone(), q: line.quantity, p: line.unit_price.micros }
    }

    pub fn line(self, currency: Currency) -> QueryResult<Line> {
        let kind = match (self.s, self.k) {
            (Some(sku), None) => LineKind::Goods { sku, price_overridden: self.o },
            (None, Some(service)) => LineKind::Service { service, code: self.c },
            (Some(_), Some(_)) | (None, None) => {
                return Err(Error::DeserializationError("a line is a product or a service".into()));
            }
        };
        let unit_price = UnitPrice::new(self.p, currency);
        Ok(Line { kind, title: self.t, quantity: self.q, unit_price })
    }
}

/// Lines as a column's text.
pub(crate) fn lines_to_text(lines: &[Line]) -> QueryResult<String> {
    let packed: Vec<_> = lines.iter().map(Packed::of).collect();
    to_json(&packed)
}

/// A column's text as lines.
pub(crate) fn lines_from_text(text: &str, currency: Currency) -> QueryResult<Vec<Line>> {
    let packed: Vec<Packed> = from_json(text)?;
    packed.into_iter().map(|line| line.line(currency)).collect()
}
