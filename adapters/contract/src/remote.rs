//! The remote binding: calls to a module in another process, as JSON-RPC 2.0 over HTTP.

mod binding;
mod breaker;
mod bulkhead;
mod client;
mod get;

use std::{sync::Arc, time::Duration};

use http::Uri;

use crate::{Contract, Keyring};

pub use client::Client;

/// Where a module is and how it may be called. One per module that is called: breaker, bulkhead and retry budget belong
/// to the binding that is made of it.
#[derive(Clone, Debug)]
pub struct Remote {
    client: Client,
    base: Uri,
    keyring: Keyring,
    limits: RemoteLimits,
}

/// What a remote binding may use up. All of it can be configured; the defaults suit processes in one data centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteLimits {
    /// One try waits so long for its answer: well above a slow transaction, well below a customer's patience.
    pub try_timeout: Duration,
    /// Tries per call, the first included.
    pub tries_max: u32,
    /// The wait before the second try; it doubles from there.
    pub backoff: Duration,
    /// The longest wait between two tries.
    pub backoff_max: Duration,
    /// Retries per 100 calls in the long run.
    pub retry_percent: u32,
    /// Retries at once after a quiet time.
    pub retry_burst: u32,
    /// Calls at once.
    pub calls_max: usize,
    /// Callers that wait for a place among them.
    pub waiting_max: usize,
    /// How long they wait: as long as a closed gate may hold those who have the places, so that a switch turns nobody away.
    pub waiting: Duration,
    /// Tries in a row without an answer that open the breaker.
    pub breaker_failures: u32,
    /// How long it stays open before a probe.
    pub breaker_open: Duration,
    /// The largest answer: a page of the largest rows is far below it.
    pub answer_bytes_max: usize,
}

impl Default for RemoteLimits {
    fn default() -> Self {
        Self {
            try_timeout: Duration::from_secs(2),
            tries_max: 3,
            backoff: Duration::from_millis(20),
            backoff_max: Duration::from_millis(500),
            retry_percent: 20,
            retry_burst: 20,
            calls_max: 64,
            waiting_max: 256,
            waiting: Duration::from_secs(1),
            breaker_failures: 5,
            breaker_open: Duration::from_secs(1),
            answer_bytes_max: 8 * 1024 * 1024,
        }
    }
}

/// The text is not the URL of a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the base URL of a process, such as http://10.0.0.7:7702")]
pub struct RemoteError(String);

impl Remote {
    /// The process at `base`, `http://host:port`, with the default limits.
    pub fn new(client: Client, base: &str, keyring: Keyring) -> Result<Self, RemoteError> {
        let wrong = || RemoteError(base.to_owned());
        let uri: Uri = base.parse().map_err(|_not_a_uri| wrong())?;
        let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) || !plain {
            return Err(wrong());
        }
        Ok(Self { client, base: uri, keyring, limits: RemoteLimits::default() })
    }

    /// The same with these limits.
    #[must_use]
    pub fn limits(self, limits: RemoteLimits) -> Self {
        Self { limits, ..self }
    }

    fn url(&self, path: &str) -> String {
        let authority = self.base.authority().map_or("", |authority| authority.as_str());
        format!("http://{authority}{path}")
    }
}

/// The contract of a module in another process.
///
/// The two processes show each other their schema hashes before the first call, and refuse to talk when a method that
/// both know differs. Passing failures are tried again within a budget; a command whose try went unanswered is asked
/// again with its key, and ends `Unknown` if nobody answers.
pub fn remote<C: Contract + ?Sized>(remote: Remote) -> Arc<C> {
    C::bind(binding::RemoteBinding::new::<C>(remote))
}
