//! What other modules may ask of catalog: products, variants and prices.

mod audit;
mod browse;
mod edit;
#[cfg(feature = "fake")]
pub mod fake;
mod import;
mod price;
mod product;
mod text;

pub use audit::{Audited, Violation};
pub use browse::{Browse, PageError, Shown};
pub use edit::{
    Add, AddError, AddVariant, AddVariantError, Edit, EditError, NewVariant, Publish, PublishError,
    VARIANTS_MAX,
};
pub use import::{Existing, IMPORT_ROWS_MAX, Import, ImportRow, Imported, RowOutcome, RowReport};
pub use price::{
    PRICE_MICROS_MAX, Price, PriceError, PricePoint, Prices, PricesError, QUOTE_SKUS_MAX, Quote,
    Quotes, Reprice, RepriceError,
};
pub use product::{Availability, Product, ProductError, Variant, Which};
pub use text::{Description, DescriptionError, Label, Title};

use contract::{Answer, Call, Command, Never};
use kernel_api::{Page, PageRequest};

/// What is sold: products, their variants by SKU, and prices with history.
///
/// A SKU belongs to one product for ever. Every command takes effect once per (caller, method, key); what else makes
/// it idempotent stands with it.
#[contract::contract("catalog")]
pub trait Catalog: Send + Sync + 'static {
    /// One product with its variants, by its id or by one of its SKUs.
    #[query]
    async fn product(&self, call: &Call, which: Which) -> Answer<Product, ProductError>;

    /// The products, oldest first.
    #[query]
    async fn products(&self, call: &Call, wish: Browse) -> Answer<Page<Product>, PageError>;

    /// What these SKUs cost now, in the order asked. A SKU that is not in the catalog has no quote.
    #[query]
    async fn quote(&self, call: &Call, wish: Quotes) -> Answer<Vec<Quote>, Never>;

    /// The prices of one SKU, past, present and planned, oldest first.
    #[query]
    async fn price_history(
        &self,
        call: &Call,
        wish: Prices,
    ) -> Answer<Page<PricePoint>, PricesError>;

    /// Every product with what is wrong with it, by id.
    #[query]
    async fn audit(&self, call: &Call, page: PageRequest) -> Answer<Page<Audited>, PageError>;

    /// Adds a product, unpublished.
    #[command]
    async fn add(&self, command: &Command, wish: Add) -> Answer<Product, AddError>;

    /// Changes what is said of a product; the version that was read must still stand.
    #[command]
    async fn edit(&self, command: &Command, wish: Edit) -> Answer<Product, EditError>;

    /// Adds a variant to a product.
    #[command]
    async fn add_variant(
        &self,
        command: &Command,
        wish: AddVariant,
    ) -> Answer<Product, AddVariantError>;

    /// Sets the price of a SKU from a moment on: now unless told. The same price from the same moment changes nothing.
    #[command]
    async fn reprice(&self, command: &Command, wish: Reprice) -> Answer<PricePoint, RepriceError>;

    /// Shows a product to the public; every variant needs a price in force. Publishing twice changes nothing.
    #[command]
    async fn publish(&self, command: &Command, wish: Publish) -> Answer<Product, PublishError>;

    /// Takes a product from the public's eyes; it can no longer be bought. Doing it twice changes nothing.
    #[command]
    async fn unpublish(&self, command: &Command, wish: Publish) -> Answer<Product, PublishError>;

    /// Takes over many SKUs at once and says of each row what became of it. A refused row stops no other; the same rows
    /// again change nothing.
    #[command]
    async fn import(&self, command: &Command, wish: Import) -> Answer<Imported, Never>;
}
