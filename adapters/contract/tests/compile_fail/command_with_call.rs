//! A command without a key could not be asked again.

use contract::{Answer, Call, Never, contract};

#[contract("depot")]
trait Depot: Send + Sync + 'static {
    #[command]
    async fn take(&self, call: &Call, sku: String) -> Answer<u32, Never>;
}

fn main() {}
