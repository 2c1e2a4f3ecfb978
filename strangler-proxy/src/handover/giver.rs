//! The side that serves: gives its sockets to whoever takes its place, and starts a successor where it is asked to.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{PROTOCOL, Predecessor, Taken, Wire, Wish, Word};
use crate::{Handle, steer::Steering};

/// How long a successor that was started may take until it serves: it reads the configuration and resolves its names.
const UPGRADE_TIME: Duration = Duration::from_secs(60);

/// How long the last requests wait to be drained for the successor's private socket: moments.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// How often a successor is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// After an error of the socket, before it is used again.
const PAUSE: Duration = Duration::from_millis(50);

/// What can be given.
pub struct Giver {
    /// Its listeners.
    pub engine: Arc<Handle>,
    /// Holds still meanwhile.
    pub steering: Arc<Steering>,
    /// The admin API's socket and its name.
    pub admin: Option<(String, OwnedFd)>,
}

/// The private socket. It is removed when this is dropped, unless somebody else's stands there by then.
#[derive(Debug)]
pub struct Offering {
    path: PathBuf,
    /// None once it is somebody else's.
    inode: Option<u64>,
}

/// A successor that is being started.
#[derive(Default)]
struct Upgrade {
    state: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Default)]
struct Progress {
    thread: Option<JoinHandle<()>>,
    is_running: bool,
    taken: Option<Taken>,
}

impl Giver {
    /// Offers the sockets at this path, in place of what stands there: nothing, what a killed process has left, or the socket
    /// of the predecessor. Tells the names of the addresses that were taken, once they are.
    pub fn start(
        self,
        path: &Path,
        before: Option<&Predecessor>,
    ) -> io::Result<(Offering, oneshot::Receiver<Vec<String>>)> {
        if before.is_none() && UnixStream::connect(path).is_ok() {
            return Err(io::Error::other("another proxy has its socket there"));
        }
        let listener = bind(path)?;
        let inode = Some(fs::metadata(path)?.ino());
        let (tell, told) = oneshot::channel();
        thread::Builder::new().name("handover".into()).spawn(move || {
            let taken = self.serve(&listener);
            // Who waits for it may be gone: then the process is about to end.
            drop(tell.send(taken));
        })?;
        Ok((Offering { path: path.to_owned(), inode }, told))
    }

    /// One after the other: only one can take the place.
    fn serve(&self, listener: &UnixListener) -> Vec<String> {
        let upgrade = Arc::<Upgrade>::default();
        loop {
            let heard = listener.accept().and_then(|(stream, _)| self.hear(stream, &upgrade));
            match heard {
                Ok(Some(taken)) => return taken,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "nobody has taken over; this proxy goes on");
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    fn hear(&self, stream: UnixStream, upgrade: &Arc<Upgrade>) -> io::Result<Option<Vec<String>>> {
        let mut wire = Wire::new(stream)?;
        if !wire.is_of_this_user()? {
            return no(&mut wire, "it belongs to another user than this proxy");
        }
        match wire.receive()? {
            Wish::TakeOver { protocol, .. } if protocol != PROTOCOL => {
                no(&mut wire, "it speaks another protocol: restart instead")
            }
            Wish::TakeOver { by, .. } => {
                let taken = self.give(&mut wire)?;
                if taken.is_some() {
                    tracing::info!(pid = by.pid, version = by.version, "another binary serves now");
                    upgrade.succeed(by);
                }
                Ok(taken)
            }
            Wish::Upgrade { binary } => {
                upgrade.start(wire, &binary)?;
                Ok(None)
            }
            Wish::Begin | Wish::Serving { .. } => no(&mut wire, "it has not asked for the sockets"),
        }
    }

    fn give(&self, wire: &mut Wire) -> io::Result<Option<Vec<String>>> {
        let sockets = self.engine.sockets()?;
        if sockets.is_empty() {
            return no(wire, "the proxy is stopping");
        }
        let admin =
            self.admin.as_ref().map(|(name, socket)| Ok((name.clone(), socket.try_clone()?)));
        let sockets = sockets.into_iter().map(Ok).chain(admin).collect::<io::Result<Vec<_>>>()?;
        let (names, sockets): (Vec<String>, Vec<OwnedFd>) = sockets.into_iter().unzip();
        wire.send(&Word::Sockets { names, by: Taken::here() })?;
        wire.send_sockets(&sockets)?;
        let Wish::Begin = wire.receive()? else { return no(wire, "that is not the next step") };
        let (kill, parked) = self.steering.hold_still();
        let taken = wire.send(&Word::Go { kill, parked }).and_then(|()| match wire.receive()? {
            Wish::Serving { sockets } => wire.send(&Word::Bye).map(|()| Some(sockets)),
            Wish::TakeOver { .. } | Wish::Begin | Wish::Upgrade { .. } => {
                no(wire, "that is not the next step")
            }
        });
        match taken {
            Ok(Some(_)) => {
                self.steering.leave();
                settled(wire)?;
            }
            Ok(None) | Err(_) => self.steering.go_on(),
        }
        taken
    }
}

/// Waits until the other one has its own private socket and hangs up, so that it can be upgraded by whoever has been told.
fn settled(wire: &mut Wire) -> io::Result<()> {
    wire.waits(SETTLE_TIME)?;
    // Nothing more is said.
    drop(wire.receive::<Wish>());
    Ok(())
}

/// Refuses.
fn no(wire: &mut Wire, why: &str) -> io::Result<Option<Vec<String>>> {
    tracing::warn!(why, "somebody may not take over; this proxy goes on");
    wire.send(&Word::No { why: why.to_owned() })?;
    Ok(None)
}

/// A socket for this user only, at the place of one that nobody answers at. It is made beside and moved there, so that
/// there is no moment in which it has another mode.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(&draft)?;
    let moved = fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&draft, path));
    moved.inspect_err(|_| drop(fs::remove_file(&draft)))?;
    Ok(listener)
}

impl Offering {
    /// Somebody else's socket is there now.
    pub fn leave(mut self) {
        self.inode = None;
    }
}

impl Drop for Offering {
    fn drop(&mut self) {
        let Some(own) = self.inode else { return };
        if fs::metadata(&self.path).is_ok_and(|there| there.ino() == own) {
            drop(fs::remove_file(&self.path));
        }
    }
}

impl Upgrade {
    /// Starts the successor and a thread that tells how it came out.
    fn start(self: &Arc<Self>, mut wire: Wire, binary: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if state.is_running {
            return no(&mut wire, "another upgrade is under way").map(drop);
        }
        let child = match successor(binary) {
            Ok(child) => child,
            Err(error) => {
                let why = format!("{} cannot be started: {error}", binary.display());
                return no(&mut wire, &why).map(drop);
            }
        };
        tracing::info!(pid = child.id(), binary = %binary.display(), "a successor is started");
        state.is_running = true;
        let this = Arc::clone(self);
        let thread = thread::Builder::new().name("upgrade".into()).spawn(move || {
            let outcome = this.watch(child);
            // Who asked may have gone.
            drop(wire.send(&outcome));
            this.lock().is_running = false;
        })?;
        state.thread = Some(thread);
        Ok(())
    }

    fn watch(&self, mut child: Child) -> Word {
        let end = Instant::now() + UPGRADE_TIME;
        let mut state = self.lock();
        loop {
            if let Some(by) = state.taken.clone() {
                return Word::Upgraded { by };
            }
            if let Ok(Some(status)) = child.try_wait() {
                let why =
                    format!("the new one ended ({status}); why, it says in the log of this proxy");
                return Word::No { why };
            }
            if Instant::now() > end {
                let ended = child.kill().and_then(|()| child.wait());
                tracing::warn!(?ended, "the successor is ended: it did not serve in time");
                return Word::No { why: format!("the new one did not serve in {UPGRADE_TIME:?}") };
            }
            let waited = self.moved.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Somebody has taken over. Whoever has asked for it is told before this process can end.
    fn succeed(&self, by: Taken) {
        let mut state = self.lock();
        state.taken = Some(by);
        let thread = state.thread.take();
        drop(state);
        self.moved.notify_all();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the watch over the successor had panicked");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The binary with the arguments, the environment, the folder and the outputs of this process.
fn successor(binary: &Path) -> io::Result<Child> {
    const FLAG: &str = "--take-over";
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if !arguments.iter().any(|argument| argument == FLAG) {
        arguments.push(FLAG.into());
    }
    Command::new(binary).args(arguments).stdin(Stdio::null()).spawn()
}
