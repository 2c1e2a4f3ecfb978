//! One argument, so that it has one schema and one hash.

use contract::{Answer, Call, Never, contract};

#[contract("depot")]
trait Depot: Send + Sync + 'static {
    #[query]
    async fn stock(&self, call: &Call, sku: String, place: String) -> Answer<u32, Never>;
    #[query]
    async fn places(&self, call: &Call) -> Answer<u32, Never>;
}

fn main() {}
