//! Listening sockets: one per worker and address, so that the kernel spreads the connections and no worker wakes another.

use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpListener},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use super::limits::{BACKLOG, UNSENT_MAX};

/// As many listeners of one address as there are workers. Port 0 becomes the same free port for all.
pub fn listen(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    refuse_if_taken(address)?;
    let mut listeners = Vec::with_capacity(workers);
    let mut address = address;
    for _ in 0..workers {
        let listener = one(address)?;
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Sharing a port is for our own workers. Without this, a second proxy started by mistake would take half of the
/// connections of the first and nobody would be told.
fn refuse_if_taken(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    if address.port() != 0 { socket.listen(1) } else { Ok(()) }
}

/// One listener that shares its address with others of this user.
pub fn one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the last connections of the process before.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        // `[::]` means both families, as everywhere else.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    // Inherited by every accepted connection on Linux, which spares a call for each.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_MAX)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// One file descriptor kept back, so that a process that has none left can still accept a connection to close it. Left
/// in the queue, the connection would wake the listener over and over.
#[derive(Debug, Default)]
pub struct Reserve(Option<File>);

impl Reserve {
    /// Takes a descriptor, where there is one.
    pub fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Gives the descriptor up, so that something else can have it.
    pub fn give_up(&mut self) {
        self.0 = None;
    }

    /// Takes one again, where there is one.
    pub fn take_back(&mut self) {
        *self = Self::new();
    }
}

/// Was it for want of file descriptors (in this process or at all) or memory?
pub fn is_exhaustion(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    const ENOMEM: i32 = 12;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS | ENOMEM))
}

/// Descriptors that the process needs for itself: its event loops, files and listeners.
const OWN_DESCRIPTORS: u64 = 32;

/// How many clients the process can have connected: three quarters of its descriptors, as far as the system lets it raise
/// their number. The rest is for the upstreams: idle clients need none, so that this is more than half.
pub fn clients_max() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, ..limit };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.current = limit.maximum,
            Err(error) => tracing::warn!(%error, "the number of open files cannot be raised"),
        }
    }
    let all = limit.current.unwrap_or(u64::MAX).saturating_sub(OWN_DESCRIPTORS);
    usize::try_from(all / 4 * 3).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use socket2::SockRef;

    use super::{UNSENT_MAX, one};

    #[test]
    fn connections_have_what_was_set_for_their_listener() {
        let listener = one("127.0.0.1:0".parse().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert_eq!(accepted.tcp_notsent_lowat().unwrap(), UNSENT_MAX);
    }
}
