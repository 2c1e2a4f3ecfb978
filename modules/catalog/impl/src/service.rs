//! The contract, kept: each command is one transaction, each query one read.

mod editing;
mod hearing;
mod importing;
mod pricing;
mod reading;

pub(crate) use hearing::Hearing;

use std::sync::Arc;

use catalog_api::{
    Add, AddError, AddVariant, AddVariantError, Audited, Browse, Catalog, Edit, EditError, Import,
    Imported, PageError, PricePoint, Prices, PricesError, Product, ProductError, Publish,
    PublishError, Quote, Quotes, Reprice, RepriceError, Which,
};
use contract::{Answer, Call, Command, Fault, Never, async_trait};
use kernel_api::{Page, PageRequest};
use serde::{Serialize, de::DeserializeOwned};

use ::store::{Abort, Store, Tx};

/// Catalog on its own store.
pub(crate) struct Service {
    store: Store,
}

/// What a command does in its transaction.
type Body<Q, T, R> = fn(&mut Tx<'_>, &Q) -> Result<T, Abort<R>>;

impl Service {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Runs a command in one transaction, once per key.
    async fn run<Q, T, R>(
        &self,
        command: &Command,
        operation: &'static str,
        wish: Q,
        body: Body<Q, T, R>,
    ) -> Answer<T, R>
    where
        Q: Serialize + Send + Sync + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
        R: Send + 'static,
    {
        let wish = Arc::new(wish);
        let asked = Arc::clone(&wish);
        self.store.command(command, operation, &*asked, move |tx| body(tx, &wish)).await
    }
}

#[async_trait]
impl Catalog for Service {
    async fn product(&self, call: &Call, which: Which) -> Answer<Product, ProductError> {
        let now = self.store.clock().now();
        self.store.snapshot(call, move |c| reading::product(c, &which, now)).await
    }

    async fn products(&self, call: &Call, wish: Browse) -> Answer<Page<Product>, PageError> {
        let now = self.store.clock().now();
        let after = reading::product_after(wish.page.after.as_deref()).map_err(Fault::Refused)?;
        self.store.snapshot(call, move |c| Ok(reading::products(c, &wish, &after, now)?)).await
    }

    async fn quote(&self, call: &Call, wish: Quotes) -> Answer<Vec<Quote>, Never> {
        let now = self.store.clock().now();
        self.store.read(call, move |c| Ok(reading::quote(c, &wish.skus, now)?)).await
    }

    async fn price_history(
        &self,
        call: &Call,
        wish: Prices,
    ) -> Answer<Page<PricePoint>, PricesError> {
        let after = reading::price_after(wish.page.after.as_deref()).map_err(Fault::Refused)?;
        self.store.read(call, move |c| reading::price_history(c, &wish, after)).await
    }

    async fn audit(&self, call: &Call, page: PageRequest) -> Answer<Page<Audited>, PageError> {
        let now = self.store.clock().now();
        let after = reading::product_after(page.after.as_deref()).map_err(Fault::Refused)?;
        let limit = page.limit();
        self.store.snapshot(call, move |c| Ok(reading::audit(c, &after, limit, now)?)).await
    }

    async fn add(&self, command: &Command, wish: Add) -> Answer<Product, AddError> {
        self.run(command, "add", wish, editing::add).await
    }

    async fn edit(&self, command: &Command, wish: Edit) -> Answer<Product, EditError> {
        self.run(command, "edit", wish, editing::edit).await
    }

    async fn add_variant(
        &self,
        command: &Command,
        wish: AddVariant,
    ) -> Answer<Product, AddVariantError> {
        self.run(command, "add_variant", wish, editing::add_variant).await
    }

    async fn reprice(&self, command: &Command, wish: Reprice) -> Answer<PricePoint, RepriceError> {
        self.run(command, "reprice", wish, pricing::reprice).await
    }

    async fn publish(&self, command: &Command, wish: Publish) -> Answer<Product, PublishError> {
        self.run(command, "publish", wish, editing::publish).await
    }

    async fn unpublish(&self, command: &Command, wish: Publish) -> Answer<Product, PublishError> {
        self.run(command, "unpublish", wish, editing::unpublish).await
    }

    async fn import(&self, command: &Command, wish: Import) -> Answer<Imported, Never> {
        self.run(command, "import", wish, importing::import).await
    }
}
