//! How operator commands reach the shop: through the running server, or, where none runs, by opening the data.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use contract::{Client, Keyring, Remote, RemoteLimits};
use placement_api::Placement;
use telemetry::Health;

use crate::{
    data_dir::{Locked, Server, Use},
    http_client::HttpClient,
    modules::Modules,
    operations::{Everywhere, LocalOperations, Operations, RemoteOperations, others},
    secrets::DeploymentSecret,
    server::deployment_secret,
    settings::Settings,
    shop::{Opening, Shop, descriptors},
};

/// How long one try of a command's call may take: a batch of an import, an audit of a page.
const TRY_TIME: Duration = Duration::from_secs(30);

/// The shop, reached.
pub struct Reached {
    /// Its modules.
    pub modules: Modules,
    /// What else may be asked of it.
    pub operations: Arc<dyn Operations>,
    /// The server that was found.
    pub server: Option<Server>,
    /// Where each module is.
    pub placement: Arc<dyn Placement>,
    opened: Option<(Arc<Shop>, Locked)>,
}

impl Reached {
    /// Lets go of the shop: what was opened is closed.
    pub async fn leave(self) {
        let Self { opened, modules, operations, placement, .. } = self;
        drop((modules, operations, placement));
        if let Some((shop, locked)) = opened {
            shop.stop().await;
            drop(shop);
            // Only now may another process open the data.
            drop(locked);
        }
    }
}

/// Reaches the shop of these settings, which must be there: a mistyped directory is no new shop.
pub async fn reach(settings: &Settings) -> Result<Reached> {
    let data = settings.data_dir();
    let path = data.path();
    ensure!(
        path.is_dir(),
        "there is no shop in {}: name its directory with --data",
        path.display()
    );
    reach_or_make(settings).await
}

/// Reaches the shop of these settings; one that is not there yet is made.
pub async fn reach_or_make(settings: &Settings) -> Result<Reached> {
    match settings.data_dir().claim()? {
        Use::Ours(locked) => open(settings, locked).await,
        Use::Theirs(server) => ask(settings, server).await,
    }
}

/// A client of the internal port of the server that has the data directory: for what only a running one can be asked.
pub fn server_client(settings: &Settings) -> Result<HttpClient> {
    let data = settings.data_dir();
    let nobody =
        || format!("no server runs on {}: name its directory with --data", data.path().display());
    ensure!(data.path().is_dir(), nobody());
    match data.claim()? {
        Use::Ours(_) => bail!(nobody()),
        Use::Theirs(server) => {
            HttpClient::new(&server.internal, &server_secret(settings)?.derive("control"), 1)
        }
    }
}

/// The deployment's secret, which a server has made or was given.
pub fn server_secret(settings: &Settings) -> Result<DeploymentSecret> {
    match &settings.deployment.secret {
        Some(secret) => DeploymentSecret::parse(secret.expose()).context("deployment.secret"),
        None => settings.data_dir().deployment_secret(),
    }
}

async fn open(settings: &Settings, locked: Locked) -> Result<Reached> {
    let secret = deployment_secret(settings, &locked)?;
    let all = descriptors().into_iter().map(|module| module.name);
    let here: Vec<_> = all.filter(|name| settings.modules.url(name).is_none()).collect();
    let opening = Opening {
        settings,
        secret: &secret,
        here,
        health: &Health::new(),
        locked: &locked,
        serving: None,
    };
    let shop = Arc::new(Shop::open(opening).await?);
    let mut operations: Vec<Arc<dyn Operations>> =
        vec![Arc::new(LocalOperations(Arc::clone(&shop)))];
    operations.extend(elsewhere(settings, &secret, None)?);
    Ok(Reached {
        modules: shop.modules.clone(),
        operations: Arc::new(Everywhere(operations)),
        server: None,
        placement: Arc::clone(&shop.placement),
        opened: Some((shop, locked)),
    })
}

async fn ask(settings: &Settings, server: Server) -> Result<Reached> {
    let secret = server_secret(settings)?;
    let client = Client::new(tokio::runtime::Handle::current());
    let keyring = Keyring::derive(&secret.rpc(), &[]);
    let remote = |module: &str| -> Result<Remote> {
        let is_here = server.modules.iter().any(|name| name == module);
        let url = if is_here { None } else { settings.modules.url(module) };
        let url = url.unwrap_or(&server.internal);
        let limits = RemoteLimits { try_timeout: TRY_TIME, ..RemoteLimits::default() };
        let remote = Remote::new(client.clone(), url, keyring.clone());
        Ok(remote.with_context(|| format!("modules.{module}.url"))?.limits(limits))
    };
    let modules = Modules {
        catalog: contract::remote(remote("catalog")?),
        inventory: contract::remote(remote("inventory")?),
        ordering: contract::remote(remote("ordering")?),
        payments: contract::remote(remote("payments")?),
    };
    let mut operations = elsewhere(settings, &secret, Some(&server))?;
    let placement: Arc<dyn Placement> = contract::remote(remote("placement")?);
    // Modules that were carved out: what they have heard is known where they are. Without placement none was.
    let control = secret.derive("control");
    let carved = others(placement.as_ref(), &settings.deployment.name, &control);
    operations.extend(carved.await.unwrap_or_default());
    Ok(Reached {
        modules,
        operations: Arc::new(Everywhere(operations)),
        server: Some(server),
        placement,
        opened: None,
    })
}

/// The operations of every process that the settings name, each once.
fn elsewhere(
    settings: &Settings,
    secret: &DeploymentSecret,
    server: Option<&Server>,
) -> Result<Vec<Arc<dyn Operations>>> {
    let mut urls: Vec<&str> = server.map(|server| server.internal.as_str()).into_iter().collect();
    for module in descriptors() {
        let is_here =
            server.is_some_and(|server| server.modules.iter().any(|name| name == module.name));
        match settings.modules.url(module.name) {
            Some(url) if !is_here && !urls.contains(&url) => urls.push(url),
            Some(_) | None => {}
        }
    }
    let control = secret.derive("control");
    let operations = urls.into_iter().map(|url| {
        let client = HttpClient::new(url, &control, 2)?;
        Ok(Arc::new(RemoteOperations(client)) as Arc<dyn Operations>)
    });
    operations.collect()
}
