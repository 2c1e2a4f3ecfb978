//! The endpoints of the upstreams as one worker sees them: each with its pool of idle connections.

use std::{
    cell::RefCell, collections::HashMap, fmt, io, net::SocketAddr, ops::Deref, path::PathBuf,
    rc::Rc,
};

use tokio::net::{TcpStream, UnixStream};

use super::{pool::Pool, stream::Stream};
use crate::resilience::balance::Load;

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// A new connection.
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
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
    pub label: Box<str>,
    /// Its idle connections.
    pub pool: Pool,
    /// Requests under way and how fast it answers.
    pub load: Load,
}

impl Endpoint {
    fn new(address: Address) -> Rc<Self> {
        let label = address.to_string().into();
        Rc::new(Self { address, label, pool: Pool::default(), load: Load::default() })
    }

    /// A new connection.
    pub async fn connect(&self) -> io::Result<Stream> {
        self.address.connect().await
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

/// All endpoints of a worker, by address.
#[derive(Debug, Default)]
pub struct Endpoints(RefCell<HashMap<Address, Rc<Endpoint>>>);

impl Endpoints {
    /// The endpoint of an address.
    pub fn of(&self, address: &Address) -> Rc<Endpoint> {
        let mut known = self.0.borrow_mut();
        match known.get(address) {
            Some(endpoint) => Rc::clone(endpoint),
            None => {
                let made = Endpoint::new(address.clone());
                known.insert(address.clone(), Rc::clone(&made));
                made
            }
        }
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
