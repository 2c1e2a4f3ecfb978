//! The endpoints of the upstreams as one worker sees them: each with its pool of idle connections.

use std::{
    cell::RefCell, collections::HashMap, fmt, future::poll_fn, io, net::SocketAddr, ops::Deref,
    path::PathBuf, rc::Rc, sync::Arc, time::Duration,
};

use tokio::net::{TcpStream, UnixStream};

use super::{http2::Shared, pool::Pool, secure::Secure, stream::Stream, timers::Timers};
use crate::{
    config::Protocol,
    resilience::balance::Load,
    tls::{self, UpstreamTls},
};

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// TLS over TCP.
    Tls {
        /// The address.
        address: SocketAddr,
        /// The host that it was found by, which its certificate must be for.
        host: Box<str>,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// A new connection, its handshake included.
    pub(crate) async fn connect(
        &self,
        tls: Option<&UpstreamTls>,
        protocol: Protocol,
    ) -> io::Result<Stream> {
        match self {
            Self::Tcp(address) => Ok(Stream::Tcp(tcp(address).await?)),
            Self::Tls { address, host } => {
                let Some(tls) = tls else {
                    let what = "an endpoint is `https://`, and its upstream has no `tls`";
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
                };
                let below = Stream::Tcp(tcp(address).await?);
                let session = tls.connect(host, protocol).map_err(io::Error::other)?;
                let mut session = Box::new(Secure::new(below, session));
                poll_fn(|cx| session.poll_handshake(cx)).await?;
                if protocol == Protocol::Http2 && session.protocol() != Some(tls::HTTP2) {
                    let what = "HTTP/2 was not agreed on";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
                Ok(Stream::Tls(session))
            }
            Self::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        }
    }
}

impl Address {
    /// What `Host` says to it where nobody has named another one.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Tls { address, host } if host.contains(':') => {
                format!("[{host}]:{}", address.port())
            }
            Self::Tls { address, host } => format!("{host}:{}", address.port()),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    /// The scheme of what is asked there.
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Self::Tls { .. } => "https",
            Self::Tcp(_) | Self::Unix(_) => "http",
        }
    }
}

async fn tcp(address: &SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Tls { address, .. } => write!(f, "https://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One endpoint. It outlives changes of the configuration, so that its connections do too.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it is.
    pub address: Address,
    /// The same as text, for the log.
    pub label: Rc<str>,
    /// How it is spoken to, where that is over TLS.
    tls: Option<Arc<UpstreamTls>>,
    /// Its idle connections.
    pub pool: Pool,
    /// Its connections in HTTP/2.
    pub shared: Shared,
    /// Requests under way and how fast it answers.
    pub load: Load,
}

impl Endpoint {
    fn new(address: Address, tls: Option<Arc<UpstreamTls>>) -> Rc<Self> {
        let label = address.to_string().into();
        let shared = Shared::new(address.clone(), tls.clone());
        let (pool, load) = (Pool::default(), Load::default());
        Rc::new(Self { address, label, tls, pool, shared, load })
    }

    /// A new connection, or a place on one that many share.
    pub async fn open(
        &self,
        protocol: Protocol,
        timers: &Rc<Timers>,
        longest: Duration,
    ) -> io::Result<Stream> {
        match protocol {
            Protocol::Http1 => self.address.connect(self.tls.as_deref(), protocol).await,
            Protocol::Http2 => self.shared.open(timers, longest).await,
        }
    }
}

/// A request under way at an endpoint, on a connection of its own. Over when dropped.
#[derive(Debug)]
pub struct Busy(Rc<Endpoint>);

impl Busy {
    /// One more.
    pub fn at(endpoint: &Rc<Endpoint>) -> Self {
        endpoint.load.begin();
        Self(Rc::clone(endpoint))
    }
}

impl Deref for Busy {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.load.end();
    }
}

/// All endpoints of a worker, by address and by what sets their TLS apart: a connection that was opened with one
/// certificate, or verified by one authority, never serves where another one is asked for.
#[derive(Debug, Default)]
pub struct Endpoints(RefCell<HashMap<Key, Rc<Endpoint>>>);

type Key = (Address, Option<[u8; 32]>);

impl Endpoints {
    /// The endpoint of an address.
    pub fn of(&self, address: &Address, tls: Option<&Arc<UpstreamTls>>) -> Rc<Endpoint> {
        let tls = tls.filter(|_| matches!(address, Address::Tls { .. }));
        let key = (address.clone(), tls.map(|tls| tls.digest()));
        let made = || Endpoint::new(address.clone(), tls.cloned());
        Rc::clone(self.0.borrow_mut().entry(key).or_insert_with(made))
    }

    /// Forgets those that nobody else holds any more.
    pub fn forget_unused(&self) {
        self.0.borrow_mut().retain(|_, endpoint| Rc::strong_count(endpoint) > 1);
    }

    /// Shows each.
    pub fn each(&self, mut see: impl FnMut(&Endpoint)) {
        self.0.borrow().values().for_each(|endpoint| see(endpoint));
    }
}
