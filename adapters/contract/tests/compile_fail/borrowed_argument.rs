//! An argument may travel, so it is owned; and a method is asynchronous, for it may be far away.

use contract::{Answer, Call, Never, contract};

#[contract("depot")]
trait Depot: Send + Sync + 'static {
    #[query]
    async fn stock(&self, call: &Call, sku: &str) -> Answer<u32, Never>;
    #[query]
    fn now(&self, call: &Call, sku: String) -> Answer<u32, Never>;
}

fn main() {}
