//! What `verify` asks: documents, books, flows of goods, work in flight, and whether the read models are true.

use kernel_api::{Exact, Id, Money, PageRequest, Sku, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Order, OrderStatus, Origin, Paid, Reserved, ReturnStatus, Settlement};

/// Which kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A sale.
    Order,
    /// A return, a credit or a cancellation.
    Return,
    /// A correction of the books.
    Adjustment,
}

/// Which documents, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentsWish {
    /// The kind.
    pub kind: DocumentKind,
    /// The page.
    #[serde(default)]
    pub page: PageRequest,
}

/// A document in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// The order's, return's or adjustment's id as text.
    pub id: String,
    /// The operator's or the file's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The imported source it is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// Its unrounded sum; a return's is negative. An order that was cancelled before it was paid adds zero.
    pub net: Exact,
    /// The money that moved or is to move.
    pub total: Money,
    /// When.
    pub at: Timestamp,
    /// What only documents of its kind have.
    #[serde(flatten)]
    pub detail: DocumentDetail,
}

/// What only documents of one kind have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DocumentDetail {
    /// A sale.
    Order {
        /// Where it stands.
        status: OrderStatus,
        /// Its reservation; absent where it has no goods.
        reservation: Option<Id<Reserved>>,
        /// Its payment; absent where its total is zero.
        payment: Option<Id<Paid>>,
        /// What was given back so far.
        refunded: Money,
    },
    /// A return, a credit or a cancellation.
    Return {
        /// Where it stands.
        status: ReturnStatus,
        /// How the money goes back.
        settlements: Vec<Settlement>,
    },
    /// A correction of the books.
    Adjustment,
}

/// What all documents of one source and currency add up to. Live documents have no source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Books {
    /// The source; absent for what happened here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many documents.
    pub documents: i64,
    /// How many rows of the source they stand for.
    pub rows: i64,
    /// The sales' unrounded sum (orders that were cancelled before they were paid do not count).
    pub orders: Exact,
    /// The returns' unrounded sum, negative.
    pub returns: Exact,
    /// The corrections' unrounded sum.
    pub adjustments: Exact,
    /// All of it: the unrounded sum of all lines.
    pub net: Exact,
    /// The sum of what was rounded document by document.
    pub rounded: Money,
    /// What rounding left out: `net - rounded`.
    pub rounding: Exact,
}

/// How many of a product went out and came back, over all orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkuFlow {
    /// The product.
    pub sku: Sku,
    /// Sold, cancelled orders included (their goods are in `returned`).
    pub sold: i64,
    /// Come back, matched to a sale or not, or with an order that was given up before it was paid.
    pub returned: i64,
}

/// Work in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settling {
    /// Sagas under way.
    pub running: i64,
    /// Sagas that wait for an operator.
    pub stuck: i64,
}

/// A page of the comparison of the read models with the fold of the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// How many orders this page compared.
    pub compared: u64,
    /// What differs, at most a hundred.
    pub differences: Vec<Difference>,
    /// Where the next page begins; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A read model that is not what the events say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The order.
    pub order: Id<Order>,
    /// What differs.
    pub what: String,
}

/// What a rebuild of a page of orders did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rebuilt {
    /// How many orders were folded and written anew.
    pub orders: u64,
    /// Where the next page begins; absent when all is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
