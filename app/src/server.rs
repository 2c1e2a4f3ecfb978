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
    placing::{self, Announcing, Books, Children, Oneself},
    routes,
    secrets::{self, DeploymentSecret},
    settings::Settings,
    shop::{Opening, Serving, Shop},
    web::{self, Inside, Listening, Outside, Place},
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

/// Who ends this process besides its operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// Nobody.
    None,
    /// The process that has started it, by closing the pipe that is its standard input.
    AtStandardInput,
}

/// Serves these modules until told to stop. `ready` is told when requests are welcome.
pub async fn serve(
    settings: &Settings,
    (here, parent): (Vec<&'static str>, Parent),
    log: Option<LogHandle>,
    ready: impl FnOnce(&Ready),
) -> Result<()> {
    let data = settings.data_dir().lock()?;
    let secret = deployment_secret(settings, &data)?;
    let (token, made) = operator_token(settings, &data)?;
    let (health, metrics) = (Health::new(), Metrics::new());
    let public = entrance(settings)?;
    let internal = web::bind(settings.internal.listen, "internal.listen")?;

    let oneself = Oneself::new(settings, internal.local_addr()?, public.port()?)?;
    let in_front = placing::Front::default();
    let opening = Opening {
        settings,
        secret: &secret,
        here: here.clone(),
        health: &health,
        locked: &data,
        serving: None,
    };
    let shop = open(opening, (&oneself, token.as_str(), &in_front)).await?;
    let operations: Arc<dyn Operations> = Arc::new(LocalOperations(Arc::clone(&shop)));
    let table = routes::table(&shop.modules, &shop.placement);
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
        place: Place { shop: Arc::clone(&shop), oneself: Arc::clone(&oneself) },
        metrics,
        health: health.clone(),
        operations,
        log,
        control: secret.derive("control"),
    };
    let mut public = web::public(settings, public, outside)?;
    let internal = web::internal(internal, inside)?;
    let front = settings
        .proxy
        .is_in_front()
        .then(|| Front::start(settings, &rows, &public.url, &counted, &health))
        .transpose()
        .context("the proxy in front (proxy.enabled)")?;
    if let Some(front) = &front {
        public.url.clone_from(&front.url);
        in_front.stands(Arc::clone(&front.steering), Arc::clone(&front.engine));
    }
    data.announce(&Server::here(&public.url, &internal.url, &here))?;

    health.started();
    ready(&Ready {
        public: public.url.clone(),
        internal: internal.url.clone(),
        steered: front.as_ref().map(|front| front.admin.clone()),
        fresh_token: (made == Made::JustNow).then(|| token.as_str().to_owned()),
    });
    // Without placement, here or elsewhere, the settings say where everything is.
    let placed = here.contains(&"placement") || settings.modules.url("placement").is_some();
    let announcing = placed.then(|| Announcing::start(&shop, &oneself, in_front.clone()));
    let around = Around { front, children: shop.children.clone(), parent };
    run(settings, &health, around, (public, internal)).await?;
    if let Some(announcing) = announcing {
        announcing.stop().await;
    }
    shop.stop().await;
    data.withdraw();
    tracing::info!("stopped");
    Ok(())
}

/// Where the public comes in.
fn entrance(settings: &Settings) -> Result<web::Public> {
    if settings.proxy.is_in_front() {
        return front::behind(settings);
    }
    Ok(web::Public::Port(web::bind(settings.http.listen, "--listen")?))
}

/// Opens the shop of a process that serves others.
async fn open(
    opening: Opening<'_>,
    (oneself, token, front): (&Arc<Oneself>, &str, &placing::Front),
) -> Result<Arc<Shop>> {
    let books = Books::new(opening.secret.derive("control"));
    let serving = Serving {
        oneself: Arc::clone(oneself),
        token: token.to_owned(),
        front: front.clone(),
        books: Arc::clone(&books),
    };
    let shop = Arc::new(Shop::open(Opening { serving: Some(serving), ..opening }).await?);
    books.open(&shop);
    Ok(shop)
}

/// What ends before the listeners, or ends them.
struct Around {
    front: Option<Front>,
    children: Option<Arc<Children>>,
    parent: Parent,
}

/// Comes back when the process that has started this one has ended, or wants it to end.
async fn ended(parent: Parent) {
    match parent {
        Parent::None => std::future::pending().await,
        Parent::AtStandardInput => {
            // Nothing is ever written into the pipe. A thread of its own, for nothing ends a read of standard input.
            let (tell, told) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
                drop(tell);
            });
            drop(told.await as Result<(), _>);
        }
    }
}

/// Runs both listeners until a signal comes, then lets requests in flight end.
async fn run(
    settings: &Settings,
    health: &Health,
    around: Around,
    (public, internal): (Listening, Listening),
) -> Result<()> {
    let Around { front, children, parent } = around;
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
        () = ended(parent) => Instant::now(),
    };
    tracing::info!("stopping: no longer ready");
    health.drain();
    let stopping = async {
        tokio::time::sleep(settings.stop.notice.get()).await;
        // From the outside inwards: what is in flight there may still call and be called.
        if let Some(front) = front {
            front.stop().await;
        }
        // They ask this process as long as they have requests in flight.
        if let Some(children) = children {
            children.stop().await;
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
