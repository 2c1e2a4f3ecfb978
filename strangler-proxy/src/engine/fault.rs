//! What can go wrong with a request: its status, its name for people and for `Proxy-Status` (RFC 9209).

use crate::http1::Cause;

/// Why a request did not get its upstream's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request breaks a rule.
    Refused(Cause),
    /// The head did not arrive in time.
    SlowHead,
    /// The body came too slowly.
    SlowBody,
    /// The client takes its answer too slowly.
    SlowReader,
    /// The client does not speak TLS where that is spoken.
    NotTls,
    /// The certificate of this connection is not for the host of the request.
    Misdirected,
    /// Too many connections are open.
    TooManyConnections,
    /// The process has no file descriptor left for a connection to the upstream.
    NoDescriptor,
    /// The route is parked and there is no room to wait.
    ParkFull,
    /// The route was parked for longer than a request may wait.
    ParkTimeout,
    /// The proxy is being stopped while the request was still parked.
    Draining,
    /// The upstream has no endpoint, or none that has an address.
    NoEndpoint,
    /// Every endpoint has as many connections as it may.
    EndpointsFull,
    /// The side has failed too often and is left alone, for about so many seconds.
    BreakerOpen(u32),
    /// The client asks too often; it may ask again after so many seconds.
    RateLimited(u32),
    /// The proxy has too much to do, and the route's priority is low.
    Shed,
    /// As many requests of the route as may be are under way and waiting.
    QueueFull,
    /// No place became free in time.
    QueueTimeout,
    /// The upstream has answered with this status, and the request is to be tried again.
    Busy(u16),
    /// Nothing listens there.
    ConnectRefused,
    /// No connection, for another reason.
    ConnectFailed,
    /// No connection in time.
    ConnectTimeout,
    /// The upstream breaks a rule of TLS, or speaks none.
    TlsProtocol,
    /// The upstream's certificate is not good.
    TlsCertificate,
    /// The upstream has sent an alert of TLS: it may want a certificate, or another one.
    TlsAlert,
    /// No first byte of an answer in time.
    FirstByteTimeout,
    /// The answer made no progress, or the upstream took nothing of the request.
    IdleTimeout,
    /// The whole exchange took too long.
    TotalTimeout,
    /// The upstream closed the connection before it answered.
    ClosedEarly,
    /// The upstream has told that it has not looked at the request (RFC 9113, section 8.7).
    StreamRefused,
    /// The client's own deadline, the one of its gRPC call, has passed.
    DeadlineExceeded,
    /// The answer breaks a rule.
    BadResponse(Cause),
    /// The answer ended before it was whole.
    CutShort,
    /// The client has gone. Nobody is there to be told.
    ClientGone,
}

impl Fault {
    /// The status that the client gets. 499, nginx's number, stands in logs for a client that has gone.
    pub fn status(self) -> u16 {
        match self {
            Self::Refused(cause) => cause.status(),
            Self::NotTls => 400,
            Self::Misdirected => 421,
            Self::SlowHead | Self::SlowBody => 408,
            Self::RateLimited(_) => 429,
            Self::Busy(status) => status,
            Self::TooManyConnections
            | Self::NoDescriptor
            | Self::ParkFull
            | Self::ParkTimeout
            | Self::Draining
            | Self::NoEndpoint
            | Self::EndpointsFull
            | Self::BreakerOpen(_)
            | Self::Shed
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::StreamRefused => 503,
            Self::ConnectRefused
            | Self::ConnectFailed
            | Self::TlsProtocol
            | Self::TlsCertificate
            | Self::TlsAlert
            | Self::ClosedEarly
            | Self::BadResponse(_)
            | Self::CutShort => 502,
            Self::ConnectTimeout
            | Self::FirstByteTimeout
            | Self::IdleTimeout
            | Self::DeadlineExceeded
            | Self::TotalTimeout => 504,
            Self::ClientGone | Self::SlowReader => 499,
        }
    }

    /// The stable name, for logs and the problem's type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused(cause) | Self::BadResponse(cause) => cause.as_str(),
            Self::SlowHead => "slow-head",
            Self::SlowBody => "slow-body",
            Self::SlowReader => "slow-reader",
            Self::NotTls => "not-tls",
            Self::Misdirected => "misdirected",
            Self::TlsProtocol => "tls-protocol",
            Self::TlsCertificate => "tls-certificate",
            Self::TlsAlert => "tls-alert",
            Self::TooManyConnections => "too-many-connections",
            Self::NoDescriptor => "no-file-descriptor",
            Self::ParkFull => "parking-full",
            Self::ParkTimeout => "parked-too-long",
            Self::Draining => "draining",
            Self::NoEndpoint => "no-endpoint",
            Self::EndpointsFull => "endpoints-full",
            Self::BreakerOpen(_) => "breaker-open",
            Self::RateLimited(_) => "rate-limited",
            Self::Shed => "shed",
            Self::QueueFull => "queue-full",
            Self::QueueTimeout => "queued-too-long",
            Self::Busy(_) => "upstream-busy",
            Self::ConnectRefused => "connection-refused",
            Self::ConnectFailed => "connection-failed",
            Self::ConnectTimeout => "connection-timeout",
            Self::FirstByteTimeout => "response-timeout",
            Self::IdleTimeout => "idle-timeout",
            Self::TotalTimeout => "total-timeout",
            Self::ClosedEarly => "connection-terminated",
            Self::StreamRefused => "stream-refused",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::CutShort => "response-incomplete",
            Self::ClientGone => "client-gone",
        }
    }

    /// The error type of RFC 9209, section 2.3.
    pub fn proxy_status(self) -> &'static str {
        match self {
            Self::Refused(Cause::Loop) => "proxy_loop_detected",
            Self::Refused(_)
            | Self::SlowHead
            | Self::SlowBody
            | Self::SlowReader
            | Self::NotTls
            | Self::Misdirected
            | Self::ClientGone => "http_request_error",
            Self::TlsProtocol => "tls_protocol_error",
            Self::TlsCertificate => "tls_certificate_error",
            Self::TlsAlert => "tls_alert_received",
            Self::TooManyConnections | Self::EndpointsFull => "connection_limit_reached",
            Self::NoDescriptor => "proxy_internal_error",
            Self::ParkFull
            | Self::ParkTimeout
            | Self::Draining
            | Self::RateLimited(_)
            | Self::Shed
            | Self::QueueFull
            | Self::QueueTimeout => "proxy_internal_response",
            Self::NoEndpoint
            | Self::ConnectFailed
            | Self::BreakerOpen(_)
            | Self::StreamRefused
            | Self::Busy(_) => "destination_unavailable",
            Self::ConnectRefused => "connection_refused",
            Self::ConnectTimeout => "connection_timeout",
            Self::FirstByteTimeout | Self::DeadlineExceeded | Self::TotalTimeout => {
                "http_response_timeout"
            }
            Self::IdleTimeout => "connection_read_timeout",
            Self::ClosedEarly => "connection_terminated",
            Self::BadResponse(_) => "http_protocol_error",
            Self::CutShort => "http_response_incomplete",
        }
    }

    /// A sentence for whoever gets the answer. It says nothing of addresses inside.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Refused(_) => "the request breaks a rule of HTTP",
            Self::SlowHead => "the request's head did not arrive in time",
            Self::SlowBody => "the request's body did not arrive in time",
            Self::SlowReader => "the client takes the answer too slowly",
            Self::NotTls => "this port speaks https only",
            Self::Misdirected => "the certificate of this connection is not for the request's host",
            Self::TlsProtocol => "the upstream does not speak TLS as it should",
            Self::TlsCertificate => "the upstream's certificate is not good",
            Self::TlsAlert => "the upstream has broken the TLS connection off",
            Self::TooManyConnections => "too many connections are open",
            Self::NoDescriptor => "the proxy has no file descriptor left",
            Self::ParkFull => "requests of this kind are being held and no more can wait",
            Self::ParkTimeout => "requests of this kind were held for too long",
            Self::Draining => "the proxy is being stopped",
            Self::NoEndpoint => "the upstream has no endpoint",
            Self::EndpointsFull => "every endpoint has as many connections as it may have",
            Self::BreakerOpen(_) => {
                "the upstream has failed too often and is left alone for a while"
            }
            Self::RateLimited(_) => "too many requests in this time",
            Self::Shed => "the proxy has too much to do, and requests of this kind wait",
            Self::QueueFull => "too many requests of this kind are under way and no more can wait",
            Self::QueueTimeout => "too many requests of this kind were under way for too long",
            Self::Busy(_) => "the upstream is not able to answer",
            Self::ConnectRefused => "the upstream refused the connection",
            Self::ConnectFailed => "the upstream cannot be reached",
            Self::ConnectTimeout => "the upstream did not take the connection in time",
            Self::FirstByteTimeout => "the upstream did not answer in time",
            Self::IdleTimeout => "the upstream made no progress",
            Self::TotalTimeout => "the answer took too long",
            Self::ClosedEarly => "the upstream closed the connection before it answered",
            Self::BadResponse(_) => "the upstream's answer breaks a rule of HTTP",
            Self::StreamRefused => "the upstream takes no more requests for now",
            Self::DeadlineExceeded => "the time that the client gave is over",
            Self::CutShort => "the upstream's answer ended before it was whole",
            Self::ClientGone => "the client has gone",
        }
    }

    /// Is the other side to blame? Then it counts as a failure of the route's side.
    pub fn is_upstreams(self) -> bool {
        match self {
            Self::NoEndpoint
            | Self::ConnectRefused
            | Self::ConnectFailed
            | Self::ConnectTimeout
            | Self::TlsProtocol
            | Self::TlsCertificate
            | Self::TlsAlert
            | Self::FirstByteTimeout
            | Self::IdleTimeout
            | Self::TotalTimeout
            | Self::ClosedEarly
            | Self::StreamRefused
            | Self::BadResponse(_)
            | Self::CutShort
            | Self::Busy(_) => true,
            Self::Refused(_)
            | Self::SlowHead
            | Self::SlowBody
            | Self::SlowReader
            | Self::NotTls
            | Self::Misdirected
            | Self::TooManyConnections
            | Self::NoDescriptor
            | Self::ParkFull
            | Self::ParkTimeout
            | Self::Draining
            | Self::EndpointsFull
            | Self::BreakerOpen(_)
            | Self::RateLimited(_)
            | Self::Shed
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::DeadlineExceeded
            | Self::ClientGone => false,
        }
    }

    /// Does it say that the side is down, so that a fallback is asked instead?
    pub fn is_side_down(self) -> bool {
        self.is_upstreams() || matches!(self, Self::BreakerOpen(_) | Self::EndpointsFull)
    }

    /// Seconds after which trying again makes sense, where it does.
    pub fn retry_after(self) -> Option<u32> {
        match self {
            Self::BreakerOpen(seconds) | Self::RateLimited(seconds) => Some(seconds),
            other => (other.status() == 503).then_some(1),
        }
    }
}
