//! A service manager that opens the sockets and wants to know how the service is: systemd's protocols, which others speak
//! too (`sd_listen_fds(3)`, `sd_notify(3)`).

use std::{
    io,
    os::{
        fd::{FromRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

use rustix::io::{FdFlags, fcntl_setfd};

use crate::Inherited;

/// Where the sockets begin.
const FIRST: i32 = 3;

/// More than any unit has.
const SOCKETS_MAX: i32 = 1024;

/// The sockets that the service manager has opened for this process. Call it first, before anything else is opened.
pub fn sockets() -> io::Result<Inherited> {
    let number = |name| settings::variable(name).and_then(|text| text.parse::<i32>().ok());
    let mut inherited = Inherited::default();
    let own = i32::try_from(std::process::id()).ok();
    // Variables that were meant for a process before this one.
    if own.is_none() || number("LISTEN_PID") != own {
        return Ok(inherited);
    }
    let count = number("LISTEN_FDS").unwrap_or(0).clamp(0, SOCKETS_MAX);
    for descriptor in FIRST..FIRST + count {
        inherited.add(None, given(descriptor)?)?;
    }
    Ok(inherited)
}

#[allow(unsafe_code, reason = "a descriptor that comes with the process has only its number")]
fn given(descriptor: i32) -> io::Result<OwnedFd> {
    // SAFETY: the variables name this very process, and by sd_listen_fds(3) these descriptors are open and its own. This
    // is called once, before the process has opened anything.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    Ok(socket)
}

/// Tells the service manager that this process is the service and serves. After an upgrade it is another process than the
/// one that was started.
pub fn ready() {
    notify(&format!("READY=1\nMAINPID={}", std::process::id()));
}

/// Tells it that the service ends.
pub fn stopping() {
    notify("STOPPING=1");
}

fn notify(state: &str) {
    let Some(place) = settings::variable("NOTIFY_SOCKET") else { return };
    let address = match place.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    let sent = address.and_then(|address| {
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
    });
    if let Err(error) = sent {
        tracing::warn!(%error, place, "the service manager is not told");
    }
}
