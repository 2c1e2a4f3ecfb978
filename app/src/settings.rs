//! The settings of `banyan`: defaults here, then a file, then the environment (`BANYAN_…`), then the command line.

mod modules;

pub use modules::{Modules, Place, Rehearse};

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use settings::{Duration, Loaded, Secret, Sources};

use crate::{
    cli::{MemberArgs, PlaceArgs, ServerArgs},
    data_dir::DataDir,
};

/// The settings file that is read where none is named.
const FILE: &str = "banyan.toml";

/// The deployment in which all begins.
pub const MONOLITH: &str = "monolith";

/// The most threads or connections of one kind: what the web server takes, and more than any machine of ours has use for.
const THREADS_MAX: usize = 512;

/// Everything that can be set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The data directory.
    pub data: String,
    /// The public listener.
    pub http: Http,
    /// The internal listener: calls between processes, feeds, metrics, health, operators.
    pub internal: Internal,
    /// The proxy in front of the public listener.
    pub proxy: ProxyInFront,
    /// Where the modules' data is.
    pub database: Database,
    /// What the processes of a deployment share.
    pub deployment: Deployment,
    /// Who may do everything, until there are identities.
    pub operator: Operator,
    /// What is logged.
    pub log: telemetry::Logging,
    /// Where modules are that run elsewhere, and how those that run here are called.
    pub modules: Modules,
    /// How long read events are kept.
    pub feeds: Feeds,
    /// How the process ends.
    pub stop: Stop,
    /// How `banyan verify` looks.
    pub verify: Verify,
    /// The module catalog.
    pub catalog: catalog_impl::Config,
    /// The module inventory.
    pub inventory: inventory_impl::Config,
    /// The module ordering.
    pub ordering: ordering_impl::Config,
    /// The module payments.
    pub payments: payments_impl::Config,
    /// The module placement.
    pub placement: placement_impl::Config,
    /// The file that was read, for processes that this one starts.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// The public listener.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Its address.
    pub listen: SocketAddr,
    /// Threads that answer; 0 for one per core, at most 512.
    pub workers: usize,
    /// Open connections per thread; beyond it new ones wait to be accepted.
    pub connections_max: usize,
    /// How long a request's calls may take. Not zero: none would be made.
    #[serde(deserialize_with = "settings::some_time")]
    pub call_time: Duration,
    /// How long a connection may take to send a request's head.
    pub head_time: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// TLS, where the certificate is given.
    pub tls: Tls,
}

/// The proxy in front, in the same process: a toggle for every endpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyInFront {
    /// Does it stand in front? Then it has the public address, and the shop a socket in the data directory. Where nothing
    /// is said it stands in front of `banyan up`, and not of `banyan serve`.
    pub enabled: Option<bool>,
    /// Where it is steered.
    pub admin: SocketAddr,
}

/// TLS of the public listener: both files, or neither.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain (PEM).
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub key: Option<PathBuf>,
}

/// The internal listener.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Internal {
    /// Its address. Loopback, unless modules run on several machines: then a private network.
    pub listen: SocketAddr,
    /// Where other processes reach it, if not at the address that it listens on.
    pub url: Option<String>,
}

/// Where the modules' data is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// A PostgreSQL URL without user (each module has its own role); SQLite files in the data directory where absent or
    /// empty.
    pub url: Option<Secret<String>>,
    /// Connections per module and process, on PostgreSQL.
    pub connections: usize,
    /// Reader threads per module, on SQLite.
    pub readers: usize,
}

/// What the processes of a deployment share.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// Its name: the owner of the modules whose data names it. All begins in `monolith`; a module that is carved out
    /// is in a deployment of its own.
    pub name: String,
    /// The data that it opens waits to be filled by a carve: a database that names no owner is not taken for its own.
    pub standby: bool,
    /// 64 hex digits; made and kept in the data directory where absent. Processes with data directories of their own
    /// must be given the same one.
    pub secret: Option<Secret<String>>,
}

/// Who may do everything.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operator {
    /// The operator's token; made and kept in the data directory where absent.
    pub token: Option<Secret<String>>,
}

/// How long things are kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Feeds {
    /// Events are kept at least so long after everyone has read them.
    pub keep: Duration,
    /// A reader that was not heard of for so long is no longer waited for.
    pub keep_for_silent_readers: Duration,
}

/// How the process ends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// How long it goes on serving after it says that it is not ready, so that load balancers have noticed.
    pub notice: Duration,
    /// How long requests in flight may take to end.
    pub drain: Duration,
}

/// How `banyan verify` looks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Verify {
    /// How long it waits for work in flight.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: "./data".to_owned(),
            http: Http::default(),
            internal: Internal::default(),
            proxy: ProxyInFront::default(),
            database: Database::default(),
            deployment: Deployment::default(),
            operator: Operator::default(),
            log: telemetry::Logging {
                // The web server tells of its own threads at this level.
                level: "info,actix_server=warn".to_owned(),
                ..telemetry::Logging::default()
            },
            modules: Modules::default(),
            feeds: Feeds::default(),
            stop: Stop::default(),
            verify: Verify::default(),
            catalog: catalog_impl::Config::default(),
            inventory: inventory_impl::Config::default(),
            ordering: ordering_impl::Config::default(),
            payments: payments_impl::Config::default(),
            placement: placement_impl::Config::default(),
            file: None,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            workers: 0,
            connections_max: 8192,
            call_time: Duration::from_millis(http_api_millis(http_api::CALL_TIME)),
            head_time: Duration::from_millis(http_api_millis(http_api::CLIENT_REQUEST_TIMEOUT)),
            keep_alive: Duration::from_millis(http_api_millis(http_api::KEEP_ALIVE)),
            tls: Tls::default(),
        }
    }
}

impl Default for Deployment {
    fn default() -> Self {
        Self { name: MONOLITH.to_owned(), standby: false, secret: None }
    }
}

impl ProxyInFront {
    /// Does it stand in front?
    pub fn is_in_front(&self) -> bool {
        self.enabled == Some(true)
    }
}

impl Default for ProxyInFront {
    fn default() -> Self {
        Self { enabled: None, admin: SocketAddr::from(([127, 0, 0, 1], 8082)) }
    }
}

impl Default for Internal {
    fn default() -> Self {
        Self { listen: ([127, 0, 0, 1], 8081).into(), url: None }
    }
}

impl Default for Database {
    fn default() -> Self {
        let limits = store::Limits::default();
        Self { url: None, connections: limits.connections, readers: limits.readers }
    }
}

impl Default for Feeds {
    fn default() -> Self {
        let day = 24 * 3600;
        Self {
            keep: Duration::from_secs(7 * day),
            keep_for_silent_readers: Duration::from_secs(30 * day),
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self { notice: Duration::from_secs(0), drain: Duration::from_secs(20) }
    }
}

impl Default for Verify {
    fn default() -> Self {
        Self { patience: Duration::from_secs(60) }
    }
}

fn http_api_millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Settings {
    /// Loads the settings for a place.
    pub fn of(place: &PlaceArgs) -> Result<Loaded<Self>> {
        Self::of_server(&ServerArgs { place: place.clone(), listen: None })
    }

    /// Loads the settings for a server.
    pub fn of_server(server: &ServerArgs) -> Result<Loaded<Self>> {
        Self::of_member(server, &MemberArgs::default())
    }

    /// Loads the settings for a server that is part of a certain deployment.
    pub fn of_member(server: &ServerArgs, member: &MemberArgs) -> Result<Loaded<Self>> {
        let mut sources = Sources::new("BANYAN")
            .process_environment()
            // Options of the command line that may also come from the environment, and what tests need.
            .ignoring("BANYAN_CONFIG")
            .ignoring("BANYAN_ADMIN_URL")
            .ignoring("BANYAN_TEST_");
        if let Some(file) = &server.place.config {
            sources = sources.file(file);
        }
        sources = sources.file_if_present(FILE);
        if let Some(data) = &server.place.data {
            sources = sources.flag("--data", "data", data.display().to_string());
        }
        if let Some(listen) = server.listen {
            sources = sources.flag("--listen", "http.listen", listen.to_string());
        }
        if let Some(deployment) = &member.deployment {
            sources = sources.flag("--deployment", "deployment.name", deployment.clone());
        }
        if member.standby {
            sources = sources.flag("--standby", "deployment.standby", "true".to_owned());
        }
        let mut loaded = sources.load::<Self>()?;
        loaded.config.file = server.place.config.as_ref().map(std::path::absolute).transpose()?;
        loaded.config.check()?;
        Ok(loaded)
    }

    /// What one value alone cannot tell.
    fn check(&self) -> Result<()> {
        let tls = &self.http.tls;
        ensure!(
            tls.certificate.is_some() == tls.key.is_some(),
            "http.tls.certificate and http.tls.key go together: give both, or neither"
        );
        for (name, threads) in [
            ("database.connections", self.database.connections),
            ("database.readers", self.database.readers),
        ] {
            ensure!((1..=THREADS_MAX).contains(&threads), "{name} must be 1 to {THREADS_MAX}");
        }
        ensure!(
            self.http.workers <= THREADS_MAX,
            "http.workers must be 0 (one per core) to {THREADS_MAX}"
        );
        ensure!(self.http.connections_max > 0, "http.connections_max must be at least 1");
        self.modules.check()?;
        let name = self.deployment.name.parse::<placement_api::Name>();
        name.context("deployment.name")?;
        if let Some(url) = &self.internal.url {
            url.parse::<placement_api::Address>().context("internal.url")?;
        }
        Ok(())
    }

    /// The data directory.
    pub fn data_dir(&self) -> DataDir {
        DataDir::at(&self.data)
    }

    /// The PostgreSQL server of the modules' data, if it is on one.
    pub fn database_url(&self) -> Option<&str> {
        let url = self.database.url.as_ref()?.expose().as_str();
        (!url.is_empty()).then_some(url)
    }

    /// Everything that is set, without secrets: what a carve's certificate shows the hash of.
    pub fn shown(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The limits of each module's store.
    pub fn store_limits(&self) -> store::Limits {
        store::Limits {
            connections: self.database.connections,
            readers: self.database.readers,
            ..store::Limits::default()
        }
    }
}
