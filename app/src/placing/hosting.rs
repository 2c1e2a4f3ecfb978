//! The processes that modules move to, and where their data is.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use async_trait::async_trait;
use http::Method;
use placement_api::{
    Address, Blocker, Database, Host, HostError, Hosted, Hosts, Module, Name, Sides, Site,
};
use store::Location;

use super::{Children, House, Identity, Oneself, children, identity::database};
use crate::{
    http_client::{Ask, HttpClient},
    secrets::DeploymentSecret,
    shop,
};

/// How long a process may take to say who it is.
const ASK_TIME: Duration = Duration::from_secs(5);

/// This process as a host: with children, or without.
pub struct Hosting {
    oneself: Arc<Oneself>,
    children: Arc<Children>,
    secret: DeploymentSecret,
    /// Where this process keeps the data of each of its modules.
    own: Vec<(&'static str, Location)>,
    /// The hash of every method, as this process knows them.
    contracts: std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>>,
}

impl Hosting {
    /// A host whose own modules have their data at these places.
    pub fn new(
        oneself: Arc<Oneself>,
        children: Arc<Children>,
        secret: DeploymentSecret,
        (own, seats): (Vec<(&'static str, Location)>, &shop::Seats),
    ) -> Self {
        let contracts =
            seats.values().map(|seat| (seat.module().to_owned(), seat.contract().methods));
        Self { oneself, children, secret, own, contracts: contracts.collect() }
    }

    fn is_us(&self, deployment: &Name) -> bool {
        *deployment == self.oneself.deployment
    }

    async fn location(&self, module: &Module, site: &Site) -> Result<Database, HostError> {
        if self.is_us(&site.deployment) {
            let own = self.own.iter().find(|(name, _)| *name == module.as_str());
            let (_, location) = own.ok_or_else(|| {
                HostError::NotReady(format!("this process has no data of {module}"))
            })?;
            return Ok(database(location));
        }
        if let Some(said) = &site.database {
            return self.said(module, said);
        }
        if let Some(hosted) = self.child(module, &site.deployment)? {
            return self.of_child(&hosted);
        }
        if let Some(url) = &site.url {
            let house = self.house(module, url).await?;
            return house.database.parse().map_err(|_odd| {
                HostError::NotReady(format!("{url} does not say where its data is"))
            });
        }
        let (module, deployment) = (module.clone(), site.deployment.clone());
        self.of_child(&children::Hosted { module, deployment, database: None })
    }

    /// Where the data of a module shall be that is not there yet. What an earlier child had there says nothing.
    async fn new_location(&self, module: &Module, site: &Site) -> Result<Database, HostError> {
        if self.is_us(&site.deployment) {
            return self.location(module, site).await;
        }
        if let Some(url) = &site.url {
            // Before anything is begun: what waits there may be somebody else.
            self.checked((module, &site.deployment), None, url).await?;
        }
        match (&site.database, &site.url) {
            (None, None) => {
                let (module, deployment) = (module.clone(), site.deployment.clone());
                self.of_child(&children::Hosted { module, deployment, database: None })
            }
            (_, _) => self.location(module, site).await,
        }
    }

    /// The child that has the module in this deployment: its address changes whenever it is started again, so what was
    /// once said of that means nothing.
    fn child(
        &self,
        module: &Module,
        deployment: &Name,
    ) -> Result<Option<children::Hosted>, HostError> {
        self.children.hosted(module, deployment).map_err(failed)
    }

    fn of_child(&self, hosted: &children::Hosted) -> Result<Database, HostError> {
        let module = &hosted.module;
        match &hosted.database {
            Some(url) => self.said(module, &Database::Server(url.clone())),
            None => {
                let home = self.children.nursery().home(module, &hosted.deployment);
                Ok(Database::File(home.join(format!("{module}.db"))))
            }
        }
    }

    /// The module's own place on a server that was named without a user.
    fn said(&self, module: &Module, said: &Database) -> Result<Database, HostError> {
        match said {
            Database::File(path) => Ok(Database::File(path.clone())),
            Database::Server(url) => {
                let password = shop::password(&self.secret, module.as_str());
                let location = store::module_location(url, module.as_str(), &password);
                let location = location.map_err(|error| {
                    blocked("no_database", &site_text(said), &error.to_string())
                })?;
                Ok(database(&location))
            }
        }
    }

    /// Who answers there. Whoever does, and is not who is wanted, will not be by waiting.
    async fn identity(&self, url: &Address) -> Result<Identity, HostError> {
        let odd = |kind, detail: &str| blocked(kind, url.as_str(), detail);
        let client = HttpClient::new(url.as_str(), &self.secret.derive("control"), 1)
            .map_err(|error| odd("no_address", &error.to_string()))?;
        let (method, path) = (Method::GET, "/ops/process");
        let ask = Ask { method, path, key: None, if_match: None, body: None, time: ASK_TIME };
        let answer = client.ask(ask).await;
        let answer = answer.map_err(|silence| HostError::NotReady(format!("{url}: {silence}")))?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|_odd| {
                odd("version_skew", "it is of another version: run the same one on both sides")
            }),
            401 | 403 => Err(odd(
                "other_secret",
                "it belongs to other people: start it with this deployment's BANYAN_DEPLOYMENT_SECRET",
            )),
            404 => Err(odd(
                "no_internal_port",
                "that is not where a process is told what to do: take the internal port that it prints at its start",
            )),
            _ => Err(HostError::NotReady(format!("{url}: {}", answer.problem()))),
        }
    }

    async fn house(&self, module: &Module, url: &Address) -> Result<House, HostError> {
        let identity = self.identity(url).await?;
        let mut houses = identity.houses.into_iter();
        houses.find(|house| house.housed.module == *module).ok_or_else(|| {
            let detail = "it has not opened the module's data: start it with --modules";
            blocked("no_module", url.as_str(), detail)
        })
    }

    /// A process that answers at `url`, if it is the one that is wanted and has the data where it is wanted.
    async fn checked(
        &self,
        (module, wanted): (&Module, &Name),
        database: Option<&Database>,
        url: &Address,
    ) -> Result<Hosted, HostError> {
        let identity = self.identity(url).await?;
        if identity.deployment != *wanted {
            let detail = format!("it is part of {}, not of {wanted}", identity.deployment);
            return Err(blocked("other_deployment", url.as_str(), &detail));
        }
        let house = identity.houses.iter().find(|house| house.housed.module == *module);
        let Some(house) = house else {
            let detail = "it has not opened the module's data: start it with --modules";
            return Err(blocked("no_module", url.as_str(), detail));
        };
        if let Some(wanted) = database
            && house.database.parse().is_ok_and(|has: Database| has != *wanted)
        {
            let detail = format!(
                "it has the module's data elsewhere than {wanted}: carve anew, from the server whose child it shall be"
            );
            return Err(blocked("other_data", url.as_str(), &detail));
        }
        let (ours, theirs) =
            (self.contracts.get(module.as_str()), identity.contracts.get(module.as_str()));
        if ours != theirs {
            let detail = "it speaks another version of the module's contract";
            return Err(blocked("contract_differs", url.as_str(), detail));
        }
        Ok(Hosted { url: url.clone(), public_url: identity.public_url })
    }
}

#[async_trait]
impl Hosts for Hosting {
    async fn locations(&self, sides: &Sides) -> Result<(Database, Database), HostError> {
        let from = self.location(&sides.module, &sides.from).await?;
        let to = self.new_location(&sides.module, &sides.to).await?;
        if let Database::File(path) = &to
            && let Some(home) = path.parent()
        {
            // Its data comes before its process.
            std::fs::create_dir_all(home)
                .with_context(|| home.display().to_string())
                .map_err(failed)?;
        }
        Ok((from, to))
    }

    async fn ready(&self, host: &Host) -> Result<Hosted, HostError> {
        let Host { module, site, database: place, .. } = host;
        if self.is_us(&site.deployment) {
            let (url, public_url) = (self.oneself.url.clone(), self.oneself.public_url.clone());
            return Ok(Hosted { url, public_url });
        }
        let hosted = self.child(module, &site.deployment)?;
        if let (Some(url), None) = (&site.url, &hosted) {
            return self.checked((module, &site.deployment), place.as_ref(), url).await;
        }
        let database = match &site.database {
            Some(Database::Server(url)) => Some(url.clone()),
            Some(Database::File(_)) | None => None,
        };
        if hosted.is_some_and(|hosted| hosted.database != database) {
            // Left from an earlier carve: whatever it has open, the module is not in this deployment yet.
            self.children.unwant(module, &site.deployment).await.map_err(failed)?;
        }
        let (module, deployment) = (module.clone(), site.deployment.clone());
        let wanted = children::Hosted { module, deployment, database };
        self.children.want(wanted).map_err(failed)?;
        let module = &host.module;
        let server = self.children.server(module, &site.deployment);
        let server = server
            .ok_or_else(|| HostError::NotReady(format!("the process of {module} is starting")))?;
        let url: Address = server.internal.parse().map_err(|_odd| {
            HostError::NotReady(format!("the process of {module} has an odd address"))
        })?;
        self.checked((module, &site.deployment), place.as_ref(), &url).await
    }

    async fn stop(&self, host: &Host) -> Result<(), HostError> {
        if self.child(&host.module, &host.site.deployment)?.is_none() {
            return Ok(());
        }
        self.children.unwant(&host.module, &host.site.deployment).await.map_err(failed)
    }
}

fn failed(error: anyhow::Error) -> HostError {
    HostError::NotReady(format!("{error:#}"))
}

fn blocked(kind: &str, about: &str, detail: &str) -> HostError {
    HostError::Blocked(Blocker {
        kind: kind.to_owned(),
        about: about.to_owned(),
        detail: detail.to_owned(),
    })
}

fn site_text(database: &Database) -> String {
    database.to_string()
}
