//! What clients write and read where it is not the contract's own data.

use kernel_api::{Currency, Id, Sku, UnitPrice};
use ordering_api::{
    Cart, Content, Customer, GoodsWish, ReturnLine, ServiceKind, ServiceWish, UnlinkedLine,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A product line.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LineBody {
    /// The product.
    sku: Sku,
    /// How many, 1 to a million.
    quantity: i64,
    /// Another price than the catalog's: the operator's only.
    #[serde(default)]
    unit_price: Option<UnitPrice>,
}

/// A line that is no product.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceBody {
    /// What it stands for.
    kind: ServiceKind,
    /// The shop's own code for it, such as `POST`.
    code: String,
    /// What the customer reads.
    #[serde(default)]
    title: String,
    /// How many, 1 to a million; one where absent.
    #[serde(default = "one")]
    quantity: i64,
    /// The price of one; negative for what is taken off.
    unit_price: UnitPrice,
}

fn one() -> i64 {
    1
}

/// The whole content of a cart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContentBody {
    /// The products. The same one may stand on several lines.
    #[serde(default)]
    lines: Vec<LineBody>,
    /// What is no product: the operator's only.
    #[serde(default)]
    services: Vec<ServiceBody>,
}

/// A new cart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCartBody {
    /// Whose it is: the operator's only.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// What it stands for elsewhere, such as an invoice number: the operator's only.
    #[serde(default)]
    pub reference: Option<String>,
    /// The currency; the shop's own where absent.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The products.
    #[serde(default)]
    lines: Vec<LineBody>,
    /// What is no product: the operator's only.
    #[serde(default)]
    services: Vec<ServiceBody>,
}

/// A cart that was just opened.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OpenedBody {
    /// The cart.
    #[serde(flatten)]
    pub cart: Cart,
    /// What opens the cart and its order, 32 hex digits. Keep it: it is not shown again.
    pub secret: String,
}

/// How a cart is paid.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckOutBody {
    /// The payment provider's token; never a card number. May be absent where the sum is zero.
    #[serde(default)]
    pub payment_token: Option<String>,
}

/// A shipment of a whole order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShipBody {
    /// The carrier's own number for the parcel.
    #[serde(default)]
    pub tracking: Option<String>,
    /// Only if the order is at this version.
    #[serde(default)]
    pub version: Option<i64>,
}

/// A cancellation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelBody {
    /// Why.
    pub reason: String,
    /// Only if the order is at this version.
    #[serde(default)]
    pub version: Option<i64>,
}

/// A part of an order's line.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnLineBody {
    /// The order's line, from 0.
    line: i64,
    /// How many.
    quantity: i64,
}

/// Lines of an order that come back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnItemsBody {
    /// What comes back.
    lines: Vec<ReturnLineBody>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Only if the order is at this version.
    #[serde(default)]
    pub version: Option<i64>,
}

/// Something that comes back with no sale named.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnGoodsBody {
    /// Who returns; without a customer nothing is matched.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// What it stands for elsewhere, such as a credit note's number.
    #[serde(default)]
    pub reference: Option<String>,
    /// The currency; the shop's own where absent.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The products, quantities positive. Without a price of its own a line is given back at the price it was sold for.
    #[serde(default)]
    lines: Vec<LineBody>,
    /// Service credits, quantities positive: the amount is given back.
    #[serde(default)]
    services: Vec<ServiceBody>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A correction of the books.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdjustBody {
    /// What it stands for elsewhere.
    #[serde(default)]
    pub reference: Option<String>,
    /// Which order it concerns.
    #[serde(default)]
    pub order: Option<Id<ordering_api::Order>>,
    /// Whom it concerns.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// The currency; the shop's own where absent.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The lines, amounts of either sign.
    lines: Vec<ServiceBody>,
}

/// A new customer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerBody {
    /// The name by which another system knows the customer.
    #[serde(default)]
    pub reference: Option<String>,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// The country as the shop writes it.
    #[serde(default)]
    pub country: Option<String>,
}

impl LineBody {
    fn goods(self) -> GoodsWish {
        let Self { sku, quantity, unit_price } = self;
        GoodsWish { sku, quantity, unit_price }
    }

    fn unlinked(self) -> UnlinkedLine {
        let Self { sku, quantity, unit_price } = self;
        UnlinkedLine { sku, quantity, unit_price }
    }
}

impl ServiceBody {
    fn wish(self) -> ServiceWish {
        let Self { kind, code, title, quantity, unit_price } = self;
        ServiceWish { kind, code, title, quantity, unit_price }
    }
}

fn services(bodies: Vec<ServiceBody>) -> Vec<ServiceWish> {
    bodies.into_iter().map(ServiceBody::wish).collect()
}

impl ContentBody {
    pub fn content(self) -> Content {
        let lines = self.lines.into_iter().map(LineBody::goods).collect();
        Content { lines, services: services(self.services) }
    }
}

impl NewCartBody {
    pub fn take_content(&mut self) -> Content {
        let (lines, services) =
            (std::mem::take(&mut self.lines), std::mem::take(&mut self.services));
        ContentBody { lines, services }.content()
    }
}

impl ReturnItemsBody {
    pub fn take_lines(&mut self) -> Vec<ReturnLine> {
        let lines = std::mem::take(&mut self.lines).into_iter();
        lines.map(|ReturnLineBody { line, quantity }| ReturnLine { line, quantity }).collect()
    }
}

impl ReturnGoodsBody {
    pub fn take_content(&mut self) -> (Vec<UnlinkedLine>, Vec<ServiceWish>) {
        let lines = std::mem::take(&mut self.lines).into_iter().map(LineBody::unlinked).collect();
        (lines, services(std::mem::take(&mut self.services)))
    }
}

impl AdjustBody {
    pub fn take_lines(&mut self) -> Vec<ServiceWish> {
        services(std::mem::take(&mut self.lines))
    }
}
