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

/// How much the kernel takes of what a client has not been sent yet. Enough for the next few packets of any connection, and half
/// of it is the step in which a slow reader's progress is seen: with the megabytes that it takes by itself, who reads 50 kB/s
/// made none for half a minute, and was taken for gone.
pub const UNSENT_MAX: u32 = 128 * 1024;

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

// HTTP/2.

/// How much of a body may be under way on one stream before somebody has read it. At 50 ms to the peer it lets 5 MB/s pass.
pub const HTTP2_WINDOW: u32 = 256 * 1024;

/// The same for all streams of a client's connection: what one client can make a worker hold.
pub const HTTP2_WINDOW_CLIENT: u32 = 1024 * 1024;

/// The same for a connection to an upstream. Its streams are different clients': every one of them can have its window full
/// and unread, and still no other one waits for it.
pub const HTTP2_WINDOW_UPSTREAM: u32 = 32 * 1024 * 1024;

/// Requests at once on one connection to an upstream, where that allows more. More of them meet at its one socket and its
/// one thread; a second connection serves them better.
pub const HTTP2_STREAMS_MAX: usize = 100;

// Many slow clients must not shut the window for one more.
const _: () = assert!(HTTP2_WINDOW as usize * HTTP2_STREAMS_MAX <= HTTP2_WINDOW_UPSTREAM as usize);

/// Connections of a worker to one endpoint, each with many requests. What comes on top is answered with 503.
pub const HTTP2_CONNECTIONS_MAX: usize = 16;

/// Bytes of a stream that are taken from the engine before the peer's window lets them go. More would only hide from the
/// engine that the peer is slow.
pub const HTTP2_SEND_ROOM: usize = 64 * 1024;

/// The head of an upstream's answer, decoded, with 32 bytes for each field (RFC 9113, section 6.5.2).
pub const HTTP2_HEAD_MAX: u32 = 64 * 1024;

/// What the size of a head counts for each field besides its bytes (RFC 9113, section 6.5.2).
pub const HTTP2_FIELD_OVERHEAD: usize = 32;

/// Streams that a client may open and soon reset before it is looked at how many of all these are. What has not reached a
/// request is bounded in `h2`, at 20.
pub const HTTP2_RESETS_MAX: u64 = 200;

/// Bytes of frames that only speak of the connection, once they are divided by what follows. A ping every ten seconds comes
/// to it in two months.
pub const HTTP2_TALK: u64 = 1024 * 1024;

/// How many bytes of such frames may come for each one of a request or an answer, beyond those. Who downloads grants windows
/// at a thousandth of it.
pub const HTTP2_TALK_SHARE: u64 = 8;

/// A stream that is reset sooner was opened to be reset.
pub const HTTP2_EARLY: Duration = Duration::from_secs(1);

/// How long a connection with requests under way may be silent before it is asked for a sign of life. Half of what clients
/// commonly wait.
pub const HTTP2_PING_AFTER: Duration = Duration::from_secs(30);

/// How long until it is asked again. Servers of gRPC close connections that ask more often than every five minutes.
pub const HTTP2_PING_AGAIN: Duration = Duration::from_secs(301);

/// How long the sign may take.
pub const HTTP2_PONG: Duration = Duration::from_secs(10);

/// How long a replica may take to begin an answer: the old side has it as well, and the client waits.
pub const READ_AHEAD: Duration = Duration::from_secs(1);
