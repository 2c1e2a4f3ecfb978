//! The modules as everything outside them sees them: their contracts.

use std::sync::Arc;

use catalog_api::Catalog;
use inventory_api::Inventory;
use ordering_api::Ordering;
use payments_api::Payments;

/// One binding per module, wherever the module runs.
#[derive(Clone)]
pub struct Modules {
    /// What is sold.
    pub catalog: Arc<dyn Catalog>,
    /// What is there.
    pub inventory: Arc<dyn Inventory>,
    /// What was bought.
    pub ordering: Arc<dyn Ordering>,
    /// What was paid.
    pub payments: Arc<dyn Payments>,
}
