//! The proxy in front of the shop, in the same process: one port for people, a toggle for every endpoint.
//!
//! The shop itself then listens on a socket in the data directory, and the proxy has the public address and its TLS, as
//! the shop's settings say. The toggles stand in `proxy.toml` beside it, which is made from the modules' own routes at the
//! first start and is the operator's from then on.

mod file;

use std::{
    fs, io,
    net::TcpListener,
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use actix_web::dev::ServerHandle;
use anyhow::{Context, Result, bail};
use http_api::RouteRow;
use strangler_proxy::{
    Handle, Proxy,
    config::{CertificatePart, ListenPart, ListenTable, ListenTlsPart, Source, load},
    steer::{
        Engine, Steering,
        admin::{self, Admin},
        token,
        watch::watch,
    },
};
use telemetry::{Health, Metrics};
use tokio::task::JoinHandle;

use crate::{settings::Settings, web::Public};

pub use file::toml;

/// The proxy's configuration in the data directory.
const FILE: &str = "proxy.toml";

/// Where the shop listens behind it. In the data directory, which belongs to the server alone.
const SOCKET: &str = "shop.sock";

/// The longest path that the address of a socket holds, the zero at its end left out (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

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

/// Where the shop listens behind the proxy: a socket in the data directory, made free, because a process that was killed
/// leaves its socket behind. Where that path is too long for a socket's address, a port of the loopback.
pub fn behind(settings: &Settings) -> Result<Public> {
    let path = std::path::absolute(Path::new(&settings.data).join(SOCKET))?;
    if path.as_os_str().as_bytes().len() > SOCKET_PATH_MAX {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("a port behind the proxy")?;
        return Ok(Public::Behind(listener));
    }
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    Ok(Public::Socket(path))
}

/// Where people go: the shop's own address, with its certificate where it has one.
fn listen(settings: &Settings) -> Result<ListenPart> {
    let address = settings.http.listen.to_string();
    let tls = &settings.http.tls;
    let (Some(cert), Some(key)) = (&tls.certificate, &tls.key) else {
        return Ok(ListenPart::Address(address));
    };
    // The proxy takes a path for one beside its own file; the shop's settings mean the working directory.
    let (cert, key) = (std::path::absolute(cert)?, std::path::absolute(key)?);
    let certificates = vec![CertificatePart { cert, key: Some(key) }];
    let tls = Some(ListenTlsPart { certificates, ..ListenTlsPart::default() });
    Ok(ListenPart::Table(Box::new(ListenTable { address, tls, ..ListenTable::default() })))
}

impl Front {
    /// Starts it in front of the shop at `from`. What it counts is told with the shop's `metrics`.
    pub fn start(
        settings: &Settings,
        rows: &[RouteRow],
        from: &str,
        metrics: &Metrics,
        health: &Health,
    ) -> Result<Self> {
        let path = std::path::absolute(Path::new(&settings.data).join(FILE))?;
        let (address, steer) = (settings.http.listen.to_string(), settings.proxy.admin.to_string());
        made(&path, &toml(rows, &address, from, &steer))?;
        let mut source = Source::file(&path).flag("the shop behind it", "from", from).flag(
            "proxy.admin",
            "admin.listen",
            steer,
        );
        source.listen = Some(vec![listen(settings)?]);
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
        let url = match &settings.http.tls.certificate {
            Some(_) => address.to_string().replacen("http://", "https://", 1),
            None => address.to_string(),
        };
        Ok(Self {
            url,
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
