//! The wires between modules: bindings that can be switched, feeds near or far.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use contract::{CallGraph, Client, Contract, Keyring, Remote, Switch, Target, rpc};
use events::{Feed, FeedServer, HttpFeed, LocalFeed};

use super::{data::Own, descriptors};
use crate::{secrets::DeploymentSecret, settings::Settings};

/// What it takes to reach a module, wherever it is.
pub struct Wires<'a> {
    settings: &'a Settings,
    graph: &'a CallGraph,
    client: Client,
    keyring: Keyring,
    registry: &'a rpc::Registry,
    /// The feeds of the modules that run here.
    feeds: BTreeMap<&'static str, Arc<dyn Feed>>,
}

impl<'a> Wires<'a> {
    /// The wires of a process that has these stores.
    pub fn new(
        settings: &'a Settings,
        secret: &DeploymentSecret,
        graph: &'a CallGraph,
        (registry, shown): (&'a rpc::Registry, &FeedServer),
        stores: &BTreeMap<&'static str, Own>,
    ) -> Self {
        let names: Vec<_> = descriptors().iter().map(|module| module.name).collect();
        let feeds = stores.iter().map(|(name, own)| {
            let feed = LocalFeed::new(own.store.clone(), Arc::clone(&own.readers));
            let feed: Arc<dyn Feed> = Arc::new(feed);
            shown.insert(Arc::clone(&feed));
            (*name, feed)
        });
        Self {
            settings,
            graph,
            client: Client::new(tokio::runtime::Handle::current()),
            keyring: Keyring::derive(&secret.rpc(), &names),
            registry,
            feeds: feeds.collect(),
        }
    }

    /// A module that runs here: other processes may call it.
    pub fn here<C: Contract + ?Sized>(&self, own: &Own, service: Arc<C>) -> Arc<Switch<C>> {
        let rehearsal =
            self.settings.modules.place(C::MODULE).and_then(|place| place.rehearsal.wire());
        let service = match rehearsal {
            Some(wire) => contract::rehearsal(service, wire),
            None => service,
        };
        let switch = Switch::new(own.store.epoch(), Target::here(service));
        // Through the gate as well: what other processes ask must stop there, too, when the module moves.
        self.registry.insert(contract::dispatcher(self.binding(&switch, "rpc")));
        switch
    }

    /// A module that runs elsewhere.
    pub fn elsewhere<C: Contract + ?Sized>(&self) -> Result<Arc<Switch<C>>> {
        // Epoch 0: whatever placement says later is newer.
        Ok(Switch::new(0, Target::elsewhere(contract::remote(self.remote(C::MODULE)?))))
    }

    /// How `caller` calls a module: through the switch, counted.
    pub fn binding<C: Contract + ?Sized>(&self, switch: &Arc<Switch<C>>, caller: &str) -> Arc<C> {
        contract::local(contract::switchable(switch), self.graph.edge(caller, C::MODULE))
    }

    /// How `hearer` hears a module.
    pub fn feed(&self, source: &str, hearer: &str) -> Result<Arc<dyn Feed>> {
        match self.feeds.get(source) {
            Some(feed) => Ok(Arc::clone(feed)),
            None => Ok(Arc::new(HttpFeed::new(source, hearer, self.remote(source)?))),
        }
    }

    fn remote(&self, module: &str) -> Result<Remote> {
        let url = self.settings.modules.url(module);
        let url = url.with_context(|| {
            format!("{module} does not run here: set modules.{module}.url to the internal port of a process that has it")
        })?;
        Remote::new(self.client.clone(), url, self.keyring.clone())
            .with_context(|| format!("modules.{module}.url"))
    }
}
