//! Catalog over HTTP: browsing and quotes are public, everything else is the operator's.

mod answers;
mod editing;
mod pricing;
mod reading;

use std::sync::Arc;

use catalog_api::{Audited, Catalog, Imported, PricePoint, Product, Quote};
use http_api::{Access, Operation, Routes, problems};
use kernel_api::Page;

use self::answers::{NO_PRICE, OTHER_CURRENCY, SKU_TAKEN, TOO_MANY_VARIANTS};

/// The largest body of an import: a thousand rows with a description of two kilobytes each.
const IMPORT_BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The routes of catalog.
pub fn routes(catalog: Arc<dyn Catalog>) -> Routes {
    for_the_operator(for_everyone(Routes::new("catalog").data(catalog)))
}

fn for_everyone(routes: Routes) -> Routes {
    let public = |path: &'static str, summary: &'static str| {
        Operation::get(path).summary(summary).access(Access::Public)
    };
    routes
        .add(
            public("/v1/products", "Looks through the products")
                .description("The public sees what is published, the operator everything.")
                .answers::<Page<Product>>(200),
            reading::products,
        )
        .add(
            public("/v1/products/{product}", "One product with its variants")
                .answers::<Product>(200)
                .etag()
                .problems(&[problems::NOT_FOUND]),
            reading::product,
        )
        .add(
            public("/v1/products/by-sku/{sku}", "The product that a SKU is a variant of")
                .answers::<Product>(200)
                .etag()
                .problems(&[problems::NOT_FOUND]),
            reading::product_by_sku,
        )
        .add(
            public("/v1/quotes", "What SKUs cost now")
                .description("In the order asked. A SKU that cannot be bought has no quote.")
                .answers::<Vec<Quote>>(200),
            pricing::quotes,
        )
}

fn for_the_operator(routes: Routes) -> Routes {
    let edited = |operation: Operation| {
        operation.answers::<Product>(200).etag().problems(&[problems::NOT_FOUND])
    };
    routes
        .add(
            Operation::post("/v1/products")
                .summary("Adds a product, unpublished")
                .answers::<Product>(201)
                .etag()
                .problems(&[SKU_TAKEN]),
            editing::add,
        )
        .add(
            edited(Operation::patch("/v1/products/{product}"))
                .summary("Changes what is said of a product"),
            editing::edit,
        )
        .add(
            edited(Operation::post("/v1/products/{product}/variants"))
                .summary("Adds a variant to a product")
                .problems(&[SKU_TAKEN, TOO_MANY_VARIANTS]),
            editing::add_variant,
        )
        .add(
            edited(Operation::post("/v1/products/{product}/publish"))
                .summary("Shows a product to the public")
                .problems(&[NO_PRICE]),
            editing::publish,
        )
        .add(
            edited(Operation::post("/v1/products/{product}/unpublish"))
                .summary("Takes a product from the public's eyes"),
            editing::unpublish,
        )
        .add(
            Operation::post("/v1/products/import")
                .summary("Takes over many SKUs at once and says what became of each row")
                .description("A refused row stops no other; the same rows again change nothing.")
                .body_limit(IMPORT_BODY_LIMIT)
                .answers::<Imported>(200),
            editing::import,
        )
        .add(
            Operation::get("/v1/skus/{sku}/prices")
                .summary("The prices of a SKU, past, present and planned")
                .answers::<Page<PricePoint>>(200)
                .problems(&[problems::NOT_FOUND]),
            pricing::price_history,
        )
        .add(
            Operation::post("/v1/skus/{sku}/prices")
                .summary("Sets the price of a SKU from a moment on")
                .answers::<PricePoint>(200)
                .problems(&[problems::NOT_FOUND, OTHER_CURRENCY]),
            pricing::reprice,
        )
        .add(
            Operation::get("/v1/products/audit")
                .summary("Every product with what is wrong with it")
                .answers::<Page<Audited>>(200),
            reading::audit,
        )
}
