//! Opening an address: every worker gets something to accept from, and no socket that was handed over is left alone.

use std::{
    io,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    accept::{Door, Entrance, Listening},
    inherited::{Inherited, name_of},
    listen,
};
use crate::config::{ListenAddress, Listener};

/// An address that is listened at.
#[derive(Debug)]
pub struct Opened {
    /// The address; a port 0 has become the port that the system chose.
    pub bound: ListenAddress,
    /// What to hand on.
    pub offered: Offered,
    /// For each worker.
    pub of_workers: Vec<Vec<Entrance>>,
}

/// The sockets of an address as they can be handed on.
#[derive(Debug)]
pub struct Offered {
    /// The name of the address.
    pub name: String,
    /// Each socket once.
    pub sockets: Vec<OwnedFd>,
    /// Set when somebody else accepts from them: then the workers leave what waits to that one.
    pub followed: Arc<AtomicBool>,
}

/// Opens a listener for so many workers, on the sockets that are there for its address.
pub fn open(listener: &Listener, workers: usize, inherited: &mut Inherited) -> io::Result<Opened> {
    let address = &listener.address;
    let name = name_of(address);
    let given = inherited.take(&name);
    // A path can be listened at once only, so the workers share its queue.
    let (bound, sockets, is_shared) = match address {
        ListenAddress::Tcp(wanted) if given.is_empty() => {
            let listeners = listen::listen(*wanted, workers)?;
            let bound = listeners.first().map_or(Ok(*wanted), TcpListener::local_addr)?;
            (ListenAddress::Tcp(bound), listeners.into_iter().map(Into::into).collect(), false)
        }
        ListenAddress::Tcp(wanted) => {
            let (sockets, bound) = more_tcp(given, workers)?;
            (ListenAddress::Tcp(bound.unwrap_or(*wanted)), sockets, false)
        }
        ListenAddress::Unix(path) if given.is_empty() => {
            (address.clone(), vec![unix(path)?.into()], true)
        }
        ListenAddress::Unix(_) => (address.clone(), given, true),
    };
    let followed = Arc::<AtomicBool>::default();
    let mut of_workers = Vec::with_capacity(workers);
    for worker in 0..workers {
        let mut entrances = Vec::new();
        for socket in of_worker(&sockets, worker, workers, is_shared) {
            let socket = socket.try_clone()?;
            let listening = match address {
                ListenAddress::Tcp(_) => Listening::Tcp(socket.into()),
                ListenAddress::Unix(_) => Listening::Unix(socket.into()),
            };
            let door = Door::new(listener.clone());
            entrances.push(Entrance { listening, door, followed: Arc::clone(&followed) });
        }
        of_workers.push(entrances);
    }
    Ok(Opened { bound, offered: Offered { name, sockets, followed }, of_workers })
}

/// The sockets that a worker accepts from: one of its own where there are enough; what is left over is everybody's, and
/// where there are too few, several have the same.
fn of_worker(
    sockets: &[OwnedFd],
    worker: usize,
    workers: usize,
    is_shared: bool,
) -> impl Iterator<Item = &OwnedFd> {
    let own = if is_shared { None } else { sockets.get(worker % sockets.len().max(1)) };
    let everybodys = if is_shared { sockets } else { sockets.get(workers..).unwrap_or_default() };
    own.into_iter().chain(everybodys)
}

/// As many sockets as workers, at least. One that came without `SO_REUSEPORT`, from a service manager, has its address for
/// itself: then workers share it.
fn more_tcp(
    given: Vec<OwnedFd>,
    workers: usize,
) -> io::Result<(Vec<OwnedFd>, Option<std::net::SocketAddr>)> {
    let mut sockets = given;
    let first = sockets.first().map(|first| first.as_fd().try_clone_to_owned()).transpose()?;
    let Some(first) = first.map(TcpListener::from) else { return Ok((sockets, None)) };
    let bound = first.local_addr()?;
    while sockets.len() < workers {
        match listen::one(bound) {
            Ok(listener) => sockets.push(listener.into()),
            Err(error) => {
                tracing::info!(%error, %bound, "workers share a socket that was handed over");
                break;
            }
        }
    }
    Ok((sockets, Some(bound)))
}

fn unix(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        // Left behind by a process that was killed: nobody answers there.
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse && UnixStream::connect(path).is_err() =>
        {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::fd::OwnedFd,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::{Listening, open};
    use crate::{
        config::{ListenAddress, Listener},
        engine::inherited::{Inherited, name_of},
    };

    fn listener(address: &ListenAddress) -> Listener {
        Listener { address: address.clone(), tls: None, https_redirect: None }
    }

    /// Every socket that was handed over is accepted from, whatever the number of workers: what had connected before and
    /// what connects now.
    #[test]
    fn no_queue_is_left_alone_with_more_fewer_or_as_many_workers() {
        for (before, now) in [(1, 1), (1, 4), (4, 1), (3, 2), (2, 3)] {
            let address: ListenAddress = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
            let first = open(&listener(&address), before, &mut Inherited::default()).unwrap();
            let ListenAddress::Tcp(bound) = first.bound else { panic!("TCP") };
            let mut waiting: Vec<_> = (0..64).map(|_| TcpStream::connect(bound).unwrap()).collect();
            let mut inherited = Inherited::default();
            for socket in first.offered.sockets {
                inherited.add(Some(name_of(&address)), socket).unwrap();
            }
            drop(first.of_workers);
            let second = open(&listener(&address), now, &mut inherited).unwrap();
            assert_eq!(second.bound, first.bound);
            assert_eq!(second.of_workers.len(), now);
            assert!(second.of_workers.iter().all(|entrances| !entrances.is_empty()));
            assert_eq!(second.offered.sockets.len(), before.max(now));
            waiting.extend((0..64).map(|_| TcpStream::connect(bound).unwrap()));
            let mut accepted = 0;
            for entrance in second.of_workers.into_iter().flatten() {
                let Listening::Tcp(listener) = entrance.listening else { panic!("TCP") };
                while listener.accept().is_ok() {
                    accepted += 1;
                }
            }
            assert_eq!(accepted, waiting.len(), "{before} then {now}");
        }
    }

    #[test]
    fn a_socket_that_has_its_address_for_itself_is_shared() {
        let alone = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ListenAddress::Tcp(alone.local_addr().unwrap());
        let mut inherited = Inherited::default();
        inherited.add(None, OwnedFd::from(alone)).unwrap();
        let opened = open(&listener(&address), 3, &mut inherited).unwrap();
        assert_eq!(opened.offered.sockets.len(), 1);
        assert!(opened.of_workers.iter().all(|entrances| entrances.len() == 1));
        assert!(!AtomicBool::load(&opened.offered.followed, Ordering::Relaxed));
    }
}
