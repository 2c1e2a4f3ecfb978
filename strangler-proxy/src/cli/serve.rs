//! `run`: serves until it is told to stop.

use std::{net::TcpListener, os::fd::OwnedFd, sync::Arc};

use anyhow::{Context, Result, bail};
use telemetry::{Health, Metrics, State};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::{
    arguments::RunArgs,
    client::{self, who},
    print::say,
};
use crate::{
    Handle, Inherited, Proxy,
    config::{AdminPlace, ConfigError, Kill, Loaded, Source, load},
    handover::{Giver, Offering, Predecessor, Taken, service},
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

/// Where the sockets come from.
struct Origin {
    inherited: Inherited,
    before: Option<Predecessor>,
}

/// Serves.
pub fn run(wish: &RunArgs) -> Result<()> {
    let mut origin = Origin { inherited: service::sockets()?, before: None };
    let source = source(wish)?;
    let loaded = load(&source).map_err(|error| told(&error, &source))?;
    loaded.log.start()?;
    if wish.take_over {
        if source.file.is_none() {
            bail!("--take-over wants --config FILE: the file says where the proxy is that serves");
        }
        if let Some((before, inherited)) = Predecessor::reach(&loaded.snapshot.files.handover)? {
            origin = Origin { inherited, before: Some(before) };
        }
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("steering")
        .enable_all()
        .build()?
        .block_on(serve(source, loaded, origin))
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

/// What a process serves with.
struct Up {
    steering: Arc<Steering>,
    engine: Arc<Handle>,
    health: Health,
    admin: Option<Steered>,
    before: Option<Predecessor>,
}

/// The admin API.
struct Steered {
    serving: admin::Serving,
    /// To be handed on.
    socket: (String, OwnedFd),
}

async fn serve(source: Source, loaded: Loaded, origin: Origin) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let signals = Signals::take()?;
    let Up { steering, engine, health, admin, before } = bring_up(source, loaded, origin)?;
    let watching = tokio::spawn(watch(Arc::clone(&steering), Some(signals)));
    steering.started(&who());
    health.started();
    service::ready();
    // That nobody reads it is no reason not to serve.
    let is = before.as_ref().map(|before| &before.is);
    drop(greet(&steering, &engine, admin.as_ref(), is));
    let (socket, serving) = admin.map(|Steered { serving, socket }| (socket, serving)).unzip();
    let (server, handle) = serving.map(|serving| (serving.server, serving.handle)).unzip();
    let serving = server.map(tokio::spawn);
    let (mut offering, mut taken) = offer(&steering, &engine, socket, before.as_ref()).unzip();
    drop(before);
    let ended = tokio::task::spawn_blocking({
        let engine = Arc::clone(&engine);
        move || engine.wait()
    });
    let mut ended = std::pin::pin!(ended);
    // Ended by the admin API's drain, by a signal, or because another process has taken over: whichever comes first.
    tokio::select! {
        _ = &mut ended => {}
        _ = terminate.recv() => stop(&engine, &health, &mut ended).await,
        _ = interrupt.recv() => stop(&engine, &health, &mut ended).await,
        Some(sockets) = followed(&mut taken) => {
            health.drain();
            engine.hand_over(&sockets);
            offering.take().into_iter().for_each(Offering::leave);
            // The one that serves now has the admin API's socket too.
            if let Some(handle) = &handle {
                handle.stop(true).await;
            }
            tokio::select! {
                _ = &mut ended => {}
                // Who asks twice means it.
                _ = terminate.recv() => stop(&engine, &health, &mut ended).await,
                _ = interrupt.recv() => stop(&engine, &health, &mut ended).await,
            }
        }
    }
    drop(offering);
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

/// Starts everything; and where another process serves, takes its place.
fn bring_up(source: Source, loaded: Loaded, origin: Origin) -> Result<Up> {
    let Origin { mut inherited, before } = origin;
    let Some(mut before) = before else {
        return start(source, loaded, (None, Vec::new()), &mut inherited);
    };
    let held = before.begin()?;
    // Once more: what was toggled since counts, and from here on the other one holds still.
    let loaded = load(&source).map_err(|error| told(&error, &source))?;
    let mut up = start(source, loaded, held, &mut inherited)?;
    if let Err(error) = before.serving(inherited.taken().to_vec()) {
        // Those who have come here meanwhile are served; the sockets stay with the one that goes on.
        up.engine.hand_over(inherited.taken());
        up.engine.wait();
        return Err(error.into());
    }
    up.before = Some(before);
    Ok(up)
}

fn start(
    source: Source,
    loaded: Loaded,
    (kill, parked): (Option<Kill>, Vec<String>),
    inherited: &mut Inherited,
) -> Result<Up> {
    let place = loaded.snapshot.admin.clone();
    let steering = Arc::new(Steering::new(source, loaded));
    steering.adopt(kill, parked);
    let listener = place.as_ref().map(|place| listener(place, inherited)).transpose()?;
    let token = place.as_ref().map(|place| {
        token::known_or_fresh(place).with_context(|| {
            let file = place.token_file.display();
            format!("cannot keep the admin token in {file}: name a place for it (`admin.token_file`), or the token (`admin.token`)")
        })
    });
    let token = token.transpose()?;
    let engine = Arc::new(Proxy::start_on(steering.shared(), inherited)?);
    let health = health(&steering);
    let metrics = Metrics::new();
    metrics.collect(engine.cells());
    metrics.collect(engine.guards());
    let admin = match (listener, token) {
        (Some((name, listener)), Some(token)) => {
            let socket = (name, OwnedFd::from(listener.try_clone()?));
            let for_api: Arc<dyn Engine> = Arc::<Handle>::clone(&engine);
            let serving = admin::serve(
                listener,
                Admin {
                    steering: Arc::clone(&steering),
                    engine: for_api,
                    metrics,
                    health: health.clone(),
                    token,
                },
            )?;
            Some(Steered { serving, socket })
        }
        (Some(_) | None, _) => None,
    };
    for name in inherited.left() {
        tracing::warn!(
            name,
            "a socket that was handed over is not in the configuration: it is closed"
        );
    }
    Ok(Up { steering, engine, health, admin, before: None })
}

/// The admin API's listener, and its name for whoever comes next.
fn listener(place: &AdminPlace, inherited: &mut Inherited) -> Result<(String, TcpListener)> {
    let name = format!("admin {}", place.listen);
    let mut given = inherited.take(&name);
    // A service manager knows no names of ours.
    given.extend(inherited.take(&place.listen.to_string()));
    let listener = match given.pop() {
        Some(socket) => socket.into(),
        None => TcpListener::bind(place.listen).with_context(|| {
            format!("the admin API cannot listen at {}: is another proxy there? Set another `admin.listen`", place.listen)
        })?,
    };
    Ok((name, listener))
}

/// Lets the next binary take over. Where that cannot be, serving matters more.
fn offer(
    steering: &Arc<Steering>,
    engine: &Arc<Handle>,
    admin: Option<(String, OwnedFd)>,
    before: Option<&Predecessor>,
) -> Option<(Offering, oneshot::Receiver<Vec<String>>)> {
    steering.file()?;
    let path = steering.shared().get().files.handover.clone();
    let giver = Giver { engine: Arc::clone(engine), steering: Arc::clone(steering), admin };
    match giver.start(&path, before) {
        Ok(offered) => Some(offered),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "no binary can take over while this runs: set `files.handover`");
            None
        }
    }
}

/// The names of the sockets that another process has taken. Waits for ever where none can.
async fn followed(taken: &mut Option<oneshot::Receiver<Vec<String>>>) -> Option<Vec<String>> {
    match taken {
        Some(taken) => taken.await.ok(),
        None => std::future::pending().await,
    }
}

async fn stop(
    engine: &Arc<Handle>,
    health: &Health,
    ended: &mut std::pin::Pin<&mut tokio::task::JoinHandle<()>>,
) {
    tracing::info!("stopping: requests in flight end first");
    service::stopping();
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
fn greet(
    steering: &Steering,
    engine: &Handle,
    admin: Option<&Steered>,
    before: Option<&Taken>,
) -> Result<()> {
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
    if let Some(before) = before {
        say(format!("  in place of   pid {} (version {})", before.pid, before.version))?;
    }
    if let Some(url) = admin.map(|admin| &admin.serving.url) {
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
