//! Heads from one version to the other.

use h2::ext::Protocol;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, uri::Scheme};

use super::{Frame, Unfit, base64, request, response, whole, written_request, written_response};
use crate::engine::http2::outgoing::{Body, Chunk};

fn fields(list: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in list.iter().map(field) {
        map.append(name, value);
    }
    map
}

fn asked(method: &str, uri: &str, list: &[(&str, &str)], is_over: bool) -> Result<String, Unfit> {
    let mut whole = Request::builder().method(method).uri(uri).body(()).unwrap();
    *whole.headers_mut() = fields(list);
    let mut out = Vec::new();
    request(&mut out, &whole.into_parts().0, is_over)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn a_request_becomes_the_text_of_http_1() {
    for (method, uri, list, is_over, text) in [
        (
            "GET",
            "http://a.example/b?c",
            &[][..],
            true,
            "GET /b?c HTTP/1.1\r\nhost: a.example\r\n\r\n",
        ),
        ("POST", "http://a/", &[], true, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"),
        (
            "POST",
            "http://a/",
            &[("content-length", "3"), ("te", "trailers")],
            false,
            "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ncontent-length: 3\r\n\r\n",
        ),
        (
            "POST",
            "http://a/s.S/M",
            &[("content-type", "application/grpc"), ("content-length", "3")],
            false,
            "POST /s.S/M HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        (
            "GET",
            "http://a/",
            &[("cookie", "b=1"), ("x", "y"), ("cookie", "c=2"), ("host", "A")],
            true,
            "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\ncookie: b=1; c=2\r\n\r\n",
        ),
        ("GET", "/b", &[("host", "a")], true, "GET /b HTTP/1.1\r\nhost: a\r\n\r\n"),
        // What does not agree is shown as it came, and refused where everything is.
        (
            "GET",
            "http://a/b",
            &[("host", "other")],
            true,
            "GET http://a/b HTTP/1.1\r\nhost: other\r\n\r\n",
        ),
        (
            "GET",
            "http://a/b",
            &[("host", "a"), ("host", "a")],
            true,
            "GET http://a/b HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        ),
        (
            "GET",
            "/b",
            &[("host", "a"), ("host", "b")],
            true,
            "GET /b HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        ),
    ] {
        assert_eq!(asked(method, uri, list, is_over).as_deref(), Ok(text), "{method} {uri}");
    }
    assert!(asked("GET", "http://a/", &[("x", " y")], true).is_err());
    assert!(asked("GET", "http://a/", &[("x", "y\t")], true).is_err());
    assert!(asked("GET", "ftp://a/", &[], true).is_err());
}

#[test]
fn a_websocket_becomes_an_upgrade_and_nothing_else_does() {
    let tunnel = |protocol: &'static str, is_over| {
        let whole = Request::builder().method("CONNECT").uri("http://a/chat");
        let mut whole = whole.header("sec-websocket-key", "the client's").body(()).unwrap();
        whole.extensions_mut().insert(Protocol::from_static(protocol));
        let mut out = Vec::new();
        request(&mut out, &whole.into_parts().0, is_over)
            .map(|frame| (frame, String::from_utf8(out).unwrap()))
    };
    let (frame, text) = tunnel("websocket", false).unwrap();
    assert_eq!(frame, Frame::Raw);
    assert!(text.starts_with("GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n"), "{text}");
    let key = text.split("sec-websocket-key: ").nth(1).unwrap().trim_end();
    assert!(key.len() == 24 && key.ends_with("=="), "{key}");
    assert_eq!(text.matches("sec-websocket-key").count(), 1, "{text}");
    assert_eq!(tunnel("connect-udp", false), Err(Unfit::Protocol));
    assert!(tunnel("websocket", true).is_err());
    let (answer, body) = written_response(
        b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n",
        false,
        true,
    )
    .unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().len()), (200, 0));
    assert!(matches!(body, Body::Raw));
}

#[test]
fn base64_is_that_of_the_rfc() {
    for (bytes, text) in
        [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
    {
        let mut out = Vec::new();
        base64(&mut out, bytes);
        assert_eq!(out, text.as_bytes());
    }
}

#[test]
fn an_answer_becomes_the_text_of_http_1() {
    for (status, list, is_over, to_head, text, frame) in [
        (
            200,
            &[("a", "b")][..],
            true,
            false,
            "200 \r\na: b\r\ncontent-length: 0\r\n\r\n",
            Frame::Without,
        ),
        (
            200,
            &[("content-length", "5")],
            true,
            true,
            "200 \r\ncontent-length: 5\r\n\r\n",
            Frame::Without,
        ),
        (204, &[], true, false, "204 \r\n\r\n", Frame::Without),
        (304, &[], true, false, "304 \r\n\r\n", Frame::Without),
        (
            200,
            &[("content-length", "5")],
            false,
            false,
            "200 \r\ncontent-length: 5\r\n\r\n",
            Frame::Length,
        ),
        (200, &[], false, false, "200 \r\ntransfer-encoding: chunked\r\n\r\n", Frame::Chunked),
        (
            200,
            &[("content-type", "application/grpc"), ("content-length", "5")],
            false,
            false,
            "200 \r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n",
            Frame::Chunked,
        ),
    ] {
        let mut whole = Response::builder().status(status).body(()).unwrap();
        *whole.headers_mut() = fields(list);
        let mut out = Vec::new();
        let got = response(&mut out, &whole.into_parts().0, is_over, to_head);
        assert_eq!(String::from_utf8(out).unwrap(), format!("HTTP/1.1 {text}"));
        assert_eq!(got, frame);
    }
}

#[test]
fn what_the_engine_writes_becomes_a_request() {
    let text = b"POST /a?b HTTP/1.1\r\nHost: a:1\r\nX-Y: z\r\nTransfer-Encoding: chunked\r\nVia: 2.0 p\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    let (got, body) = written_request(text, Scheme::HTTP).unwrap();
    assert_eq!(got.uri(), "http://a:1/a?b");
    assert!(matches!(body, Body::Chunked(Chunk::Size(0))));
    let names: Vec<_> = got.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-y", "via", "te"]);
    let (got, body) =
        written_request(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Scheme::HTTP).unwrap();
    assert_eq!(got.uri().path(), "*");
    assert!(body.is_done());
    let (_, body) =
        written_request(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", Scheme::HTTP)
            .unwrap();
    assert!(matches!(body, Body::Length(3)));
}

#[test]
fn what_the_engine_writes_becomes_an_answer() {
    let answer = |text: &[u8], to_head| written_response(text, to_head, false).unwrap();
    let (got, body) =
        answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n", false);
    assert_eq!((got.status().as_u16(), got.headers().len()), (404, 1));
    assert!(matches!(body, Body::Length(2)));
    let (_, body) = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true);
    assert!(body.is_done());
    let (got, body) = answer(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nContent-Length: 0\r\ngrpc-status: 14\r\n\r\n",
        false,
    );
    assert!(body.is_done() && !got.headers().contains_key("content-length"));
}

#[test]
fn a_head_is_found_however_it_is_cut() {
    let text = b"HTTP/1.1 200 OK\r\na: b\r\n\r\nbody";
    let end = text.len() - 4;
    let mut begun = Vec::new();
    let (count, head) = whole(&mut begun, text).unwrap();
    assert_eq!((count, &*head), (end, &text[..end]));
    for at in 1..end {
        let mut begun = Vec::new();
        assert!(whole(&mut begun, &text[..at]).is_none());
        let (count, head) = whole(&mut begun, &text[at..]).unwrap();
        assert_eq!((count, &*head), (end - at, &text[..end]), "cut at {at}");
    }
}
