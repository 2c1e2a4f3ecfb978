//! The proxy in front of the shop, in the same process: one port for people, a toggle for every endpoint.
//!
//! The shop itself then listens on a socket in the data directory. The toggles stand in `proxy.toml` beside it, which is
//! made from the modules' own routes at the first start and is the operator's from then on.

mod file;

use std::{
    fs, io,
    net::TcpListener,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::dev::ServerHandle;
use anyhow::{Context, Result, bail};
use http_api::RouteRow;
use strangler_proxy::{
    Handle, Proxy,
    config::{Source, load},
    steer::{
        Engine, Steering,
        admin::{self, Admin},
        token,
        watch::watch,
    },
};
use telemetry::{Health, Metrics};
use tokio::task::JoinHandle;

use crate::settings::Settings;

pub use file::toml;

/// The proxy's configuration in the data directory.
const FILE: &str = "proxy.toml";

/// Where the shop listens behind it. In the data directory, which belongs to the server alone.
const SOCKET: &str = "shop.sock";

/// The proxy while it runs.
pub struct Front {
    /// Where people go.
    pub url: String,
    /// Where it is steered.
    pub admin: String,
    /// Its configuration.
    pub steering: Arc<Steering>,
    /// Its workers.
    pub engine: Arc<Handle>,
    watching: JoinHandle<()>,
    steered: ServerHandle,
}

/// Where the shop listens behind the proxy; made free, because a process that was killed leaves its socket behind.
pub fn socket(settings: &Settings) -> Result<PathBuf> {
    if settings.http.tls.certificate.is_some() {
        bail!("proxy.enabled: the proxy has no TLS yet, so http.tls must stand without it");
    }
    let path = std::path::absolute(Path::new(&settings.data).join(SOCKET))?;
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    Ok(path)
}

impl Front {
    /// Starts it in front of the shop at `socket`. What it counts is told with the shop's `metrics`.
    pub fn start(
        settings: &Settings,
        rows: &[RouteRow],
        socket: &Path,
        metrics: &Metrics,
        health: &Health,
    ) -> Result<Self> {
        let path = std::path::absolute(Path::new(&settings.data).join(FILE))?;
        let (listen, steer) = (settings.http.listen.to_string(), settings.proxy.admin.to_string());
        made(&path, &toml(rows, &listen, &format!("unix:{}", socket.display()), &steer))?;
        let source = Source::file(&path).flag("--listen", "listen", listen).flag(
            "proxy.admin",
            "admin.listen",
            steer,
        );
        let loaded = load(&source).with_context(|| path.display().to_string())?;
        let Some(place) = loaded.snapshot.admin.clone() else {
            bail!("{}: admin.enabled must be true here", path.display());
        };
        let steering = Arc::new(Steering::new(source, loaded));
        let engine = Arc::new(Proxy::start(steering.shared())?);
        metrics.collect(engine.cells());
        metrics.collect(engine.guards());
        let listener = TcpListener::bind(place.listen).with_context(|| {
            format!(
                "cannot listen on {}: is another proxy there? Set another proxy.admin",
                place.listen
            )
        })?;
        let for_api: Arc<dyn Engine> = Arc::<Handle>::clone(&engine);
        let admin = admin::serve(
            listener,
            Admin {
                steering: Arc::clone(&steering),
                engine: for_api,
                metrics: metrics.clone(),
                health: health.clone(),
                token: token::known_or_fresh(&place)?,
            },
        )?;
        tokio::spawn(admin.server);
        steering.started("banyan");
        let Some(address) = engine.addresses().first() else { bail!("the proxy has no listener") };
        Ok(Self {
            url: address.to_string(),
            admin: admin.url,
            watching: tokio::spawn(watch(Arc::clone(&steering), None)),
            steering,
            steered: admin.handle,
            engine,
        })
    }

    /// Lets requests in flight end, and ends.
    pub async fn stop(self) {
        self.watching.abort();
        self.engine.drain();
        let engine = Arc::clone(&self.engine);
        // Ended by its own bound on draining.
        drop(tokio::task::spawn_blocking(move || engine.wait()).await);
        self.steered.stop(true).await;
    }
}

/// Writes the file where there is none yet.
fn made(path: &Path, text: &str) -> Result<()> {
    let new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match new {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot make {}", path.display())),
    };
    io::Write::write_all(&mut file, text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}
