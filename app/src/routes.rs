//! The public routes of every module, in one table.

use std::sync::Arc;

use anyhow::Result;
use contract::{Client, Keyring, Remote};
use http_api::{About, Table};
use placement_api::Placement;

use crate::modules::Modules;

/// The routes over these bindings. Every process mounts those of every module, wherever the module runs.
pub fn table(modules: &Modules, placement: &Arc<dyn Placement>) -> Table {
    let about = About {
        title: "Banyan".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "A shop: catalog, stock, orders and payments. Browsing, carts and checkout are public; everything else wants the operator's token.".to_owned(),
    };
    let routes = vec![
        catalog_impl::routes(Arc::clone(&modules.catalog)),
        inventory_impl::routes(Arc::clone(&modules.inventory)),
        ordering_impl::routes(Arc::clone(&modules.ordering)),
        payments_impl::routes(Arc::clone(&modules.payments)),
        placement_impl::routes(Arc::clone(placement)),
    ];
    Table::new(&about, routes)
}

/// The routes over bindings that lead nowhere: they can be listed without a shop.
pub fn nowhere() -> Result<Table> {
    let client = Client::new(tokio::runtime::Handle::current());
    let remote = Remote::new(client, "http://127.0.0.1:9", Keyring::new("nobody", ""))?;
    let placement = contract::remote(remote.clone());
    let modules = Modules {
        catalog: contract::remote(remote.clone()),
        inventory: contract::remote(remote.clone()),
        ordering: contract::remote(remote.clone()),
        payments: contract::remote(remote),
    };
    Ok(table(&modules, &placement))
}
