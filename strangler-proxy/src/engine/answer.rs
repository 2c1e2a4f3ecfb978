//! Answers that the proxy gives itself: problems (RFC 9457) with their `Proxy-Status` (RFC 9209), and redirects.

use std::io::Write;

use super::{fault::Fault, grpc};
use crate::config::Answer;

/// What the writing of an answer must know of its request.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The proxy's name.
    pub pseudonym: &'a str,
    /// The trace id, for whoever asks what happened.
    pub trace: &'a str,
    /// `HEAD`: the head of the answer only.
    pub is_head: bool,
    /// Is this the last answer on the connection?
    pub closes: bool,
    /// Is it a gRPC call that is answered?
    pub is_grpc: bool,
}

/// Appends the answer for a fault.
pub fn problem(out: &mut Vec<u8>, fault: Fault, about: About<'_>) {
    if about.is_grpc {
        return grpc::problem(out, fault, about);
    }
    let status = fault.status();
    let mut body = Vec::with_capacity(256);
    put(
        &mut body,
        format_args!(
            "{{\"type\":\"urn:strangler-proxy:problem:{}\",\"title\":\"{}\",\"status\":{status},\"trace\":\"{}\"}}",
            fault.name(),
            fault.sentence(),
            about.trace,
        ),
    );
    head(out, status);
    put(
        out,
        format_args!(
            "Content-Type: application/problem+json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             Proxy-Status: {}; error={}; details=\"{}\"\r\n",
            body.len(),
            about.pseudonym,
            fault.proxy_status(),
            fault.name(),
        ),
    );
    if let Some(seconds) = fault.retry_after() {
        put(out, format_args!("Retry-After: {seconds}\r\n"));
    }
    if status == 405 {
        out.extend_from_slice(b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
    }
    end(out, &body, about);
}

/// The field that marks an answer which is not the new side's: `monolith` or `answer`.
pub const FALLBACK_FIELD: &str = "X-Strangler-Fallback";

/// Appends the answer that a route has for the time while its new side is down.
pub fn fixed(out: &mut Vec<u8>, answer: &Answer, about: About<'_>) {
    let (status, text) = (answer.status, answer.body.as_bytes());
    head(out, status);
    put(out, format_args!("{FALLBACK_FIELD}: answer\r\nCache-Control: no-store\r\n"));
    // RFC 9110, section 8.6 and 15.3.5: these have no body and say no length of one.
    if matches!(status, 204 | 304) {
        return end(out, &[], about);
    }
    put(
        out,
        format_args!("Content-Type: {}\r\nContent-Length: {}\r\n", answer.content_type, text.len()),
    );
    end(out, text, about);
}

/// Marks the answer whose whole head has just been appended as the monolith's.
pub fn mark_fallback(out: &mut Vec<u8>) {
    if out.ends_with(b"\r\n\r\n") {
        out.truncate(out.len() - 2);
        put(out, format_args!("{FALLBACK_FIELD}: monolith\r\n\r\n"));
    }
}

/// Appends an answer that sends the client elsewhere.
pub fn redirect(out: &mut Vec<u8>, status: u16, to: &[u8], about: About<'_>) {
    head(out, status);
    out.extend_from_slice(b"Location: ");
    out.extend_from_slice(to);
    out.extend_from_slice(b"\r\nContent-Length: 0\r\n");
    end(out, &[], about);
}

/// Appends the answer to an `OPTIONS` that goes no further.
pub fn options(out: &mut Vec<u8>, about: About<'_>) {
    head(out, 204);
    out.extend_from_slice(b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
    end(out, &[], about);
}

/// Appends the status line.
pub fn head(out: &mut Vec<u8>, status: u16) {
    put(out, format_args!("HTTP/1.1 {status} {}\r\n", reason(status)));
}

/// Appends the end of the head and the body.
pub fn end(out: &mut Vec<u8>, body: &[u8], about: About<'_>) {
    if about.closes {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if !about.is_head {
        out.extend_from_slice(body);
    }
}

/// Appends text.
pub fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "a Vec takes everything");
}

/// The words of the statuses that the proxy itself uses.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        // RFC 9112, section 4: the words may be left out; the space before them may not.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::{About, fixed, mark_fallback, problem};
    use crate::{config::Answer, engine::fault::Fault, http1::Cause};

    #[test]
    fn a_fallback_is_marked() {
        let about =
            About { pseudonym: "edge", trace: "t1", is_head: false, closes: false, is_grpc: false };
        let mut answer =
            Answer { status: 200, content_type: "text/plain".into(), body: "later".into() };
        let mut out = Vec::new();
        fixed(&mut out, &answer, about);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\nX-Strangler-Fallback: answer\r\n"), "{text}");
        assert!(
            text.contains("\r\nContent-Length: 5\r\n") && text.ends_with("\r\n\r\nlater"),
            "{text}"
        );
        answer.status = 204;
        let mut out = Vec::new();
        fixed(&mut out, &answer, about);
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("\r\n\r\n") && !text.contains("Content-Length"), "{text}");
        let mut out = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n".to_vec();
        mark_fallback(&mut out);
        assert_eq!(out, b"HTTP/1.1 200 OK\r\nA: b\r\nX-Strangler-Fallback: monolith\r\n\r\n");
    }

    #[test]
    fn a_problem_says_status_cause_and_trace() {
        let about =
            About { pseudonym: "edge", trace: "t1", is_head: false, closes: true, is_grpc: false };
        let mut out = Vec::new();
        problem(&mut out, Fault::ParkFull, about);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        for field in [
            "Content-Type: application/problem+json".to_owned(),
            format!("Content-Length: {}", body.len()),
            "Proxy-Status: edge; error=proxy_internal_response; details=\"parking-full\""
                .to_owned(),
            "Retry-After: 1".to_owned(),
            "Connection: close".to_owned(),
        ] {
            assert!(head.lines().any(|line| line == field), "{field} in {head}");
        }
        assert!(body.contains("\"status\":503") && body.contains("\"trace\":\"t1\""), "{body}");
    }

    #[test]
    fn every_cause_of_a_refusal_has_words_for_its_status() {
        for cause in Cause::ALL {
            assert!(!super::reason(cause.status()).is_empty(), "{cause}");
        }
    }
}
