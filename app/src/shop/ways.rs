//! How this process reaches the others, and what it is part of.

use std::{collections::BTreeMap, sync::Arc};

use contract::{Client, Doubt, Keyring, Remote, RemoteError};
use events::{Feed, HttpFeed};

use super::{descriptors, seat::Unnamed};
use crate::{secrets::DeploymentSecret, settings::Settings};

/// The ways to other processes. Clones share them.
#[derive(Clone)]
pub struct Ways(Arc<Shared>);

struct Shared {
    client: Client,
    keyring: Keyring,
    deployment: String,
    unnamed: Unnamed,
    /// Where the settings say that modules are.
    told: BTreeMap<&'static str, String>,
    doubt: Doubt,
}

impl Ways {
    /// The ways of a process with these settings.
    pub fn new(settings: &Settings, secret: &DeploymentSecret) -> Self {
        let names = descriptors().map(|module| module.name);
        let told = |name: &'static str| Some((name, settings.modules.url(name)?.to_owned()));
        let unnamed = if settings.deployment.standby { Unnamed::Wait } else { Unnamed::Own };
        Self(Arc::new(Shared {
            client: Client::new(tokio::runtime::Handle::current()),
            keyring: Keyring::derive(&secret.rpc(), &names),
            deployment: settings.deployment.name.clone(),
            unnamed,
            told: names.into_iter().filter_map(told).collect(),
            doubt: Doubt::default(),
        }))
    }

    /// The deployment that this process is part of, and how it takes a row that names nobody.
    pub fn deployment(&self) -> (&str, Unnamed) {
        (&self.0.deployment, self.0.unnamed)
    }

    /// Where the settings say that a module is.
    pub fn told(&self, module: &str) -> Option<&str> {
        self.0.told.get(module).map(String::as_str)
    }

    /// Raised by every seat that is told `Moved`.
    pub fn doubt(&self) -> &Doubt {
        &self.0.doubt
    }

    /// The process at an internal URL.
    pub fn remote(&self, url: &str) -> Result<Remote, RemoteError> {
        Remote::new(self.0.client.clone(), url, self.0.keyring.clone())
    }

    /// A module's feed at another process.
    pub fn feed(&self, module: &'static str, at: Remote) -> Arc<dyn Feed> {
        // Read in the name of each reader; this one is for questions without any.
        Arc::new(HttpFeed::new(module, module, at))
    }
}
