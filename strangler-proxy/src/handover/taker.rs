//! The side that comes: takes the sockets of the proxy that serves.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{PROTOCOL, Taken, Wire, Wish, Word};
use crate::{Inherited, config::Kill};

/// The old proxy waits for its successor for a minute before it says how that came out.
const UPGRADE_TIME: Duration = Duration::from_secs(70);

/// Why the place was not taken. The proxy that serves goes on.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// The other side does not answer as it should.
    #[error("the proxy that serves does not answer as it should")]
    Talk(#[from] io::Error),
    /// It says no.
    #[error("the proxy that serves does not give its place: {0}")]
    Refused(String),
    /// It belongs to somebody else.
    #[error("the proxy that serves belongs to another user")]
    Foreign,
}

/// The proxy that serves, as its successor sees it. It waits for the end of this before it tells that it has been replaced:
/// drop it once its private socket is replaced too.
#[derive(Debug)]
pub struct Predecessor {
    wire: Wire,
    /// Who it is.
    pub is: Taken,
}

impl Predecessor {
    /// Takes the sockets of the proxy that offers them at this path. Nothing where nobody does.
    pub fn reach(path: &Path) -> Result<Option<(Self, Inherited)>, TakeOverError> {
        let Some(mut wire) = connect(path)? else { return Ok(None) };
        wire.send(&Wish::TakeOver { protocol: PROTOCOL, by: Taken::here() })?;
        let (names, is) = match wire.receive()? {
            Word::Sockets { names, by } => (names, by),
            other => return Err(unexpected(other)),
        };
        let sockets = wire.receive_sockets(names.len())?;
        let mut inherited = Inherited::default();
        for (name, socket) in names.into_iter().zip(sockets) {
            inherited.add(Some(name), socket)?;
        }
        Ok(Some((Self { wire, is }, inherited)))
    }

    /// Everything is ready: from here on the other one holds still. Gives what stands in no file: the kill switch and the
    /// routes that are parked. Whatever is in files must be read after this.
    pub fn begin(&mut self) -> Result<(Option<Kill>, Vec<String>), TakeOverError> {
        self.wire.send(&Wish::Begin)?;
        match self.wire.receive()? {
            Word::Go { kill, parked } => Ok((kill, parked)),
            other => Err(unexpected(other)),
        }
    }

    /// This process accepts connections, on the sockets of these names. When this is well the other one ends; when not, it
    /// goes on and this process must end.
    pub fn serving(&mut self, sockets: Vec<String>) -> Result<(), TakeOverError> {
        self.wire.send(&Wish::Serving { sockets })?;
        let heard = self.wire.receive().or_else(|_late| self.wire.last_word());
        match heard? {
            Word::Bye => Ok(()),
            other => Err(unexpected(other)),
        }
    }
}

/// Asks the proxy at this path to start the binary as its successor, and waits until that serves. Gives the successor;
/// nothing where no proxy is there.
pub fn ask_to_upgrade(path: &Path, binary: PathBuf) -> Result<Option<Taken>, TakeOverError> {
    let Some(mut wire) = connect(path)? else { return Ok(None) };
    wire.send(&Wish::Upgrade { binary })?;
    wire.waits(UPGRADE_TIME)?;
    match wire.receive()? {
        Word::Upgraded { by } => Ok(Some(by)),
        other => Err(unexpected(other)),
    }
}

fn connect(path: &Path) -> Result<Option<Wire>, TakeOverError> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let wire = Wire::new(stream)?;
    if wire.is_of_this_user()? { Ok(Some(wire)) } else { Err(TakeOverError::Foreign) }
}

fn unexpected(word: Word) -> TakeOverError {
    match word {
        Word::No { why } => TakeOverError::Refused(why),
        other => TakeOverError::Refused(format!("it said {other:?}")),
    }
}
