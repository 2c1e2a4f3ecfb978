//! The contract, kept: a command is one transaction, or begins a saga in one.

mod adjusting;
mod bookkeeping;
mod carts;
mod checking_out;
mod checkout;
mod customers;
mod importing;
mod matching;
mod offers;
mod orders;
mod paging;
mod placing;
mod returning;
mod sagas;
mod settling;
mod stock;
mod writing;

use std::sync::Arc;

use catalog_api::Catalog;
use contract::{Answer, Call, Command, Fault, Never, async_trait};
use inventory_api::Inventory;
use kernel_api::{Page, PageRequest};
use ordering_api::{
    AbandonSaga, Adjust, AdjustError, Adjustment, Audit, Books, Cancel, CancelError, Cart,
    CartError, CartWish, CheckOut, CheckOutError, Checkout, CheckoutWish, Customer, CustomerError,
    CustomerKey, CustomersWish, Document, DocumentsWish, Import, ImportError, Imported, NewCart,
    NewCustomer, OpenedCart, Order, OrderError, OrderSummary, OrderWish, Ordering, OrdersWish,
    PutCart, Rebuilt, ReturnGoods, ReturnItems, ReturnNote, ReturnWish, ReturnsError, Saga,
    SagaError, SagaWish, SagasWish, Settling, Ship, ShipError, SkuFlow, SourceRecord,
};
use payments_api::Payments;
use saga::{Runner, definition};

use ::store::{Abort, Store};

use crate::{Config, store};

/// Ordering on its own store.
pub(crate) struct Service {
    store: Store,
    config: Config,
    catalog: Arc<dyn Catalog>,
    runner: Runner,
}

/// The modules that ordering calls.
pub(crate) struct Neighbours {
    pub catalog: Arc<dyn Catalog>,
    pub inventory: Arc<dyn Inventory>,
    pub payments: Arc<dyn Payments>,
}

impl Service {
    pub fn new(store: Store, config: Config, neighbours: Neighbours) -> Self {
        let Neighbours { catalog, inventory, payments } = neighbours;
        let checkout = checking_out::CheckoutSaga {
            store: store.clone(),
            inventory: Arc::clone(&inventory),
            payments: Arc::clone(&payments),
            hold: config.reservation_hold,
        };
        let settlement = settling::SettlementSaga { store: store.clone(), inventory, payments };
        let definitions = vec![definition(checkout), definition(settlement)];
        let runner = Runner::new(store.clone(), config.saga_limits(), definitions);
        Self { store, config, catalog, runner }
    }

    /// What drives this module's sagas.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }
}

#[async_trait]
impl Ordering for Service {
    async fn register_customer(
        &self,
        command: &Command,
        wish: NewCustomer,
    ) -> Answer<Customer, CustomerError> {
        customers::register(&self.store, command, wish).await
    }

    async fn import_customers(
        &self,
        command: &Command,
        customers: Vec<NewCustomer>,
    ) -> Answer<u64, CustomerError> {
        customers::import(&self.store, command, customers).await
    }

    async fn customer(&self, call: &Call, key: CustomerKey) -> Answer<Customer, CustomerError> {
        self.store
            .read(call, move |c| {
                let found = match &key {
                    CustomerKey::Id(id) => store::customer(c, *id)?,
                    CustomerKey::Reference(text) => store::customer_by_reference(c, text)?,
                };
                found.ok_or(Abort::Refused(CustomerError::NotFound))
            })
            .await
    }

    async fn customers(
        &self,
        call: &Call,
        wish: CustomersWish,
    ) -> Answer<Page<Customer>, CustomerError> {
        let after = paging::after(wish.page.after.as_deref());
        let after = after.ok_or(Fault::Refused(CustomerError::BadCursor))?;
        let limit = wish.page.limit();
        self.store
            .read(call, move |c| {
                let rows = store::customers(c, &after, i64::from(limit) + 1)?;
                Ok(Page::of(rows, limit, |customer| customer.id.to_string()))
            })
            .await
    }

    async fn open_cart(&self, command: &Command, wish: NewCart) -> Answer<OpenedCart, CartError> {
        self.open(command, wish).await
    }

    async fn cart(&self, call: &Call, wish: CartWish) -> Answer<Cart, CartError> {
        self.show(call, wish).await
    }

    async fn put_cart(&self, command: &Command, wish: PutCart) -> Answer<Cart, CartError> {
        self.put(command, wish).await
    }

    async fn check_out(
        &self,
        command: &Command,
        wish: CheckOut,
    ) -> Answer<Checkout, CheckOutError> {
        self.begin_checkout(command, wish).await
    }

    async fn checkout(&self, call: &Call, wish: CheckoutWish) -> Answer<Checkout, CheckOutError> {
        self.show_checkout(call, wish).await
    }

    async fn order(&self, call: &Call, wish: OrderWish) -> Answer<Order, OrderError> {
        self.show_order(call, wish).await
    }

    async fn orders(
        &self,
        call: &Call,
        wish: OrdersWish,
    ) -> Answer<Page<OrderSummary>, OrderError> {
        self.list_orders(call, wish).await
    }

    async fn ship(&self, command: &Command, wish: Ship) -> Answer<Order, ShipError> {
        self.ship_order(command, wish).await
    }

    async fn cancel(&self, command: &Command, wish: Cancel) -> Answer<ReturnNote, CancelError> {
        self.cancel_order(command, wish).await
    }

    async fn return_items(
        &self,
        command: &Command,
        wish: ReturnItems,
    ) -> Answer<ReturnNote, ReturnsError> {
        self.take_back(command, wish).await
    }

    async fn return_goods(
        &self,
        command: &Command,
        wish: ReturnGoods,
    ) -> Answer<ReturnNote, ReturnsError> {
        self.take_goods_back(command, wish).await
    }

    async fn return_note(&self, call: &Call, wish: ReturnWish) -> Answer<ReturnNote, ReturnsError> {
        self.show_return(call, wish.id).await
    }

    async fn adjust(&self, command: &Command, wish: Adjust) -> Answer<Adjustment, AdjustError> {
        self.correct(command, wish).await
    }

    async fn import(&self, command: &Command, wish: Import) -> Answer<Imported, ImportError> {
        self.bring(command, wish).await
    }

    async fn record_source(
        &self,
        command: &Command,
        record: SourceRecord,
    ) -> Answer<SourceRecord, Never> {
        // The latest word counts, so recording twice is recording once.
        self.store
            .write(command, move |tx| {
                store::put_source(tx.connection(), &record)?;
                Ok(record.clone())
            })
            .await
    }

    async fn sources(&self, call: &Call, (): ()) -> Answer<Vec<SourceRecord>, Never> {
        self.store.read(call, |c| Ok(store::sources(c)?)).await
    }

    async fn documents(
        &self,
        call: &Call,
        wish: DocumentsWish,
    ) -> Answer<Page<Document>, OrderError> {
        self.list_documents(call, wish).await
    }

    async fn books(&self, call: &Call, (): ()) -> Answer<Vec<Books>, Never> {
        self.sum_up(call).await
    }

    async fn sku_flows(&self, call: &Call, page: PageRequest) -> Answer<Page<SkuFlow>, OrderError> {
        self.flows(call, page).await
    }

    async fn settling(&self, call: &Call, (): ()) -> Answer<Settling, Never> {
        self.in_flight(call).await
    }

    async fn audit(&self, call: &Call, page: PageRequest) -> Answer<Audit, OrderError> {
        self.compare(call, page).await
    }

    async fn rebuild(&self, command: &Command, page: PageRequest) -> Answer<Rebuilt, OrderError> {
        self.write_anew(command, page).await
    }

    async fn sagas(&self, call: &Call, wish: SagasWish) -> Answer<Page<Saga>, SagaError> {
        self.list_sagas(call, wish).await
    }

    async fn saga(&self, call: &Call, wish: SagaWish) -> Answer<Saga, SagaError> {
        self.show_saga(call, wish.saga.cast()).await
    }

    async fn retry_saga(&self, command: &Command, wish: SagaWish) -> Answer<Saga, SagaError> {
        self.retry(command, wish.saga.cast()).await
    }

    async fn abandon_saga(&self, command: &Command, wish: AbandonSaga) -> Answer<Saga, SagaError> {
        self.abandon(command, wish.saga.cast(), wish.how).await
    }
}
