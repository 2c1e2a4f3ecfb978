//! A call ends in one of four ways, and the return type says so.

use contract::{Call, contract};

#[contract("depot")]
trait Depot: Send + Sync + 'static {
    #[query]
    async fn plain(&self, call: &Call, sku: String) -> u32;
    #[query]
    async fn silent(&self, call: &Call, sku: String);
    #[query]
    async fn other(&self, call: &Call, sku: String) -> Result<u32, String>;
}

fn main() {}
