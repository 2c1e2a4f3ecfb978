//! What the old and the new proxy say to each other, and how descriptors travel.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    time::Duration,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::config::Kill;

/// Who does not answer in this time is away or stuck: each step is a few system calls and the reading of a file.
const STEP_TIME: Duration = Duration::from_secs(10);

/// The longest message: the names of all routes that there may be, parked.
const MESSAGE_BYTES_MAX: u32 = 1 << 20;

/// Descriptors in one message. The kernel takes 253.
const BATCH: usize = 64;

/// The most sockets that are taken: 1024 workers with a few addresses.
const SOCKETS_MAX: usize = 8192;

/// What comes to the proxy that serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum Wish {
    /// A new proxy wants the sockets.
    TakeOver {
        /// What it speaks.
        protocol: u32,
        /// Who it is.
        by: Taken,
    },
    /// It has them, and is about to read the configuration and to start.
    Begin,
    /// It accepts connections.
    Serving {
        /// The names of the addresses whose sockets it uses.
        sockets: Vec<String>,
    },
    /// Somebody wants this proxy to start that binary, with its own arguments, as its successor.
    Upgrade {
        /// The binary.
        binary: PathBuf,
    },
}

/// What the proxy that serves says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum Word {
    /// So many descriptors follow, with the names of their addresses.
    Sockets {
        /// The names, one for each descriptor.
        names: Vec<String>,
        /// Who gives them.
        by: Taken,
    },
    /// Start. What stands in no file comes along.
    Go {
        /// The kill switch, where it is on.
        kill: Option<Kill>,
        /// The routes that are parked by a call.
        parked: Vec<String>,
    },
    /// The place is taken.
    Bye,
    /// The successor that was started serves.
    Upgraded {
        /// Who it is.
        by: Taken,
    },
    /// Nothing has changed.
    No {
        /// Why.
        why: String,
    },
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
}

impl Taken {
    /// This process.
    pub fn here() -> Self {
        Self { pid: std::process::id(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// A connection between two proxies on one machine. Messages are JSON with their length before them, so that nothing is
/// read beyond one: a descriptor travels with a byte of its own.
#[derive(Debug)]
pub struct Wire(UnixStream);

impl Wire {
    /// On this connection.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        let wire = Self(stream);
        wire.waits(STEP_TIME)?;
        Ok(wire)
    }

    /// How long to wait for the other side from now on.
    pub fn waits(&self, longest: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(longest))?;
        self.0.set_write_timeout(Some(longest))
    }

    /// Is the other side a process of the same user? The mode of the socket says so too; this says it for whoever has
    /// made the folder too open.
    pub fn is_of_this_user(&self) -> io::Result<bool> {
        Ok(sockopt::socket_peercred(&self.0)?.uid == rustix::process::geteuid())
    }

    /// Says something.
    pub fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&text);
        self.0.write_all(&bytes)
    }

    /// Hears something.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > MESSAGE_BYTES_MAX {
            return Err(io::Error::other("a message is too long"));
        }
        let mut text = Vec::new();
        // As it comes: a length alone must not cost memory. What is cut short is no JSON.
        (&mut self.0).take(length.into()).read_to_end(&mut text)?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// Sends descriptors.
    pub fn send_sockets(&mut self, sockets: &[OwnedFd]) -> io::Result<()> {
        for batch in sockets.chunks(BATCH) {
            let borrowed: Vec<BorrowedFd<'_>> = batch.iter().map(AsFd::as_fd).collect();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
                return Err(io::Error::other("no room for descriptors"));
            }
            sendmsg(&self.0, &[IoSlice::new(b"s")], &mut control, SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }

    /// Takes so many descriptors. They are closed when this process starts another one.
    pub fn receive_sockets(&mut self, count: usize) -> io::Result<Vec<OwnedFd>> {
        if count > SOCKETS_MAX {
            return Err(io::Error::other("too many sockets"));
        }
        let mut sockets = Vec::new();
        while sockets.len() < count {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let received = recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut byte)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )?;
            let before = sockets.len();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(those) = message {
                    sockets.extend(those);
                }
            }
            if received.flags.contains(ReturnFlags::CTRUNC) {
                return Err(io::Error::other(
                    "not all sockets have arrived: may this process have that many open files?",
                ));
            }
            if received.bytes == 0 || sockets.len() == before {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(sockets)
    }

    /// Ends the conversation and tells what had already been said. After this the other side cannot say anything more, so
    /// that both know the same.
    pub fn last_word<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        self.0.shutdown(Shutdown::Both)?;
        self.receive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        os::{fd::OwnedFd, unix::net::UnixStream},
    };

    use super::{Taken, Wire, Wish, Word};

    fn pair() -> (Wire, Wire) {
        let (one, other) = UnixStream::pair().unwrap();
        (Wire::new(one).unwrap(), Wire::new(other).unwrap())
    }

    #[test]
    fn words_and_sockets_arrive_in_their_order() {
        let (mut old, mut new) = pair();
        let listeners: Vec<_> =
            (0..150).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let address = listeners[149].local_addr().unwrap();
        let names = listeners.iter().map(|one| one.local_addr().unwrap().to_string()).collect();
        let sockets: Vec<OwnedFd> = listeners.into_iter().map(Into::into).collect();
        let said = Word::Sockets { names, by: Taken::here() };
        old.send(&said).unwrap();
        old.send_sockets(&sockets).unwrap();
        old.send(&Word::Bye).unwrap();
        drop(sockets);
        assert_eq!(new.receive::<Word>().unwrap(), said);
        let mut arrived = new.receive_sockets(150).unwrap();
        assert_eq!(new.receive::<Word>().unwrap(), Word::Bye);
        let last = TcpListener::from(arrived.pop().unwrap());
        assert_eq!(last.local_addr().unwrap(), address);
        let client = TcpStream::connect(address).unwrap();
        assert_eq!(last.accept().unwrap().1, client.local_addr().unwrap());
        assert!(old.is_of_this_user().unwrap());
    }

    #[test]
    fn what_is_wrong_is_an_error_and_costs_nothing() {
        let (mut old, mut new) = pair();
        drop(old.0.write_all(&[0xff; 8]));
        assert!(new.receive::<Wish>().is_err());
        let (mut old, mut new) = pair();
        old.0.write_all(&[0, 0, 0, 9, b'{']).unwrap();
        drop(old);
        assert!(new.receive::<Wish>().is_err());
        let (mut old, mut new) = pair();
        old.send(&"no wish").unwrap();
        assert!(new.receive::<Wish>().is_err());
        assert!(new.receive_sockets(usize::MAX).is_err());
        drop(old);
        assert!(new.receive_sockets(1).is_err());
    }

    #[test]
    fn after_the_last_word_both_know_the_same() {
        let (mut old, mut new) = pair();
        old.send(&Word::Bye).unwrap();
        assert_eq!(new.last_word::<Word>().unwrap(), Word::Bye);
        let (mut old, mut new) = pair();
        assert!(new.last_word::<Word>().is_err());
        assert!(old.send(&Word::Bye).is_err());
    }
}
