//! `run`: serves until it is told to stop.

use std::{net::TcpListener, sync::Arc};

use anyhow::{Context, Result, bail};
use telemetry::{Health, Metrics, State};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    arguments::RunArgs,
    client::{self, who},
    print::say,
};
use crate::{
    Handle, Proxy,
    config::{ConfigError, Loaded, Source, load},
    steer::{
        ConfigState, Engine, Steering,
        admin::{self, Admin},
        token,
        watch::{Signals, watch},
    },
    tls,
};

/// Threads for the steering; requests have the workers' own.
const THREADS: usize = 1;

/// Serves.
pub fn run(wish: &RunArgs) -> Result<()> {
    let source = source(wish)?;
    let loaded = load(&source).map_err(|error| told(&error, &source))?;
    loaded.config.log.start()?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("steering")
        .enable_all()
        .build()?
        .block_on(serve(source, loaded))
}

/// All faults, a line each; the first follows the program's name.
fn told(error: &ConfigError, source: &Source) -> anyhow::Error {
    match (error, &source.file) {
        (ConfigError::File { source, .. }, Some(_)) => anyhow::anyhow!("{error}: {source}"),
        (ConfigError::File { .. } | ConfigError::Faults(_), _) => anyhow::anyhow!("{error}"),
    }
}

/// The file; or, with `--from` and no `--config`, nothing but the command line, and nothing is written.
fn source(wish: &RunArgs) -> Result<Source> {
    let one_line = wish.from.is_some() && wish.place.config.is_none();
    let mut source = client::source(&wish.place);
    if one_line {
        source.file = None;
        source = source.flag("--from", "admin.enabled", "false");
    } else if wish.place.config.is_none() && !client::file(&wish.place).exists() {
        bail!(
            "say what to serve: --config FILE, or `--listen 127.0.0.1:8080 --from http://127.0.0.1:3000` to try it"
        );
    }
    let given = [("--listen", "listen", &wish.listen), ("--from", "from", &wish.from)];
    for (flag, key, value) in given {
        if let Some(value) = value {
            source = source.flag(flag, key, value.as_str());
        }
    }
    if let Some(workers) = wish.workers {
        source = source.flag("--workers", "workers", workers.to_string());
    }
    // The admin API tells the file to commands that run elsewhere.
    source.file = source.file.map(std::path::absolute).transpose()?;
    Ok(source)
}

async fn serve(source: Source, loaded: Loaded) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let signals = Signals::take()?;
    let place = loaded.snapshot.admin.clone();
    let steering = Arc::new(Steering::new(source, loaded));
    let engine = Arc::new(Proxy::start(steering.shared())?);
    let health = health(&steering);
    let metrics = Metrics::new();
    metrics.collect(engine.cells());
    metrics.collect(engine.guards());
    let admin = match place {
        None => None,
        Some(place) => {
            let listener = TcpListener::bind(place.listen).with_context(|| {
                format!("the admin API cannot listen at {}: is another proxy there? Set another `admin.listen`", place.listen)
            })?;
            let token = token::known_or_fresh(&place).with_context(|| {
                format!("cannot keep the admin token in {}", place.token_file.display())
            })?;
            let for_api: Arc<dyn Engine> = Arc::<Handle>::clone(&engine);
            Some(admin::serve(
                listener,
                Admin {
                    steering: Arc::clone(&steering),
                    engine: for_api,
                    metrics,
                    health: health.clone(),
                    token,
                },
            )?)
        }
    };
    let watching = tokio::spawn(watch(Arc::clone(&steering), Some(signals)));
    steering.started(&who());
    health.started();
    // That nobody reads it is no reason not to serve.
    drop(greet(&steering, &engine, admin.as_ref().map(|admin| admin.url.as_str())));
    let (server, handle) = admin.map(|admin| (admin.server, admin.handle)).unzip();
    let serving = server.map(tokio::spawn);
    let ended = tokio::task::spawn_blocking({
        let engine = Arc::clone(&engine);
        move || engine.wait()
    });
    let mut ended = std::pin::pin!(ended);
    // Ended by the admin API's drain, or by a signal, whichever comes first.
    tokio::select! {
        _ = &mut ended => {}
        _ = terminate.recv() => stop(&engine, &health, &mut ended).await,
        _ = interrupt.recv() => stop(&engine, &health, &mut ended).await,
    }
    if let Some(handle) = handle {
        handle.stop(true).await;
    }
    if let Some(serving) = serving {
        serving.await.context("the admin API failed")??;
    }
    watching.abort();
    tracing::info!("stopped");
    Ok(())
}

async fn stop(
    engine: &Arc<Handle>,
    health: &Health,
    ended: &mut std::pin::Pin<&mut tokio::task::JoinHandle<()>>,
) {
    tracing::info!("stopping: requests in flight end first");
    health.drain();
    engine.drain();
    if let Err(error) = ended.await {
        tracing::error!(%error, "the engine failed while it stopped");
    }
}

/// A wrong file does not make the proxy unready, nor does a certificate that ends soon: what is in force still serves. But whoever looks must see it.
fn health(steering: &Arc<Steering>) -> Health {
    let health = Health::new();
    let shared = steering.shared().clone();
    let steering = Arc::clone(steering);
    health.probe("configuration", move || match steering.config_state() {
        ConfigState::InForce { .. } => State::Ok,
        ConfigState::Refused { faults, .. } => State::Degraded(faults.join("; ")),
    });
    health.probe("certificates", move || {
        let expiries = tls::expiries(&shared.get());
        let complaint = |expiry: tls::Expiry| {
            expiry.complaint.map(|what| format!("{} {what}", expiry.file.display()))
        };
        let complaints: Vec<_> = expiries.into_iter().filter_map(complaint).collect();
        if complaints.is_empty() { State::Ok } else { State::Degraded(complaints.join("; ")) }
    });
    health
}

/// Where to look, for whoever has started it.
fn greet(steering: &Steering, engine: &Handle, admin: Option<&str>) -> Result<()> {
    let snapshot = steering.shared().get();
    let shown =
        engine.addresses().iter().zip(snapshot.listeners.iter()).map(|(address, listener)| {
            let text = address.to_string();
            if listener.tls.is_some() { text.replacen("http://", "https://", 1) } else { text }
        });
    let listeners: Vec<String> = shown.collect();
    say(format!("strangler-proxy serves at {}", listeners.join(" and ")))?;
    let rest = snapshot.route(snapshot.rest());
    say(format!("  monolith      {}", snapshot.upstream(rest.from).name))?;
    if let Some(file) = steering.file() {
        let count = snapshot.routes.len().saturating_sub(1);
        say(format!(
            "  configuration {} ({count} routes, version {})",
            file.display(),
            snapshot.revision
        ))?;
    }
    if let Some(url) = admin {
        say(format!("  admin API     {url} (/status, /metrics, /health/ready)"))?;
        if let Some(place) = &snapshot.admin
            && place.token.is_none()
        {
            say(format!("  admin token   in {}", place.token_file.display()))?;
        }
    }
    if let Some(kill) = &snapshot.kill {
        say(format!("  KILL SWITCH   on ({}): everything goes to the monolith", kill.reason))?;
    }
    Ok(())
}
