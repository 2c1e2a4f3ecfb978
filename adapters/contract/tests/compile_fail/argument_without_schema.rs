//! What travels has a form that the other side can know.

use contract::{Answer, Call, Never, contract};

struct Opaque;

#[contract("depot")]
trait Depot: Send + Sync + 'static {
    #[query]
    async fn stock(&self, call: &Call, sku: Opaque) -> Answer<u32, Never>;
}

fn main() {}
