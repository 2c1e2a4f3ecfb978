//! The contract.

use contract::{Answer, Call, Command, Never};
use kernel_api::{Page, PageRequest};

use crate::{
    AbandonSaga, Adjust, AdjustError, Adjustment, Audit, Books, Cancel, CancelError, Cart,
    CartError, CartWish, CheckOut, CheckOutError, Checkout, CheckoutWish, Customer, CustomerError,
    CustomerKey, CustomersWish, Document, DocumentsWish, Import, ImportError, Imported, NewCart,
    NewCustomer, OpenedCart, Order, OrderError, OrderSummary, OrderWish, OrdersWish, PutCart,
    Rebuilt, ReturnGoods, ReturnItems, ReturnNote, ReturnWish, ReturnsError, Saga, SagaError,
    SagaWish, SagasWish, Settling, Ship, ShipError, SkuFlow, SourceRecord,
};

/// Carts become orders here; orders are shipped, cancelled and returned here.
#[contract::contract("ordering")]
pub trait Ordering: Send + Sync + 'static {
    /// Registers a customer. The same reference with the same data gives the same customer.
    #[command]
    async fn register_customer(
        &self,
        command: &Command,
        wish: NewCustomer,
    ) -> Answer<Customer, CustomerError>;

    /// Registers many customers (at most `IMPORT_CUSTOMERS_MAX`), each with id and reference; those there are left as they are.
    /// Answers how many were new.
    #[command]
    async fn import_customers(
        &self,
        command: &Command,
        customers: Vec<NewCustomer>,
    ) -> Answer<u64, CustomerError>;

    /// A customer.
    #[query]
    async fn customer(&self, call: &Call, key: CustomerKey) -> Answer<Customer, CustomerError>;

    /// Customers in the order of their ids.
    #[query]
    async fn customers(
        &self,
        call: &Call,
        wish: CustomersWish,
    ) -> Answer<Page<Customer>, CustomerError>;

    /// Opens a cart, empty or filled. The same key gives the same cart.
    #[command]
    async fn open_cart(&self, command: &Command, wish: NewCart) -> Answer<OpenedCart, CartError>;

    /// A cart.
    #[query]
    async fn cart(&self, call: &Call, wish: CartWish) -> Answer<Cart, CartError>;

    /// Replaces the whole content of a cart at the catalog's prices of now. Idempotent by version and content.
    #[command]
    async fn put_cart(&self, command: &Command, wish: PutCart) -> Answer<Cart, CartError>;

    /// Begins the checkout of a cart and waits for its end within the call's deadline and the module's bound; answers
    /// `Running` when that is not enough. A cart becomes at most one order.
    #[command]
    async fn check_out(&self, command: &Command, wish: CheckOut)
    -> Answer<Checkout, CheckOutError>;

    /// A checkout.
    #[query]
    async fn checkout(&self, call: &Call, wish: CheckoutWish) -> Answer<Checkout, CheckOutError>;

    /// An order, folded from its events.
    #[query]
    async fn order(&self, call: &Call, wish: OrderWish) -> Answer<Order, OrderError>;

    /// Orders in the order of their ids.
    #[query]
    async fn orders(&self, call: &Call, wish: OrdersWish)
    -> Answer<Page<OrderSummary>, OrderError>;

    /// A paid order leaves the house.
    #[command]
    async fn ship(&self, command: &Command, wish: Ship) -> Answer<Order, ShipError>;

    /// A paid order is called off: accepted at once, stock and money follow by a saga.
    #[command]
    async fn cancel(&self, command: &Command, wish: Cancel) -> Answer<ReturnNote, CancelError>;

    /// Lines of an order come back: accepted at once, stock and money follow by a saga.
    #[command]
    async fn return_items(
        &self,
        command: &Command,
        wish: ReturnItems,
    ) -> Answer<ReturnNote, ReturnsError>;

    /// Something comes back and nobody names the sale: matched where possible, else an unlinked credit.
    #[command]
    async fn return_goods(
        &self,
        command: &Command,
        wish: ReturnGoods,
    ) -> Answer<ReturnNote, ReturnsError>;

    /// A return.
    #[query]
    async fn return_note(&self, call: &Call, wish: ReturnWish) -> Answer<ReturnNote, ReturnsError>;

    /// Corrects the books without goods and without payment.
    #[command]
    async fn adjust(&self, command: &Command, wish: Adjust) -> Answer<Adjustment, AdjustError>;

    /// Imports documents of the past, all or none. Idempotent by each document's reference, with any key.
    #[command]
    async fn import(&self, command: &Command, wish: Import) -> Answer<Imported, ImportError>;

    /// Keeps what an importer knows of a source, for the books to be compared with.
    #[command]
    async fn record_source(
        &self,
        command: &Command,
        record: SourceRecord,
    ) -> Answer<SourceRecord, Never>;

    /// All sources that were imported to their end.
    #[query]
    async fn sources(&self, call: &Call, all: ()) -> Answer<Vec<SourceRecord>, Never>;

    /// Documents of one kind in the order of their ids.
    #[query]
    async fn documents(
        &self,
        call: &Call,
        wish: DocumentsWish,
    ) -> Answer<Page<Document>, OrderError>;

    /// What all documents add up to, by source and currency.
    #[query]
    async fn books(&self, call: &Call, all: ()) -> Answer<Vec<Books>, Never>;

    /// Sold and returned quantities by SKU.
    #[query]
    async fn sku_flows(&self, call: &Call, page: PageRequest) -> Answer<Page<SkuFlow>, OrderError>;

    /// How much work is in flight or stuck.
    #[query]
    async fn settling(&self, call: &Call, all: ()) -> Answer<Settling, Never>;

    /// Compares a page of the read models with the fold of the events.
    #[query]
    async fn audit(&self, call: &Call, page: PageRequest) -> Answer<Audit, OrderError>;

    /// Writes a page of the read models anew from the events. Changes nothing where `audit` finds no difference.
    #[command]
    async fn rebuild(&self, command: &Command, page: PageRequest) -> Answer<Rebuilt, OrderError>;

    /// Sagas in the order of their ids.
    #[query]
    async fn sagas(&self, call: &Call, wish: SagasWish) -> Answer<Page<Saga>, SagaError>;

    /// A saga.
    #[query]
    async fn saga(&self, call: &Call, wish: SagaWish) -> Answer<Saga, SagaError>;

    /// A stuck saga tries its step again. Idempotent by the saga's own state.
    #[command]
    async fn retry_saga(&self, command: &Command, wish: SagaWish) -> Answer<Saga, SagaError>;

    /// A stuck saga is given up. Idempotent by the saga's own state.
    #[command]
    async fn abandon_saga(&self, command: &Command, wish: AbandonSaga) -> Answer<Saga, SagaError>;
}
