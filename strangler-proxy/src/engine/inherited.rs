//! Listening sockets that come from another process: the proxy before this one, or the service manager.
//!
//! With a socket per worker each has a queue of its own, and a connection that waits in a queue belongs to that socket for
//! good. So the very sockets are passed on, however many workers there are now: none is closed while somebody may wait there.

use std::{
    io,
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::net::{SocketAddr as UnixAddress, UnixListener},
    },
};

use rustix::net::{AddressFamily, sockopt};

use crate::config::ListenAddress;

/// The name that an address has while its sockets are passed on: as the configuration writes it, so that a port 0 finds
/// its own again.
pub fn name_of(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp(address) => address.to_string(),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// The sockets that are there, by the name of their address.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(String, OwnedFd)>,
    taken: Vec<String>,
}

impl Inherited {
    /// Adds a socket. Without a name it has that of the address that it listens at.
    pub fn add(&mut self, name: Option<String>, socket: OwnedFd) -> io::Result<()> {
        if !sockopt::socket_acceptconn(&socket)? {
            return Err(io::Error::other("a socket that is handed over does not listen"));
        }
        let (own, socket) = if sockopt::socket_domain(&socket)? == AddressFamily::UNIX {
            let listener = UnixListener::from(socket);
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            let path = UnixAddress::as_pathname(&address);
            let path = path.ok_or_else(|| io::Error::other("a Unix socket without a path"))?;
            (format!("unix:{}", path.display()), OwnedFd::from(listener))
        } else {
            let listener = TcpListener::from(socket);
            listener.set_nonblocking(true)?;
            (listener.local_addr()?.to_string(), OwnedFd::from(listener))
        };
        self.sockets.push((name.unwrap_or(own), socket));
        Ok(())
    }

    /// Takes all sockets of a name.
    pub fn take(&mut self, name: &str) -> Vec<OwnedFd> {
        let all = std::mem::take(&mut self.sockets);
        let (of_name, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|(own, _)| own == name);
        self.sockets = rest;
        if !of_name.is_empty() {
            self.taken.push(name.to_owned());
        }
        of_name.into_iter().map(|(_, socket)| socket).collect()
    }

    /// The names whose sockets were taken.
    pub fn taken(&self) -> &[String] {
        &self.taken
    }

    /// The names whose sockets nobody has taken.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.sockets.iter().map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::Inherited;

    #[test]
    fn only_what_listens_is_taken_and_under_its_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let mut inherited = Inherited::default();
        inherited.add(None, listener.try_clone().unwrap().into()).unwrap();
        inherited.add(Some("127.0.0.1:0".to_owned()), listener.into()).unwrap();
        assert!(inherited.add(None, client.into()).is_err());
        assert!(inherited.take("127.0.0.1:1").is_empty());
        assert_eq!(inherited.take("127.0.0.1:0").len(), 1);
        assert_eq!(inherited.left().collect::<Vec<_>>(), [address.to_string()]);
        assert_eq!(inherited.take(&address.to_string()).len(), 1);
        assert_eq!(inherited.taken(), ["127.0.0.1:0".to_owned(), address.to_string()]);
    }
}
