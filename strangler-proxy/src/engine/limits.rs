//! Every bound of the engine that no setting changes, and why it is what it is.

use std::time::Duration;

/// The room for a request's head to begin with: usual heads with a cookie fit, and it is one page of memory.
pub const HEAD_ROOM: usize = 4 * 1024;

/// The room for bytes of a body on their way through: a 16 KiB body with its head passes in one read and one write.
pub const BODY_ROOM: usize = 32 * 1024;

/// Up to this size a piece of a body is copied behind its head, so that both go out in one write; copying less than a
/// page costs less than a second piece in the kernel's list.
pub const COPY_MAX: usize = 2 * 1024;

/// How many kits a worker keeps for the next requests. More than are ever in use at once on one core.
pub const KITS_KEPT: usize = 1024;

/// How many body buffers a worker keeps: 4 MiB.
pub const BODIES_KEPT: usize = 128;

/// A buffer that has grown beyond this is given back to the system after its request.
pub const KEPT_ROOM: usize = 64 * 1024;

/// How often a worker looks at its time-outs. A time-out is late by at most this, never early.
pub const TICK: Duration = Duration::from_millis(20);

/// How long a client that has ended its side of the connection may still get an answer. A client that only said "no
/// more requests" is served; one that has gone away holds its upstream connection no longer than this.
pub const HALF_CLOSED: Duration = Duration::from_secs(1);

/// After a last answer: how long and how much is read and thrown away, so that the client's unread bytes do not make the
/// kernel reset the connection before the client has read the answer (RFC 9112, section 9.6).
pub const LINGER: Duration = Duration::from_secs(2);
/// See [`LINGER`].
pub const LINGER_BYTES: usize = 1024 * 1024;

/// How long a listener waits after the process had no file descriptor left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections are accepted in a row before others get their turn.
pub const ACCEPT_BATCH: usize = 32;

/// The queue of connections that nobody has accepted yet. The kernel cuts it to `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;

/// Idle connections that a worker keeps to one endpoint until its configuration has said how many.
pub const POOL_PER_ENDPOINT: usize = 512;

/// Informational responses that are passed on for one request. No protocol needs more than a few.
pub const INFORMATIONAL_MAX: u32 = 16;

/// Copies of requests that a worker has under way at once; what comes on top is counted and left out.
pub const SHADOWS_MAX: usize = 64;

/// How much of a shadow's answer is read so that its connection can be used again.
pub const SHADOW_BODY_MAX: u64 = 64 * 1024;

/// How long a connection that was accepted last, while the worker already drains, may take for its first byte.
pub const DRAIN_FIRST: Duration = Duration::from_millis(200);
