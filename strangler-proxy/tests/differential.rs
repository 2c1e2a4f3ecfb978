//! The codec against hyper, on messages that are mostly right: what passes here is one and the same message there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may"
)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, server, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::{prelude::*, sample::select};
use strangler_proxy::http1::{
    BodyReader, Event, Framing, Leniency, Limits, Parsed, RequestFacts, RequestHead, ResponseHead,
    Version, normalise,
    write::{self, Announce, Forwarding, RequestOut, ResponseOut, Scheme},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request as somebody saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    body: Vec<u8>,
}

/// What hyper makes of these bytes.
fn hyper_sees(bytes: &[u8]) -> Vec<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut near, far) = tokio::io::duplex(1 << 20);
        near.write_all(bytes).await.unwrap();
        near.shutdown().await.unwrap();
        let service = service_fn(|request: Request<Incoming>| {
            let seen = Arc::clone(&seen);
            async move {
                let method = request.method().to_string();
                let target = request.uri().to_string();
                if let Ok(body) = request.into_body().collect().await {
                    let body = body.to_bytes().to_vec();
                    seen.lock().unwrap().push(Seen { method, target, body });
                }
                Ok::<_, Infallible>(Response::new(Empty::<&[u8]>::new()))
            }
        });
        let served = server::conn::http1::Builder::new()
            .half_close(true)
            .serve_connection(TokioIo::new(far), service);
        let drain = async {
            let mut answers = Vec::new();
            near.read_to_end(&mut answers).await.ok();
        };
        let (_served, ()) = tokio::join!(served, drain);
        drop(near);
        seen.lock().unwrap().clone()
    })
}

/// What the codec makes of them, message after message, and what it would send on; stops where it refuses.
fn codec_sees(bytes: &[u8]) -> Vec<(Seen, Vec<u8>)> {
    let limits = Limits::default();
    let mut seen = Vec::new();
    let mut head = RequestHead::default();
    let mut rest = bytes;
    while let Ok(Parsed::Complete { head_len }) = head.parse(rest, &limits, Leniency::NONE) {
        let mut out = Vec::new();
        let forwarding = Forwarding {
            client: b"192.0.2.1",
            scheme: Scheme::Http,
            trusted: false,
            announce: Announce::Both,
        };
        let mut with = RequestOut::of(&head, rest, b"test", forwarding);
        if with.host.is_empty() {
            with.host = b"upstream";
        }
        write::request(&mut out, &head, rest, &with);
        let Some((body, used)) = read_body(head.framing(), &rest[head_len..]) else { break };
        if head.framing() == Framing::Chunked {
            for part in body.chunks(5) {
                write::chunk_size(&mut out, part.len() as u64);
                out.extend(part);
                out.extend(b"\r\n");
            }
            write::last_chunk(&mut out);
        } else {
            out.extend(&body);
        }
        let mut target = String::from_utf8(head.path(rest).to_vec()).unwrap();
        if let Some(query) = head.query(rest) {
            target = format!("{target}?{}", String::from_utf8_lossy(query));
        }
        let method = String::from_utf8(head.method_text(rest).to_vec()).unwrap();
        seen.push((Seen { method, target, body }, out));
        rest = &rest[head_len + used..];
        if !head.keep_alive() {
            break;
        }
    }
    seen
}

fn read_body(framing: Framing, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut reader = BodyReader::new(framing, u64::MAX).unwrap();
    let (mut body, mut used) = (Vec::new(), 0);
    loop {
        let piece = reader.read(&bytes[used..], &Limits::default()).ok()?;
        body.extend(&bytes[used..][piece.payload.clone()]);
        used += piece.consumed;
        match piece.event {
            Event::Again => {}
            Event::More => return None,
            Event::End { .. } => return Some((body, used)),
        }
    }
}

/// Fields that mean something to framing, right and wrong, and some that do not.
fn field() -> impl Strategy<Value = String> {
    static NAMES: &[&str] = &[
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "X-A",
        "Expect",
        "TE",
        "Trailer",
        "Upgrade",
        "Via",
        "Max-Forwards",
        "X_A",
        "Cookie",
        "Host",
        "Keep-Alive",
        "X-Forwarded-For",
    ];
    static VALUES: &[&str] = &[
        "5",
        "0",
        "3",
        "05",
        "+5",
        "5, 5",
        "chunked",
        "gzip, chunked",
        "chunked, chunked",
        "identity",
        "close",
        "keep-alive",
        "x-a",
        "keep-alive, X-A",
        "upgrade",
        "100-continue",
        "trailers",
        "shop.example",
        "",
        "a b",
        "h2c",
        "websocket",
        "1.1 a",
        "\u{b}chunked",
        "chunked\t",
    ];
    static SEPARATORS: &[&str] = &[": ", ":", ":\t", " : ", ": \t ", ":  "];
    static ENDS: &[&str] =
        &["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r\n ", "\r"];
    (select(NAMES), select(SEPARATORS), select(VALUES), select(ENDS))
        .prop_map(|(name, separator, value, end)| format!("{name}{separator}{value}{end}"))
        .boxed()
}

fn usual_field() -> impl Strategy<Value = String> {
    select(
        &[
            "X-A: b\r\n",
            "Accept: */*\r\n",
            "Cookie: a=b\r\n",
            "Connection: keep-alive\r\n",
            "Connection: X-A\r\n",
            "User-Agent: test\r\n",
            "X-Empty:\r\n",
            "Content-Type:text/plain\r\n",
            "Via: 1.0 a\r\n",
            "X-Forwarded-For: 10.0.0.1\r\n",
            "Accept-Encoding:  gzip \r\n",
        ][..],
    )
    .prop_map(str::to_owned)
}

fn body() -> impl Strategy<Value = String> {
    select(
        &[
            "",
            "hello",
            "abc",
            "5\r\nhello\r\n0\r\n\r\n",
            "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "0\r\nX-T: 1\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "4\r\nhello\r\n0\r\n\r\n",
            "0\r\n\r\n",
        ][..],
    )
    .prop_map(str::to_owned)
}

/// A request that is right, apart from what chance brings into it.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = (
        select(&["GET", "POST", "PUT", "HEAD", "OPTIONS", "PROPFIND"][..]),
        select(
            &[
                "/",
                "/a/b?c=d",
                "/a/../b",
                "/%61%2e/x",
                "//a",
                "http://shop.example/x",
                "*",
                "/a#b",
                "/a%2fb",
                "/a/%C3%A9?q=%20",
            ][..],
        ),
        select(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"][..]),
    );
    let framed = select(
        &[
            "",
            "Content-Length: 5\r\n",
            "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n",
            "content-length: 0\r\n",
        ][..],
    );
    let odd = prop::option::weighted(0.4, field());
    let flip = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
    (line, framed, prop::collection::vec(usual_field(), 0..4), odd, body(), flip).prop_map(
        |((method, target, version), framed, fields, odd, body, flip)| {
            let fields = fields.concat();
            let odd = odd.unwrap_or_default();
            let mut bytes = format!(
                "{method} {target} {version}\r\nHost: shop.example\r\n{fields}{framed}{odd}\r\n{body}"
            )
            .into_bytes();
            if let Some((place, byte)) = flip {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What we send on for a request is, to hyper, exactly that request and nothing after it.
    #[test]
    fn what_is_sent_on_is_one_request(bytes in prop::collection::vec(request(), 1..3).prop_map(|all| all.concat())) {
        for (seen, out) in codec_sees(&bytes) {
            let shown = out.escape_ascii().to_string();
            prop_assert_eq!(hyper_sees(&out), vec![seen], "{}", shown);
        }
    }

    /// What passes here, hyper sees as the same messages, in number, method and body.
    #[test]
    fn what_passes_is_the_same_to_hyper(bytes in prop::collection::vec(request(), 1..3).prop_map(|all| all.concat())) {
        let ours = codec_sees(&bytes);
        let theirs = hyper_sees(&bytes);
        prop_assert!(theirs.len() >= ours.len(), "{}: {:?} {:?}", bytes.escape_ascii(), ours, theirs);
        for ((our, _), their) in ours.iter().zip(&theirs) {
            prop_assert_eq!(&our.method, &their.method);
            prop_assert_eq!(&our.body, &their.body, "{}", bytes.escape_ascii());
        }
    }

    /// Any bytes, in any pieces: no panic, and the same end whatever the pieces.
    #[test]
    fn pieces_do_not_matter(bytes in request(), step in 1usize..40) {
        let limits = Limits::default();
        let mut whole = RequestHead::default();
        let at_once = whole.parse(&bytes, &limits, Leniency::NONE);
        let mut head = RequestHead::default();
        let mut last = Ok(Parsed::Partial);
        for end in (step..bytes.len()).step_by(step).chain([bytes.len()]) {
            last = head.parse(&bytes[..end], &limits, Leniency::NONE);
            if last != Ok(Parsed::Partial) {
                break;
            }
        }
        prop_assert_eq!(last, at_once, "{}", bytes.escape_ascii());
    }

    #[test]
    fn no_bytes_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), permitted in any::<bool>()) {
        let permitted = if permitted { Leniency::ALL } else { Leniency::NONE };
        RequestHead::default().parse(&bytes, &Limits::default(), permitted).ok();
        ResponseHead::default().parse(&bytes, &Limits::default(), RequestFacts::default()).ok();
        for framing in [Framing::Chunked, Framing::Length(7), Framing::UntilClose] {
            BodyReader::new(framing, 100).unwrap().read(&bytes, &Limits::default()).ok();
        }
    }

    /// A path that was spelled is spelled the same again, has no dot segment and no double meaning.
    #[test]
    fn spelling_ends(path in "/([a-z.;/]|[.]|[.][.]|/|[.]/|%2e|%2E|%2f|%25|%41|%c3%a9|%C0){0,14}", permitted in any::<bool>()) {
        let permitted = if permitted { Leniency::ALL } else { Leniency::NONE };
        let mut once = Vec::new();
        if normalise(path.as_bytes(), permitted, &mut once).is_ok() {
            let mut twice = Vec::new();
            prop_assert!(normalise(&once, permitted, &mut twice).is_ok(), "{}", once.escape_ascii());
            prop_assert_eq!(&once, &twice);
            prop_assert_eq!(once.first(), Some(&b'/'));
            prop_assert!(!once.starts_with(b"//"), "{}", once.escape_ascii());
            let dotted = once.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."));
            prop_assert!(!dotted, "{}", once.escape_ascii());
        }
    }

    /// A response that passes is written so that it passes again with the same framing.
    #[test]
    fn a_response_is_sent_on_as_one(
        status in 100u16..600,
        fields in prop::collection::vec(prop_oneof![usual_field(), field()], 0..5),
        head_request in any::<bool>(),
    ) {
        let bytes = format!("HTTP/1.1 {status} Some Reason\r\n{}\r\n", fields.concat()).into_bytes();
        let to = RequestFacts { head: head_request, upgrade: true };
        let mut head = ResponseHead::default();
        if let Ok(Parsed::Complete { .. }) = head.parse(&bytes, &Limits::default(), to) {
            let mut out = Vec::new();
            write::response(&mut out, &head, &bytes, &ResponseOut::of(&head, Version::Http11, true));
            let mut again = ResponseHead::default();
            let parsed = again.parse(&out, &Limits::default(), to);
            prop_assert_eq!(parsed, Ok(Parsed::Complete { head_len: out.len() }), "{}", out.escape_ascii());
            prop_assert_eq!(again.status(), head.status());
            let expected = if head.framing() == Framing::UntilClose { Framing::Chunked } else { head.framing() };
            prop_assert_eq!(again.framing(), expected);
        }
    }
}

#[test]
fn the_generator_makes_requests_that_pass() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let passed = (0..1000).filter(|_| {
        let bytes = request().new_tree(&mut runner).unwrap().current();
        !codec_sees(&bytes).is_empty()
    });
    let passed = passed.count();
    assert!((200..950).contains(&passed), "{passed} of 1000 pass: the comparison shows little");
}
