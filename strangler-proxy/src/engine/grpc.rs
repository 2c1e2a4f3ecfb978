//! What the engine knows of gRPC over HTTP/2: which requests are calls, how long they may take, and how a call is told that
//! it has failed. <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::time::Duration;

use super::{
    answer::{self, About, put},
    fault::Fault,
    kit::Kit,
    request::Asked,
    timers::Tick,
};
use crate::http1::Cause;

/// The status of a side that cannot answer: the only one of a call that counts as the side's failure.
pub const UNAVAILABLE: u8 = 14;

const CANCELLED: u8 = 1;
const DEADLINE_EXCEEDED: u8 = 4;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;

const TYPE: &[u8] = b"application/grpc";

/// Is this the media type of calls? `application/grpc-web` is not: browsers have no trailers, so it is all body.
pub fn is_type(content_type: &[u8]) -> bool {
    let Some((kind, rest)) = content_type.split_at_checked(TYPE.len()) else { return false };
    kind.eq_ignore_ascii_case(TYPE) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// The status that a field has.
pub fn status_of(text: &[u8]) -> Option<u8> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// When the call must be over, where its client has said so.
pub fn deadline(kit: &Kit, asked: &Asked, now: Tick) -> Option<Tick> {
    if !asked.is_grpc {
        return None;
    }
    let text = kit.request.fields().values(&kit.input, b"grpc-timeout").next()?;
    Some(now.after(timeout(text)?))
}

/// `100m`: up to eight digits and a unit.
fn timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// What a fault is in gRPC. Clients try again what is unavailable, and nothing else.
fn status(fault: Fault) -> u8 {
    match fault {
        Fault::Refused(Cause::BodyTooLarge | Cause::HeadTooLarge | Cause::TooManyFields)
        | Fault::RateLimited(_)
        | Fault::ParkFull
        | Fault::QueueFull => RESOURCE_EXHAUSTED,
        Fault::Refused(cause) if matches!(cause.status(), 405 | 501) => UNIMPLEMENTED,
        Fault::Refused(_)
        | Fault::NotTls
        | Fault::Misdirected
        | Fault::BadResponse(_)
        | Fault::CutShort => INTERNAL,
        Fault::FirstByteTimeout
        | Fault::IdleTimeout
        | Fault::TotalTimeout
        | Fault::DeadlineExceeded => DEADLINE_EXCEEDED,
        Fault::ClientGone | Fault::SlowHead | Fault::SlowBody | Fault::SlowReader => CANCELLED,
        Fault::TooManyConnections
        | Fault::NoDescriptor
        | Fault::ParkTimeout
        | Fault::Draining
        | Fault::NoEndpoint
        | Fault::EndpointsFull
        | Fault::BreakerOpen(_)
        | Fault::Shed
        | Fault::QueueTimeout
        | Fault::Busy(_)
        | Fault::ConnectRefused
        | Fault::ConnectFailed
        | Fault::ConnectTimeout
        | Fault::TlsProtocol
        | Fault::TlsCertificate
        | Fault::TlsAlert
        | Fault::ClosedEarly
        | Fault::StreamRefused => UNAVAILABLE,
    }
}

/// Appends the answer for a fault: the status of HTTP is 200, and nothing follows the head ("trailers only").
pub fn problem(out: &mut Vec<u8>, fault: Fault, about: About<'_>) {
    answer::head(out, 200);
    put(
        out,
        format_args!(
            "Content-Type: application/grpc\r\nContent-Length: 0\r\ngrpc-status: {}\r\n\
             grpc-message: {}: {} (trace {})\r\nProxy-Status: {}; error={}; details=\"{}\"\r\n",
            status(fault),
            fault.name(),
            fault.sentence(),
            about.trace,
            about.pseudonym,
            fault.proxy_status(),
            fault.name(),
        ),
    );
    if let Some(seconds) = fault.retry_after() {
        put(out, format_args!("grpc-retry-pushback-ms: {}\r\n", u64::from(seconds) * 1000));
    }
    answer::end(out, &[], about);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{is_type, timeout};

    #[test]
    fn calls_are_known_by_their_type() {
        for (text, is_so) in [
            ("application/grpc", true),
            ("Application/GRPC+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(is_type(text.as_bytes()), is_so, "{text}");
        }
    }

    #[test]
    fn times_are_read() {
        for (text, time) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("0m", Some(Duration::ZERO)),
            ("100000000S", None),
            ("S", None),
            ("-1S", None),
            ("1", None),
            ("1s", None),
            ("", None),
        ] {
            assert_eq!(timeout(text.as_bytes()), time, "{text}");
        }
    }
}
