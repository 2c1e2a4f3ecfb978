//! What the threads of one store know together about their PostgreSQL server: is it there, and when to try again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use contract::{NotExecuted, Reason};
use diesel::{PgConnection, connection::SimpleConnection};
use tokio::sync::watch;

use crate::{Limits, fault, postgres, threads::Shared};

/// The pause after the first failed connection; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause: how late a recovery may be noticed.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a session may sit in an open transaction: a process that was frozen must not hold locks for ever.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(60);
/// How long a lock may be waited for: shorter than a statement may run, so that the error names the lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// When data that was sent stays unacknowledged for so long the connection is dead: a server that vanished from the
/// network without a word.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// The server, seen by all threads of a store.
pub(crate) struct Server {
    url: String,
    settings: String,
    away: Mutex<Option<Away>>,
    /// How many threads hold a connection, dead ones that nobody has tried yet among them.
    seats: watch::Sender<usize>,
}

/// One thread's place at the server: counted from its making to its end.
pub(crate) struct Seat(Arc<Server>);

impl Seat {
    pub fn take(server: &Arc<Server>) -> Self {
        server.seats.send_modify(|seats| *seats += 1);
        Self(Arc::clone(server))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.seats.send_modify(|seats| *seats -= 1);
    }
}

/// The server did not let us in.
struct Away {
    until: Instant,
    pause: Duration,
    /// A thread is trying right now; the others need not queue up behind its time-out.
    tried: bool,
    why: String,
}

impl Server {
    pub fn new(module: &str, url: &str, limits: &Limits) -> Self {
        let settings = format!(
            "SET statement_timeout = {}; SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = {}",
            limits.statement_timeout.as_millis(),
            LOCK_TIMEOUT.as_millis(),
            IDLE_IN_TRANSACTION.as_millis(),
        );
        let url = with_defaults(
            url,
            &[
                ("application_name", format!("banyan-{module}")),
                ("connect_timeout", limits.connect_timeout.as_secs().max(2).to_string()),
                ("tcp_user_timeout", TCP_USER_TIMEOUT.as_millis().to_string()),
            ],
        );
        Self { url, settings, away: Mutex::new(None), seats: watch::Sender::new(0) }
    }

    /// Do other threads hold connections?
    pub fn seats_taken(&self) -> bool {
        *self.seats.borrow() > 0
    }

    /// Comes back when so many threads hold one.
    pub async fn seated(&self, threads: usize) {
        // It does not end before this.
        drop(self.seats.subscribe().wait_for(|seats| *seats >= threads).await);
    }

    fn away(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection, or at once the news that the server is away.
    pub fn connect(&self, shared: &Shared) -> Result<PgConnection, NotExecuted> {
        if let Some(away) = &mut *self.away() {
            let wait = away.until.saturating_duration_since(Instant::now());
            if away.tried || !wait.is_zero() {
                return Err(unavailable(&away.why, wait.max(PAUSE_MIN)));
            }
            away.tried = true;
        }
        let connected = postgres::establish(&self.url).and_then(|mut connection| {
            connection
                .batch_execute(&self.settings)
                .map(|()| connection)
                .map_err(|error| crate::OpenError::Server(error.to_string()))
        });
        let mut away = self.away();
        match connected {
            Ok(connection) => {
                if away.take().is_some() {
                    tracing::info!(module = %shared.module, "PostgreSQL is back");
                }
                Ok(connection)
            }
            Err(error) => {
                let why = fault::one_line(&error.to_string());
                let pause = match &*away {
                    Some(before) => (before.pause * 2).min(PAUSE_MAX),
                    None => {
                        tracing::error!(module = %shared.module, error = %why, "PostgreSQL is away");
                        PAUSE_MIN
                    }
                };
                let answer = unavailable(&why, pause);
                *away = Some(Away { until: Instant::now() + pause, pause, tried: false, why });
                Err(answer)
            }
        }
    }
}

fn unavailable(why: &str, wait: Duration) -> NotExecuted {
    // Callers hear whole seconds (Retry-After), so less than one says nothing.
    NotExecuted::new(Reason::Unavailable, format!("the database is away: {why}"))
        .after(wait.max(crate::limits::RETRY_WHEN_AWAY))
}

/// Adds libpq parameters to a URL or to a keyword/value string where it does not set them itself.
pub(crate) fn with_defaults(url: &str, defaults: &[(&str, String)]) -> String {
    let mut whole = url.to_owned();
    let is_url = whole.contains("://");
    for (name, value) in defaults {
        if whole.contains(&format!("{name}=")) {
            continue;
        }
        let separator = match (is_url, whole.contains('?')) {
            (false, _) => ' ',
            (true, false) => '?',
            (true, true) => '&',
        };
        whole.push(separator);
        whole.push_str(name);
        whole.push('=');
        whole.push_str(value);
    }
    whole
}
