//! Where the endpoints of the configuration are: addresses as they stand, names by DNS, files by their lines.
//!
//! A thread of its own asks, so that no worker waits for a resolver; workers take up the answers like a new snapshot.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    path::Path,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use super::endpoint::Address;
use crate::{
    config::{Endpoint, Snapshot},
    steer::Shared,
};

/// A file of endpoints is not read beyond this: thousands of endpoints fit.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// How often the thread looks whether something is due.
const LOOK: Duration = Duration::from_millis(50);

/// The addresses of all endpoints of a configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolved(HashMap<Endpoint, Found>);

/// What is known of an endpoint.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    addresses: Vec<Address>,
    /// Could it not be found the last time? Then these are its addresses of before.
    is_lost: bool,
}

impl Resolved {
    /// The addresses of an endpoint; none where its name or file has none.
    pub fn addresses(&self, endpoint: &Endpoint) -> &[Address] {
        self.0.get(endpoint).map(|found| found.addresses.as_slice()).unwrap_or_default()
    }

    /// Could this endpoint's name or file not be looked up the last time?
    pub fn is_lost(&self, endpoint: &Endpoint) -> bool {
        self.0.get(endpoint).is_some_and(|found| found.is_lost)
    }

    /// Has every endpoint of the snapshot been asked for?
    pub fn covers(&self, snapshot: &Snapshot) -> bool {
        let mut endpoints = snapshot.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
        endpoints.all(|endpoint| self.0.contains_key(endpoint))
    }

    /// Asks for every endpoint of the snapshot. What cannot be had now stays as it was: a resolver that is down for a
    /// moment must not take the upstreams with it.
    pub fn of(snapshot: &Snapshot, before: &Self) -> Self {
        let mut found = HashMap::new();
        for endpoint in snapshot.upstreams.iter().flat_map(|upstream| &upstream.endpoints) {
            if found.contains_key(endpoint) {
                continue;
            }
            let now = match ask(endpoint) {
                Ok(addresses) => Found { addresses, is_lost: false },
                Err(error) => Found { addresses: lost(endpoint, &error, before), is_lost: true },
            };
            if !now.is_lost && before.is_lost(endpoint) {
                tracing::info!(%endpoint, addresses = now.addresses.len(), "an endpoint is found again");
            }
            found.insert(endpoint.clone(), now);
        }
        Self(found)
    }

    /// Do all addresses stand in the configuration itself?
    fn is_static(snapshot: &Snapshot) -> bool {
        let mut endpoints = snapshot.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
        endpoints.all(|endpoint| match endpoint {
            Endpoint::Address(_) | Endpoint::Unix(_) => true,
            Endpoint::Secure { host, .. } => host.parse::<IpAddr>().is_ok(),
            Endpoint::Name { .. } | Endpoint::File(_) => false,
        })
    }
}

/// The addresses that an endpoint keeps which cannot be looked up. Said each time: it may be in use like this for long.
fn lost(endpoint: &Endpoint, error: &str, before: &Resolved) -> Vec<Address> {
    let kept = before.addresses(endpoint).to_vec();
    if kept.is_empty() {
        tracing::error!(%endpoint, error, "an endpoint has no address: it gets no requests");
    } else {
        let addresses = kept.len();
        tracing::warn!(%endpoint, error, addresses, "an endpoint is not found any more: it stays in use as it was");
    }
    kept
}

fn ask(endpoint: &Endpoint) -> Result<Vec<Address>, String> {
    match endpoint {
        Endpoint::Address(address) => Ok(vec![Address::Tcp(*address)]),
        Endpoint::Unix(path) => Ok(vec![Address::Unix(path.clone())]),
        Endpoint::Name { host, port } => {
            Ok(named(host, *port)?.into_iter().map(Address::Tcp).collect())
        }
        Endpoint::Secure { host, port } => {
            let of = |address| Address::Tls { address, host: host.clone() };
            Ok(named(host, *port)?.into_iter().map(of).collect())
        }
        Endpoint::File(path) => lines(path),
    }
}

fn named(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = (host, port).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut found: Vec<SocketAddr> = found.collect();
    // In one order, so that a resolver that turns its answers does not look like a change.
    found.sort();
    found.dedup();
    Ok(found)
}

/// The addresses of a file, one a line. One line that is wrong makes the whole file wrong: half of a list is not what
/// its writer meant.
fn lines(path: &Path) -> Result<Vec<Address>, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        // A pipe would be waited for, a device has no end.
        return Err("is not a file".to_owned());
    }
    let length = metadata.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("{length} bytes are more than {FILE_BYTES_MAX}"));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        match Endpoint::parse(line).map_err(|error| error.to_string())? {
            Endpoint::File(_) => return Err(format!("`{line}`: a file of files")),
            endpoint => found.extend(ask(&endpoint)?),
        }
    }
    if found.is_empty() {
        // Most likely it is being written. Whoever means that there is none says so in the configuration.
        return Err("no line has an endpoint".to_owned());
    }
    Ok(found)
}

/// The thread that asks again.
#[derive(Debug)]
pub struct Resolver {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Resolver {
    /// Asks at once, then whenever the configuration changes and as often as its upstreams say.
    pub fn start(shared: Shared, resolved: Arc<ArcSwap<Resolved>>) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("resolver".into()).spawn(move || {
            let mut generation = shared.load().generation;
            let mut asked = Instant::now();
            while stopped.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
                let snapshot = shared.get();
                let refresh = snapshot.upstreams.iter().map(|upstream| upstream.refresh).min();
                let is_due = !Resolved::is_static(&snapshot)
                    && refresh.is_some_and(|refresh| asked.elapsed() >= refresh);
                if snapshot.generation == generation && !is_due {
                    continue;
                }
                generation = snapshot.generation;
                asked = Instant::now();
                let (before, now) = (resolved.load(), Resolved::of(&snapshot, &resolved.load()));
                if **before != now {
                    resolved.store(Arc::new(now));
                }
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Tells the thread to end, and does not wait: it may be asking a name server that does not answer, and that is no
    /// reason to hold up the end of the process.
    pub fn stop(self) {
        drop(self.stop);
        drop(self.thread);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use std::net::SocketAddr;

    use super::{Address, Endpoint, Found, Resolved, lines};
    use crate::config::{Source, load_text};

    /// Names under `.invalid` never exist (RFC 6761).
    #[test]
    fn a_name_that_vanishes_stays_where_it_was_and_is_shown() {
        let text = "from = \"http://gone.invalid:1\"\n".to_owned();
        let snapshot = load_text(&Source::default(), text, None).unwrap().snapshot;
        let endpoint = Endpoint::parse("http://gone.invalid:1").unwrap();
        let none = Resolved::of(&snapshot, &Resolved::default());
        assert!(none.covers(&snapshot) && none.is_lost(&endpoint));
        assert_eq!(none.addresses(&endpoint), []);
        let addresses = vec![Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 1)))];
        let found = Found { addresses: addresses.clone(), is_lost: false };
        let before = Resolved([(endpoint.clone(), found)].into());
        let after = Resolved::of(&snapshot, &before);
        assert!(after.is_lost(&endpoint) && after.addresses(&endpoint) == addresses);
    }

    #[test]
    fn a_file_that_is_being_written_takes_no_endpoint_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endpoints");
        fs::write(&path, "# two\nhttp://127.0.0.1:1\n\nunix:/run/a\n").unwrap();
        assert_eq!(lines(&path).unwrap().len(), 2);
        for text in ["", "# soon\n", "http://127.0.0.1:1\nfile:/a"] {
            fs::write(&path, text).unwrap();
            assert!(lines(&path).is_err(), "{text:?}");
        }
        assert!(lines("/dev/zero".as_ref()).is_err() && lines(folder.path()).is_err());
    }
}
