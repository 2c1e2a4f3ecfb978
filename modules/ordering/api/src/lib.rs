//! What other modules may ask of ordering: carts, checkout, orders, returns and customers.

mod adjustment;
mod books;
mod cart;
mod checkout;
mod customer;
mod event;
mod history;
mod line;
mod order;
mod ordering;
mod returns;
mod sagas;

pub use adjustment::{Adjust, AdjustError, Adjustment};
pub use books::{
    Audit, Books, Difference, Document, DocumentDetail, DocumentKind, DocumentsWish, Rebuilt,
    Settling, SkuFlow,
};
pub use cart::{Cart, CartError, CartStatus, CartWish, NewCart, OpenedCart, PutCart, SecretHash};
pub use checkout::{
    CheckOut, CheckOutError, Checkout, CheckoutFailure, CheckoutStatus, CheckoutWish, Shortage,
};
pub use customer::{Customer, CustomerError, CustomerKey, CustomersWish, NewCustomer};
pub use event::{
    OrderAdjusted, OrderCancelled, OrderPaid, OrderPlaced, OrderRefunded, OrderShipped,
};
pub use history::{
    Import, ImportError, Imported, ImportedAdjustment, ImportedDocument, ImportedOrder,
    ImportedReturn, SettledReturn, SourceRecord,
};
pub use line::{Content, GoodsWish, Line, LineKind, Part, PartKind, ServiceKind, ServiceWish, Sum};
pub use order::{
    Cancel, CancelError, Order, OrderError, OrderKey, OrderLine, OrderStatus, OrderSummary,
    OrderWish, OrdersWish, Origin, Ship, ShipError,
};
pub use ordering::Ordering;
pub use returns::{
    Allocation, ReturnGoods, ReturnItems, ReturnLine, ReturnNote, ReturnStatus, ReturnWish,
    ReturnedItem, ReturnsError, Settlement, UnlinkedLine,
};
pub use sagas::{AbandonSaga, Abandonment, Saga, SagaError, SagaStatus, SagaWish, SagasWish};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most goods and service lines of one cart, order or return: the longest real invoice has 1,114.
pub const LINES_MAX: usize = 2_000;

/// The most units of one line: the largest real line has 80,995.
pub const QUANTITY_MAX: i64 = 1_000_000;

/// The most documents of one [`Import`]: bounds the time that its transaction holds the single writer.
pub const IMPORT_DOCUMENTS_MAX: usize = 500;

/// The most customers of one `import_customers`.
pub const IMPORT_CUSTOMERS_MAX: usize = 1_000;

/// The largest sum of a document, in hundredths: a thousand million major units, what payments takes at most. More is
/// a slip of the keyboard.
pub const AMOUNT_MINOR_MAX: i64 = 100_000_000_000;

/// The largest sum of what only an operator's word stands behind, in hundredths: a correction of the books, or what a
/// return gives back with no sale behind it. Ten million major units. Sums over all documents are kept in 64 bits of
/// millionths; with the limit above, 9,223 slips of the keyboard would make them unreadable for ever.
pub const UNBACKED_MINOR_MAX: i64 = 1_000_000_000;

/// The longest free text (a name, a description, a reason, a reference), in characters.
pub const TEXT_LENGTH_MAX: usize = 200;

/// The name for the id of the stock reservation behind an order: the inventory module's, `cast` it to theirs.
/// An order's reservation, if it has one, carries the order's UUID.
pub enum Reserved {}

/// The name for the id of the payment behind an order: the payments module's, `cast` it to theirs.
/// An order's payment, if it has one, carries the order's UUID.
pub enum Paid {}

/// The name for the id of a refund or an unlinked credit: the payments module's, `cast` it to theirs.
pub enum GivenBack {}

/// Who opens a cart, a checkout or an order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "opener", content = "secret", rename_all = "snake_case")]
pub enum Opener {
    /// The shop's staff (and other modules): opens everything.
    Operator,
    /// A guest, by the hash of the secret it shows: opens that cart, its checkouts and its order.
    Guest(SecretHash),
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Operator => "Operator",
            Self::Guest(_) => "Guest",
        })
    }
}
