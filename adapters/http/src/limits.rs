//! The limits of the public listener, named.

use std::time::Duration;

/// The largest request body where an operation sets no other: a cart of a thousand lines fits with room.
pub const BODY_LIMIT: usize = 256 * 1024;

/// How long a body may take to arrive: 256 KiB on a slow mobile line; a client that drips bytes holds a connection, not more.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the request's head may take to arrive.
pub const CLIENT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a closing connection may linger.
pub const CLIENT_DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an idle connection is kept: above the 60 s that load balancers keep theirs, so that they close first.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a call may take where the app sets no other ([`CallTime`](crate::CallTime)).
pub const CALL_TIME: Duration = Duration::from_secs(10);

/// The longest `x-request-id` that is taken over from the client.
pub(crate) const REQUEST_ID_LENGTH_MAX: usize = 128;
