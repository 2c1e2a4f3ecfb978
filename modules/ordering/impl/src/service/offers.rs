//! What the catalog offers, asked in pieces that it accepts.

use catalog_api::{Catalog, QUOTE_SKUS_MAX, Quotes};
use contract::{Answer, Call, Fault};
use kernel_api::{Bounded, Sku};

use crate::domain::cart::{Offer, Offers};

/// What the catalog offers of these SKUs. Asks nothing where there are none.
pub(super) async fn offers<R>(
    catalog: &dyn Catalog,
    call: &Call,
    skus: &[Sku],
) -> Answer<Offers, R> {
    let mut offers = Offers::with_capacity(skus.len());
    for some in skus.chunks(QUOTE_SKUS_MAX) {
        let skus = Bounded::new(some.to_vec()).expect("a chunk is neither empty nor too long");
        let quotes =
            catalog.quote(call, Quotes { skus }).await.map_err(|fault| never::<R>(fault))?;
        offers.extend(quotes.into_iter().map(|quote| {
            let title = quote.title.to_string();
            (quote.sku, Offer { title, price: quote.price, published: quote.published })
        }));
    }
    Ok(offers)
}

/// The fault of a call that has no refusal, as another's.
pub(super) fn never<R>(fault: Fault<contract::Never>) -> Fault<R> {
    fault.map(|never| match never {})
}
