//! A catalog in memory, for the tests of others: it quotes what it was told, and can be away.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use contract::{Answer, Call, Command, Fault, Never, Reason, async_trait};
use kernel_api::{Id, Page, PageRequest, Sku, Timestamp, UnitPrice};

use crate::{
    Add, AddError, AddVariant, AddVariantError, Audited, Availability, Browse, Catalog, Edit,
    EditError, Import, Imported, PageError, PricePoint, Prices, PricesError, Product, ProductError,
    Publish, PublishError, Quote, Quotes, Reprice, RepriceError, Title, Variant, Which,
};

/// The fake. Each SKU is a product of its own; methods that change more than a price are not there.
#[derive(Default)]
pub struct FakeCatalog {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    quotes: BTreeMap<Sku, Quote>,
    away: bool,
}

impl FakeCatalog {
    /// An empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sells a SKU at this price, published, from now on.
    pub fn sell(&self, sku: Sku, title: Title, price: UnitPrice) {
        let mut state = self.lock();
        let product = state.quotes.get(&sku).map_or_else(Id::fresh, |quote| quote.product);
        let quote = Quote { sku: sku.clone(), product, title, price: Some(price), published: true };
        state.quotes.insert(sku, quote);
    }

    /// Takes a SKU from the public's eyes.
    pub fn hide(&self, sku: &Sku) {
        if let Some(quote) = self.lock().quotes.get_mut(sku) {
            quote.published = false;
        }
    }

    /// Goes away: every call ends in `NotExecuted(Unavailable)` until it is back.
    pub fn go_away(&self) {
        self.lock().away = true;
    }

    /// Comes back.
    pub fn come_back(&self) {
        self.lock().away = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open<R>(&self) -> Result<MutexGuard<'_, State>, Fault<R>> {
        let state = self.lock();
        if state.away {
            return Err(Fault::not_executed(Reason::Unavailable, "the fake catalog is away"));
        }
        Ok(state)
    }
}

fn product(quote: &Quote) -> Product {
    let variant = Variant {
        sku: quote.sku.clone(),
        label: None,
        price: quote.price,
        availability: Availability::Unknown,
    };
    Product {
        id: quote.product,
        title: quote.title.clone(),
        description: crate::Description::default(),
        published: quote.published,
        version: 1,
        variants: vec![variant],
        added_at: Timestamp::default(),
        changed_at: Timestamp::default(),
    }
}

fn missing<T, R>() -> Answer<T, R> {
    Err(Fault::not_executed(Reason::Failed, "the fake catalog has no such method"))
}

#[async_trait]
impl Catalog for FakeCatalog {
    async fn product(&self, _: &Call, which: Which) -> Answer<Product, ProductError> {
        let state = self.open()?;
        let wanted = |quote: &&Quote| match &which {
            Which::Id(id) => quote.product == *id,
            Which::Sku(sku) => quote.sku == *sku,
        };
        let found = state.quotes.values().find(wanted).map(product);
        found.ok_or(Fault::Refused(ProductError::UnknownProduct))
    }

    async fn products(&self, _: &Call, _: Browse) -> Answer<Page<Product>, PageError> {
        Ok(Page { items: self.open()?.quotes.values().map(product).collect(), next: None })
    }

    async fn quote(&self, _: &Call, wish: Quotes) -> Answer<Vec<Quote>, Never> {
        let state = self.open()?;
        Ok(wish.skus.iter().filter_map(|sku| state.quotes.get(sku).cloned()).collect())
    }

    async fn price_history(&self, _: &Call, _: Prices) -> Answer<Page<PricePoint>, PricesError> {
        missing()
    }

    async fn audit(&self, _: &Call, _: PageRequest) -> Answer<Page<Audited>, PageError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn add(&self, _: &Command, _: Add) -> Answer<Product, AddError> {
        missing()
    }

    async fn edit(&self, _: &Command, _: Edit) -> Answer<Product, EditError> {
        missing()
    }

    async fn add_variant(&self, _: &Command, _: AddVariant) -> Answer<Product, AddVariantError> {
        missing()
    }

    async fn reprice(&self, _: &Command, wish: Reprice) -> Answer<PricePoint, RepriceError> {
        let mut state = self.open()?;
        let quote =
            state.quotes.get_mut(&wish.sku).ok_or(Fault::Refused(RepriceError::UnknownSku))?;
        quote.price = Some(wish.price.get());
        let at = wish.from.unwrap_or_default();
        Ok(PricePoint { sku: wish.sku, from: at, price: wish.price.get(), set_at: at })
    }

    async fn publish(&self, _: &Command, _: Publish) -> Answer<Product, PublishError> {
        missing()
    }

    async fn unpublish(&self, _: &Command, _: Publish) -> Answer<Product, PublishError> {
        missing()
    }

    async fn import(&self, _: &Command, _: Import) -> Answer<Imported, Never> {
        missing()
    }
}
