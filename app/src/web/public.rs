//! The public listener: the routes of every module, their document, and health.

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use actix_web::{App, HttpServer, middleware::from_fn, web::Data};
use anyhow::Result;
use http_api::{CLIENT_DISCONNECT_TIMEOUT, CallTime, Finished, Observer, OperatorToken, Table};
use telemetry::{Health, HttpMetrics, Metrics};

use super::{Listening, health, tls};
use crate::settings::Settings;

/// Connections that may wait to be accepted: a burst while all workers are busy.
const BACKLOG: u32 = 1024;

/// What the public listener serves.
pub struct Outside {
    /// The routes.
    pub table: Table,
    /// Who may do everything.
    pub operator: OperatorToken,
    /// How the process stands.
    pub health: Health,
    /// Where requests are counted.
    pub metrics: Metrics,
}

/// Where the public comes in.
pub enum Public {
    /// By a port that is taken already.
    Port(TcpListener),
    /// By a socket file, behind the proxy.
    Socket(PathBuf),
    /// By a port of the loopback, behind the proxy.
    Behind(TcpListener),
}

impl Public {
    /// The address of a port.
    pub fn port(&self) -> std::io::Result<Option<std::net::SocketAddr>> {
        match self {
            Self::Port(listener) => listener.local_addr().map(Some),
            Self::Socket(_) | Self::Behind(_) => Ok(None),
        }
    }

    /// How long a request's head may take; none at all behind the proxy, which asks once it has the whole of it. The server
    /// looks at its clock before it reads: a shop with too much to do would answer 408 to a head that lies there.
    fn head_time(&self, settings: &Settings) -> Duration {
        match self {
            Self::Port(_) => settings.http.head_time.get(),
            Self::Socket(_) | Self::Behind(_) => Duration::ZERO,
        }
    }
}

struct Counted(HttpMetrics);

impl Observer for Counted {
    fn finished(&self, finished: &Finished<'_>) {
        let Finished { module, method, route, status, took } = *finished;
        self.0.answered(module, method, route, status, took);
    }
}

/// Serves the public.
pub fn public(settings: &Settings, place: Public, outside: Outside) -> Result<Listening> {
    let Outside { table, operator, health, metrics } = outside;
    let observer: Arc<dyn Observer> = Arc::new(Counted(HttpMetrics::new(&metrics)));
    let (operator, observer) = (Data::new(operator), Data::from(observer));
    let (health, call_time) =
        (Data::new(health), Data::new(CallTime(settings.http.call_time.get())));
    let head_time = place.head_time(settings);
    let mut server = HttpServer::new(move || {
        App::new()
            .wrap(from_fn(http_api::observe))
            .app_data(operator.clone())
            .app_data(observer.clone())
            .app_data(health.clone())
            .app_data(call_time.clone())
            .configure(health::configure)
            .configure(|config| table.configure(config))
    })
    .backlog(BACKLOG)
    .max_connections(settings.http.connections_max)
    .keep_alive(settings.http.keep_alive.get())
    .client_request_timeout(head_time)
    .client_disconnect_timeout(CLIENT_DISCONNECT_TIMEOUT)
    .shutdown_timeout(settings.stop.drain.get().as_secs())
    .disable_signals();
    if settings.http.workers > 0 {
        server = server.workers(settings.http.workers);
    }
    let (url, server) = match place {
        Public::Socket(path) => (format!("unix:{}", path.display()), server.bind_uds(path)?),
        Public::Behind(listener) => {
            (format!("http://{}", listener.local_addr()?), server.listen(listener)?)
        }
        Public::Port(listener) => {
            let address = listener.local_addr()?;
            match (&settings.http.tls.certificate, &settings.http.tls.key) {
                (Some(certificate), Some(key)) => {
                    let acceptor = tls::acceptor(certificate, key)?;
                    (format!("https://{address}"), server.listen_openssl(listener, acceptor)?)
                }
                (None, _) | (_, None) => (format!("http://{address}"), server.listen(listener)?),
            }
        }
    };
    let server = server.run();
    Ok(Listening { url, handle: server.handle(), server })
}
