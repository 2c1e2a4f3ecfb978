//! Heads between the two versions. The engine judges what they say; here only that is refused which HTTP/1.1 could not show.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use bytes::Bytes;
use h2::{Reason, ext::Protocol};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request,
    response, uri,
};

use super::outgoing::Body;
use crate::{engine::grpc, http1::write::line};

/// How the body of a message from a peer of HTTP/2 is told to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// There is none.
    Without,
    /// Its length stands in the head.
    Length,
    /// In chunks.
    Chunked,
    /// It is another protocol's, from the head on.
    Raw,
}

/// Why a stream is reset before the engine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It breaks a rule of RFC 9113.
    Malformed(&'static str),
    /// An extended `CONNECT` for a protocol that is not spoken here (RFC 9220, section 3).
    Protocol,
}

impl Unfit {
    /// For the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed(what) => what,
            Self::Protocol => "protocol-unknown",
        }
    }

    /// What the stream is reset with.
    pub fn reason(self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::PROTOCOL_ERROR,
            Self::Protocol => Reason::REFUSED_STREAM,
        }
    }
}

/// Appends the head of a client's request as HTTP/1.1.
pub fn request(out: &mut Vec<u8>, parts: &request::Parts, is_over: bool) -> Result<Frame, Unfit> {
    let is_tunnel = match parts.extensions.get::<Protocol>() {
        Some(protocol) if protocol.as_str() == "websocket" && !is_over => true,
        Some(protocol) if protocol.as_str() == "websocket" => {
            return Err(Unfit::Malformed("tunnel-without-end"));
        }
        Some(_) => return Err(Unfit::Protocol),
        None => false,
    };
    let scheme = parts.uri.scheme_str().unwrap_or("http");
    if !matches!(scheme, "http" | "https") {
        return Err(Unfit::Malformed("scheme-unknown"));
    }
    out.extend_from_slice(if is_tunnel { b"GET" } else { parts.method.as_str().as_bytes() });
    out.push(b' ');
    place(out, parts, scheme, is_tunnel)?;
    fields(out, &parts.headers, is_tunnel)?;
    let has_length = parts.headers.contains_key(header::CONTENT_LENGTH);
    let is_grpc = is_grpc(&parts.headers);
    let frame = match (is_tunnel, is_over) {
        (true, _) => {
            upgrade(out)?;
            Frame::Raw
        }
        (false, true) => {
            let wants = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
            // RFC 9110, section 8.6: the methods that expect a body say that there is none, and HTTP/1.1 servers insist.
            if wants && !has_length {
                line(out, b"content-length", b"0");
            }
            lengths(out, &parts.headers);
            Frame::Without
        }
        // Only chunks can have trailers behind them.
        (false, false) if has_length && !is_grpc => {
            lengths(out, &parts.headers);
            Frame::Length
        }
        (false, false) => {
            line(out, b"transfer-encoding", b"chunked");
            Frame::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    Ok(frame)
}

/// The rest of the request line, and `Host`. Where `:authority` and `Host` differ both are shown, for the engine to refuse.
fn place(
    out: &mut Vec<u8>,
    parts: &request::Parts,
    scheme: &str,
    is_tunnel: bool,
) -> Result<(), Unfit> {
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    if parts.method == Method::CONNECT && !is_tunnel {
        // Told as it is; the engine has its own answer to it.
        out.extend_from_slice(authority.unwrap_or_default());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        line(out, b"host", authority.unwrap_or_default());
        return Ok(());
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).as_bytes();
    if !path.starts_with(b"/") && path != b"*" {
        return Err(Unfit::Malformed("path-invalid"));
    }
    let hosts = || parts.headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    // Two of one name are refused even where they say the same, as in HTTP/1.1.
    let agree = hosts().count() < 2
        && authority.is_some_and(|own| hosts().all(|host| own.eq_ignore_ascii_case(host)));
    if let Some(own) = authority
        && !agree
    {
        out.extend_from_slice(scheme.as_bytes());
        out.extend_from_slice(b"://");
        out.extend_from_slice(own);
    }
    out.extend_from_slice(path);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    match authority {
        Some(own) if agree => line(out, b"host", own),
        Some(_) | None => hosts().for_each(|host| line(out, b"host", host)),
    }
    Ok(())
}

fn fields(out: &mut Vec<u8>, headers: &HeaderMap, is_tunnel: bool) -> Result<(), Unfit> {
    let mut cookies = 0;
    for (name, value) in headers {
        let value = value.as_bytes();
        if is_padded(value) {
            return Err(Unfit::Malformed("field-value-padded"));
        }
        match *name {
            header::HOST | header::CONTENT_LENGTH => {}
            header::COOKIE => cookies += 1,
            // It means nothing in HTTP/2 (RFC 8441, section 5), and there is one for the upstream.
            header::SEC_WEBSOCKET_KEY if is_tunnel => {}
            _ => line(out, name.as_str().as_bytes(), value),
        }
    }
    if cookies > 0 {
        // RFC 9113, section 8.2.3: crumbs become one line again.
        out.extend_from_slice(b"cookie: ");
        for (at, crumb) in headers.get_all(header::COOKIE).iter().enumerate() {
            out.extend_from_slice(if at > 0 { b"; " } else { b"" });
            out.extend_from_slice(crumb.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// RFC 9113, section 8.2.1, wants no space around a value. The reader of HTTP/1.1 takes it for padding.
pub fn is_padded(value: &[u8]) -> bool {
    value.first().is_some_and(is_space) || value.last().is_some_and(is_space)
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn lengths(out: &mut Vec<u8>, headers: &HeaderMap) {
    for length in headers.get_all(header::CONTENT_LENGTH) {
        line(out, b"content-length", length.as_bytes());
    }
}

/// What an upstream of HTTP/1.1 wants for a WebSocket, and RFC 8441 has left out.
fn upgrade(out: &mut Vec<u8>) -> Result<(), Unfit> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_none| Unfit::Protocol)?;
    out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ");
    base64(out, &nonce);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS.get(bits >> (18 - 6 * place) & 63).copied().unwrap_or(b'A');
            out.push(if place <= group.len() { letter } else { b'=' });
        }
    }
}

/// Appends the head of an upstream's answer as HTTP/1.1.
pub fn response(out: &mut Vec<u8>, parts: &response::Parts, is_over: bool, to_head: bool) -> Frame {
    let status = parts.status.as_u16();
    status_line(out, status);
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_LENGTH {
            line(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    let has_length = parts.headers.contains_key(header::CONTENT_LENGTH);
    let is_bare = to_head || matches!(status, 100..=199 | 204 | 304);
    let frame = match is_over {
        true => {
            if !has_length && !is_bare {
                line(out, b"content-length", b"0");
            }
            lengths(out, &parts.headers);
            Frame::Without
        }
        false if is_bare || has_length && !is_grpc(&parts.headers) => {
            lengths(out, &parts.headers);
            Frame::Length
        }
        false => {
            line(out, b"transfer-encoding", b"chunked");
            Frame::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    frame
}

/// Appends an informational answer.
pub fn interim(out: &mut Vec<u8>, answer: &Response<()>) {
    status_line(out, answer.status().as_u16());
    for (name, value) in answer.headers() {
        line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut Vec<u8>, status: u16) {
    let written = write!(out, "HTTP/1.1 {status} \r\n");
    debug_assert!(written.is_ok(), "a Vec takes everything");
}

/// Appends a trailer section with the last chunk before it.
pub fn trailers(out: &mut Vec<u8>, fields: &HeaderMap) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in fields {
        line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Is it a gRPC message? Those have their outcome in their trailers.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| grpc::is_type(value.as_bytes()))
}

/// The head that is whole with this piece of it, and how much of the piece belongs to it. What is not whole is kept in
/// `begun`.
pub fn whole<'a>(begun: &mut Vec<u8>, piece: &'a [u8]) -> Option<(usize, Cow<'a, [u8]>)> {
    let end = |text: &[u8]| text.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
    if begun.is_empty()
        && let Some(count) = end(piece)
    {
        return Some((count, Cow::Borrowed(piece.get(..count)?)));
    }
    let had = begun.len();
    begun.extend_from_slice(piece);
    let count = end(begun)?;
    begun.truncate(count);
    Some((count - had, Cow::Owned(std::mem::take(begun))))
}

/// A head that the engine has written, line by line. It is the engine's own writing, so nothing is checked but that it can
/// be told in HTTP/2.
struct Written<'a> {
    first: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Written<'a> {
    fn of(text: &'a [u8]) -> Self {
        let (first, rest) = cut(text);
        Self { first, rest }
    }

    /// The fields that mean something in HTTP/2, and how the body is framed.
    fn fields(&self, headers: &mut HeaderMap, host: &mut &'a [u8]) -> io::Result<Body> {
        let (mut rest, mut body) = (self.rest, Body::Done);
        loop {
            let (field, next) = cut(rest);
            rest = next;
            let Some((name, value)) = split(field) else { return Ok(body) };
            let name = HeaderName::from_bytes(name).map_err(io::Error::other)?;
            match name.as_str() {
                "host" => {
                    *host = value;
                    continue;
                }
                "connection" | "keep-alive" | "proxy-connection" | "upgrade" => continue,
                "transfer-encoding" => {
                    body = Body::chunked();
                    continue;
                }
                "content-length" => {
                    let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    body = length.map_or(Body::Done, Body::length);
                }
                _ => {}
            }
            headers.append(name, HeaderValue::from_bytes(value).map_err(io::Error::other)?);
        }
    }
}

/// The line at the front without its end, and what is behind it.
fn cut(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.windows(2).position(|pair| pair == b"\r\n").unwrap_or(text.len());
    (text.get(..end).unwrap_or_default(), text.get(end + 2..).unwrap_or_default())
}

/// Name and value; nothing of the empty line.
pub fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
}

/// The request that the engine has written, and how its body comes.
pub fn written_request(text: &[u8], scheme: uri::Scheme) -> io::Result<(Request<()>, Body)> {
    let written = Written::of(text);
    let mut words = written.first.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    let mut host = &b""[..];
    let body = written.fields(&mut headers, &mut host)?;
    // HTTP/1.0 needs no host; HTTP/2 has no other way to say whom it asks.
    let host = if host.is_empty() { b"localhost" } else { host };
    let mut parts = uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(uri::Authority::try_from(host).map_err(io::Error::other)?);
    let target = Bytes::copy_from_slice(target);
    let path = uri::PathAndQuery::from_maybe_shared(target).map_err(io::Error::other)?;
    parts.path_and_query = Some(path);
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).map_err(io::Error::other)?;
    *request.uri_mut() = uri::Uri::from_parts(parts).map_err(io::Error::other)?;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = headers;
    Ok((request, body))
}

/// The answer that the engine has written, and how its body comes.
pub fn written_response(
    text: &[u8],
    to_head: bool,
    is_tunnel: bool,
) -> io::Result<(Response<()>, Body)> {
    let written = Written::of(text);
    let status = written.first.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let mut status = StatusCode::from_bytes(status).map_err(io::Error::other)?;
    let mut headers = HeaderMap::new();
    // A host means nothing in an answer.
    let mut body = written.fields(&mut headers, &mut &b""[..])?;
    if status == StatusCode::SWITCHING_PROTOCOLS && is_tunnel {
        // RFC 8441, section 5: 200, and what proves a handshake of HTTP/1.1 is left out.
        status = StatusCode::OK;
        headers.remove("sec-websocket-accept");
        body = Body::Raw;
    } else if to_head || matches!(status.as_u16(), 100..=199 | 204 | 304) {
        body = Body::Done;
    }
    if matches!(body, Body::Done) && !to_head && is_grpc(&headers) {
        headers.remove(header::CONTENT_LENGTH);
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = http::Version::HTTP_2;
    *response.headers_mut() = headers;
    Ok((response, body))
}

#[cfg(test)]
mod tests;
