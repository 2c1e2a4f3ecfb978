//! Every method says which kind it is.

use contract::{Answer, Call, Never, contract};

#[contract("depot")]
trait Depot: Send + Sync + 'static {
    async fn stock(&self, call: &Call, sku: String) -> Answer<u32, Never>;
    #[query]
    #[command]
    async fn both(&self, call: &Call, sku: String) -> Answer<u32, Never>;
}

fn main() {}
