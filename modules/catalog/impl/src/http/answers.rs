//! How products and refusals look on the wire.

use catalog_api::{
    AddError, AddVariantError, EditError, PageError, PricesError, Product, ProductError,
    PublishError, RepriceError, VARIANTS_MAX,
};
use contract::Never;
use http_api::{IfMatch, Problem, ProblemType, Reply};

/// A SKU belongs to another product.
pub(crate) const SKU_TAKEN: ProblemType =
    ProblemType::new("sku-taken", 409, "A SKU belongs to a product already");

/// A variant has no price in force.
pub(crate) const NO_PRICE: ProblemType =
    ProblemType::new("no-price", 409, "A variant has no price in force");

/// A SKU's prices are all in one currency.
pub(crate) const OTHER_CURRENCY: ProblemType =
    ProblemType::new("other-currency", 422, "The SKU is priced in another currency");

/// A product has as many variants as it may.
pub(crate) const TOO_MANY_VARIANTS: ProblemType =
    ProblemType::new("too-many-variants", 422, "The product has as many variants as it may");

/// A product with its version. Prices and availability change without one, so they are in the tag too.
pub(super) fn shown(product: Product) -> Reply<Product> {
    let version = product.version;
    let rest: Vec<_> = product.variants.iter().map(|v| (v.price, v.availability)).collect();
    Reply::ok(product).etag(version).varying(&rest)
}

pub(super) fn no_product() -> Problem {
    Problem::not_found("there is no such product")
}

fn no_sku() -> Problem {
    Problem::not_found("no product has this SKU")
}

fn bad_cursor() -> Problem {
    Problem::malformed("after", "is not the `next` of a page of this list")
}

pub(super) fn never(never: Never) -> Problem {
    match never {}
}

pub(super) fn product(error: ProductError) -> Problem {
    match error {
        ProductError::UnknownProduct => no_product(),
    }
}

pub(super) fn page(error: PageError) -> Problem {
    match error {
        PageError::BadCursor => bad_cursor(),
    }
}

pub(super) fn prices(error: PricesError) -> Problem {
    match error {
        PricesError::UnknownSku => no_sku(),
        PricesError::BadCursor => bad_cursor(),
    }
}

pub(super) fn reprice(error: RepriceError) -> Problem {
    match error {
        RepriceError::UnknownSku => no_sku(),
        RepriceError::OtherCurrency => {
            Problem::of(&OTHER_CURRENCY).field("price.currency", error.to_string())
        }
    }
}

pub(super) fn add(error: AddError) -> Problem {
    match error {
        AddError::SkuTaken { skus } => Problem::of(&SKU_TAKEN)
            .detail("each SKU belongs to one product, once")
            .with("skus", skus),
    }
}

pub(super) fn edit(error: EditError) -> Problem {
    match error {
        EditError::UnknownProduct => no_product(),
        EditError::VersionMismatch { version } => IfMatch::mismatch(version),
    }
}

pub(super) fn add_variant(error: AddVariantError) -> Problem {
    match error {
        AddVariantError::UnknownProduct => no_product(),
        AddVariantError::VersionMismatch { version } => IfMatch::mismatch(version),
        AddVariantError::SkuTaken => Problem::of(&SKU_TAKEN).field("sku", "belongs to a product"),
        AddVariantError::TooManyVariants => {
            Problem::of(&TOO_MANY_VARIANTS).detail(error.to_string()).with("limit", VARIANTS_MAX)
        }
    }
}

pub(super) fn publish(error: PublishError) -> Problem {
    match error {
        PublishError::UnknownProduct => no_product(),
        PublishError::VersionMismatch { version } => IfMatch::mismatch(version),
        PublishError::NoPrice { skus } => Problem::of(&NO_PRICE)
            .detail("each variant needs a price in force before the public may see it")
            .with("skus", skus),
    }
}
