//! A query has no effect, so it has no key.

use contract::{Answer, Command, Never, contract};

#[contract("depot")]
trait Depot: Send + Sync + 'static {
    #[query]
    async fn stock(&self, command: &Command, sku: String) -> Answer<u32, Never>;
}

fn main() {}
