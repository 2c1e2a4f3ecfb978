//! A running server, from the lock on its data to its last breath.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result, bail};
use http_api::OperatorToken;
use telemetry::{Health, LogHandle, Metrics};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    data_dir::{Locked, Made, Server},
    front::{self, Front},
    operations::{LocalOperations, Operations},
    routes,
    secrets::{self, DeploymentSecret},
    settings::Settings,
    shop::{Opening, Shop},
    web::{self, Inside, Listening, Outside},
};

/// What is told when the server is ready.
#[derive(Debug)]
pub struct Ready {
    /// The public listener's URL.
    pub public: String,
    /// The internal listener's URL.
    pub internal: String,
    /// Where the proxy in front is steered, where there is one.
    pub steered: Option<String>,
    /// The operator's token, when it was made just now.
    pub fresh_token: Option<String>,
}

/// Serves these modules until told to stop. `ready` is told when requests are welcome.
pub async fn serve(
    settings: &Settings,
    here: Vec<&'static str>,
    log: Option<LogHandle>,
    ready: impl FnOnce(&Ready),
) -> Result<()> {
    let data = settings.data_dir().lock()?;
    let secret = deployment_secret(settings, &data)?;
    let (token, made) = operator_token(settings, &data)?;
    let (health, metrics) = (Health::new(), Metrics::new());
    let public = if settings.proxy.enabled {
        web::Public::Socket(front::socket(settings)?)
    } else {
        web::Public::Port(web::bind(settings.http.listen, "--listen")?)
    };
    let internal = web::bind(settings.internal.listen, "internal.listen")?;

    let opening =
        Opening { settings, secret: &secret, here: here.clone(), health: &health, locked: &data };
    let shop = Arc::new(Shop::open(opening).await?);
    let operations: Arc<dyn Operations> = Arc::new(LocalOperations(Arc::clone(&shop)));
    let table = routes::table(&shop.modules);
    let (rows, counted) = (table.rows(), metrics.clone());
    let outside = Outside {
        table,
        operator: OperatorToken::new(token.as_str()),
        health: health.clone(),
        metrics: metrics.clone(),
    };
    let inside = Inside {
        registry: Arc::clone(&shop.registry),
        feeds: Arc::clone(&shop.feeds),
        metrics,
        health: health.clone(),
        operations,
        log,
        control: secret.derive("control"),
    };
    let mut public = web::public(settings, public, outside)?;
    let internal = web::internal(internal, inside)?;
    let front = public.socket.as_deref();
    let front = front
        .map(|socket| Front::start(settings, &rows, socket, &counted, &health))
        .transpose()
        .context("the proxy in front (proxy.enabled)")?;
    if let Some(front) = &front {
        public.url.clone_from(&front.url);
    }
    data.announce(&Server {
        pid: std::process::id(),
        public: public.url.clone(),
        internal: internal.url.clone(),
        modules: here.iter().map(|name| (*name).to_owned()).collect(),
    })?;

    health.started();
    ready(&Ready {
        public: public.url.clone(),
        internal: internal.url.clone(),
        steered: front.as_ref().map(|front| front.admin.clone()),
        fresh_token: (made == Made::JustNow).then(|| token.as_str().to_owned()),
    });
    run(settings, &health, front, public, internal).await?;
    shop.stop().await;
    data.withdraw();
    tracing::info!("stopped");
    Ok(())
}

/// Runs both listeners until a signal comes, then lets requests in flight end.
async fn run(
    settings: &Settings,
    health: &Health,
    front: Option<Front>,
    public: Listening,
    internal: Listening,
) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut listeners = std::pin::pin!(async { tokio::try_join!(public.server, internal.server) });
    let started = tokio::select! {
        ended = &mut listeners => {
            ended.context("a listener failed")?;
            bail!("a listener ended by itself");
        }
        _ = terminate.recv() => Instant::now(),
        _ = interrupt.recv() => Instant::now(),
    };
    tracing::info!("stopping: no longer ready");
    health.drain();
    let stopping = async {
        tokio::time::sleep(settings.stop.notice.get()).await;
        // From the outside inwards: what is in flight there may still call and be called.
        if let Some(front) = front {
            front.stop().await;
        }
        public.handle.stop(true).await;
        internal.handle.stop(true).await;
    };
    let (ended, ()) = tokio::join!(listeners, stopping);
    ended.context("a listener failed while it stopped")?;
    tracing::info!(took_ms = started.elapsed().as_millis(), "drained");
    Ok(())
}

/// The deployment's secret: as set, else the data directory's own.
pub fn deployment_secret(settings: &Settings, data: &Locked) -> Result<DeploymentSecret> {
    match &settings.deployment.secret {
        Some(secret) => DeploymentSecret::parse(secret.expose()).context("deployment.secret"),
        None => data.deployment_secret(),
    }
}

fn operator_token(settings: &Settings, data: &Locked) -> Result<(secrets::OperatorToken, Made)> {
    match &settings.operator.token {
        Some(token) => {
            let token = secrets::OperatorToken::parse(token.expose()).context("operator.token")?;
            Ok((token, Made::Before))
        }
        None => data.operator_token(),
    }
}
