//! Frames by hand: what breaks a rule of RFC 9113 costs the stream or the connection, and reaches no upstream.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    proxied::Proxied,
    raw::{Peer, Upstream, get, ok},
};

const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
pub const BOTH: u8 = END_STREAM | END_HEADERS;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field that no table keeps, uncompressed.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0];
    for text in [name, value] {
        assert!(text.len() < 127, "a length of one byte");
        block.push(text.len() as u8);
        block.extend(text.bytes());
    }
    block
}

pub fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    list.iter().flat_map(|(name, value)| field(name, value)).collect()
}

pub const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")];

/// `GET` with other or more fields; an empty value leaves one out.
fn with(changed: &[(&str, &str)]) -> Vec<u8> {
    let mut list = GET.to_vec();
    for (name, value) in changed {
        list.retain(|(known, _)| known != name || !name.starts_with(':'));
        let place = if name.starts_with(':') { 0 } else { list.len() };
        if !value.is_empty() {
            list.insert(place, (name, value));
        }
    }
    frame(HEADERS, BOTH, 1, &fields(&list))
}

/// A client that begins, with a `GET` in which this is changed.
pub fn hello(changed: &[(&str, &str)]) -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[]), &with(changed)].concat()
}

/// What the proxy did about it.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Did {
    /// The connection was ended with this code.
    Goaway(u32),
    /// The stream was.
    Reset(u32),
    /// The stream was answered with this status.
    Status(u16),
    /// The connection ended without a word.
    Closed,
}

/// Reads frames until one says what became of it.
pub fn what_it_did(peer: &mut Peer) -> Did {
    loop {
        let Ok(head) = peer.exactly(9) else { return Did::Closed };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Ok(payload) = peer.exactly(length) else { return Did::Closed };
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match head[3] {
            GOAWAY => return Did::Goaway(code(4)),
            RST_STREAM => return Did::Reset(code(0)),
            HEADERS => return Did::Status(status(&payload)),
            _ => {}
        }
    }
}

/// The first field of an answer is its status: one byte of the static table, or a literal.
fn status(block: &[u8]) -> u16 {
    // A change of the table's size may stand before it.
    let block = if block[0] & 0xe0 == 0x20 { &block[1..] } else { block };
    match block[0] {
        indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        // Literal with the name of the table; the digits are Huffman coded in two bytes or stand as they are.
        _ if block[1] & 0x80 == 0 => std::str::from_utf8(&block[2..5]).unwrap().parse().unwrap(),
        _ => digits(&block[2..2 + usize::from(block[1] & 0x7f)]),
    }
}

/// Huffman codes of digits (RFC 7541, appendix B).
fn digits(coded: &[u8]) -> u16 {
    let mut bits =
        coded.iter().flat_map(|byte| (0..8).rev().map(move |at| u32::from(byte >> at & 1)));
    let mut next = |count: usize| bits.by_ref().take(count).fold(0, |sum, bit| sum << 1 | bit);
    let mut number = 0;
    for _ in 0..3 {
        let five = next(5);
        let digit = if five < 3 { five } else { (five << 1 | next(1)) - 0x19 + 3 };
        number = number * 10 + digit;
    }
    number as u16
}

struct Counting {
    proxy: Proxied,
    asked: Arc<AtomicUsize>,
    _upstream: Upstream,
}

fn counting() -> Counting {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let upstream = Upstream::answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        ok("well")
    });
    Counting { proxy: Proxied::to(upstream.address), asked, _upstream: upstream }
}

fn did(proxy: &Proxied, bytes: &[u8]) -> Did {
    let mut peer = proxy.connect();
    peer.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
    // The proxy may end the connection before all of it is written.
    drop(peer.try_send(bytes));
    what_it_did(&mut peer)
}

const PROTOCOL: u32 = 1;
const FLOW: u32 = 3;
const CLOSED: u32 = 5;
const SIZE: u32 = 6;
const COMPRESSION: u32 = 9;
const CALM: u32 = 11;

/// What is sent, and the codes that RFC 9113 has for it.
type Broken = (&'static str, Vec<u8>, &'static [u32]);

fn frames() -> Vec<Broken> {
    vec![
        ("data on no stream", frame(DATA, 0, 0, b"x"), &[PROTOCOL]),
        ("data on an idle stream", frame(DATA, 0, 1, b"x"), &[PROTOCOL]),
        ("a head on no stream", frame(HEADERS, BOTH, 0, &fields(&GET)), &[PROTOCOL]),
        ("a stream of the server's", frame(HEADERS, BOTH, 2, &fields(&GET)), &[PROTOCOL]),
        (
            "a stream that goes back",
            [
                frame(HEADERS, BOTH, 5, &fields(&[(":method", "x")])),
                frame(HEADERS, BOTH, 3, &fields(&GET)),
            ]
            .concat(),
            &[PROTOCOL, CLOSED],
        ),
        ("settings of an odd length", frame(SETTINGS, 0, 0, &[0; 5]), &[SIZE]),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[]), &[PROTOCOL]),
        (
            "an acknowledgement that says something",
            frame(SETTINGS, 1, 0, &[0; 6]),
            &[SIZE, PROTOCOL],
        ),
        (
            "a window that is too large",
            frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]),
            &[FLOW],
        ),
        ("frames that are too small", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]), &[PROTOCOL]),
        (
            "push that is neither on nor off",
            frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]),
            &[PROTOCOL],
        ),
        ("a ping of seven bytes", frame(PING, 0, 0, &[0; 7]), &[SIZE]),
        ("a ping on a stream", frame(PING, 0, 1, &[0; 8]), &[PROTOCOL]),
        ("a window that grows by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), &[PROTOCOL]),
        ("a window that overflows", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), &[FLOW]),
        ("an update of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), &[SIZE]),
        ("a frame that is too long", frame(PING, 0, 0, &[0; 16_385]), &[SIZE]),
    ]
}

fn heads_and_bodies() -> Vec<Broken> {
    let begun = || frame(HEADERS, 0, 1, &fields(&GET));
    let opened = |flags| frame(HEADERS, flags, 1, &fields(&GET));
    vec![
        ("an end of no stream", frame(RST_STREAM, 0, 0, &[0; 4]), &[PROTOCOL]),
        ("an end of an idle stream", frame(RST_STREAM, 0, 1, &[0; 4]), &[PROTOCOL]),
        ("a going away on a stream", frame(GOAWAY, 0, 1, &[0; 8]), &[PROTOCOL]),
        ("a push of the client's", frame(PUSH_PROMISE, END_HEADERS, 1, &[0; 8]), &[PROTOCOL]),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &[]), &[PROTOCOL]),
        ("something within a head", [begun(), frame(PING, 0, 0, &[0; 8])].concat(), &[PROTOCOL]),
        (
            "another stream's continuation",
            [begun(), frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
            &[PROTOCOL],
        ),
        ("an index that no table has", frame(HEADERS, BOTH, 1, &[0x80]), &[COMPRESSION]),
        ("a text that ends early", frame(HEADERS, BOTH, 1, &[0, 5, b'a']), &[COMPRESSION]),
        ("more padding than frame", frame(HEADERS, BOTH | PADDED, 1, &[200, 1]), &[PROTOCOL]),
        (
            "a head without an end",
            [begun(), frame(CONTINUATION, 0, 1, &[]).repeat(20_000)].concat(),
            &[CALM, PROTOCOL],
        ),
        (
            "more data than the window lets",
            [opened(END_HEADERS), frame(DATA, 0, 1, &[0; 16_384]).repeat(80)].concat(),
            &[FLOW],
        ),
        (
            "data in the smallest pieces",
            [opened(END_HEADERS), frame(DATA, 0, 1, &[]).repeat(20_000)].concat(),
            &[CALM],
        ),
    ]
}

#[test]
fn a_connection_that_breaks_the_rules_is_ended_with_the_right_code() {
    let shop = counting();
    let mut wrong = Vec::new();
    for (what, bytes, codes) in frames().into_iter().chain(heads_and_bodies()) {
        let did = did(&shop.proxy, &bytes);
        // `h2` says PROTOCOL_ERROR for some that have a code of their own. The connection ends all the same.
        let codes = [codes, &[PROTOCOL]].concat();
        let is_right = codes.iter().any(|code| did == Did::Goaway(*code));
        // A stream's window is the stream's own.
        let is_stream = codes.contains(&FLOW) && did == Did::Reset(FLOW);
        if !is_right && !is_stream {
            wrong.push(format!("{what}: {did:?}, not {codes:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(shop.proxy.ask(get("/")).status(), 200, "others are served");
}

#[test]
fn a_request_that_breaks_the_rules_costs_its_stream_and_reaches_nobody() {
    let shop = counting();
    let mut wrong = Vec::new();
    let sent = |list: &[(&str, &str)], data: &[&[u8]]| {
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &fields(&[&GET[..], list].concat()));
        for (at, piece) in data.iter().enumerate() {
            bytes.extend(frame(DATA, u8::from(at + 1 == data.len()), 1, piece));
        }
        bytes
    };
    let ended = |list: &[(&str, &str)]| {
        let opened = frame(HEADERS, END_HEADERS, 1, &fields(&GET));
        [opened, frame(DATA, 0, 1, b"hi"), frame(HEADERS, BOTH, 1, &fields(list))].concat()
    };
    for (what, bytes) in [
        ("a name in capitals", with(&[("X-A", "b")])),
        ("an empty name", with(&[("", "b")])),
        ("a name with a space", with(&[("a b", "c")])),
        ("a value with a line end", with(&[("a", "b\r\nc: d")])),
        ("a value with NUL", with(&[("a", "b\0")])),
        ("a value with a space before it", with(&[("a", " b")])),
        ("a value with a tab behind it", with(&[("a", "b\t")])),
        ("connection", with(&[("connection", "close")])),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")])),
        ("upgrade", with(&[("upgrade", "h2c")])),
        ("keep-alive", with(&[("keep-alive", "1")])),
        ("te that wants more than trailers", with(&[("te", "gzip")])),
        ("no method", with(&[(":method", "")])),
        ("no scheme", with(&[(":scheme", "")])),
        ("no path", with(&[(":path", "")])),
        ("an unknown scheme", with(&[(":scheme", "ftp")])),
        ("a status", with(&[(":status", "200")])),
        ("an unknown pseudo-field", with(&[(":what", "x")])),
        (
            "a path twice",
            frame(HEADERS, BOTH, 1, &fields(&[&GET[..], &[(":path", "/b")]].concat())),
        ),
        (
            "a pseudo-field behind a field",
            frame(HEADERS, BOTH, 1, &fields(&[("a", "b"), GET[0], GET[1], GET[2], GET[3]])),
        ),
        ("a path that is none", with(&[(":path", "b")])),
        ("a length without a body", with(&[("content-length", "5")])),
        ("less than the length", sent(&[("content-length", "5")], &[b"hi"])),
        ("more than the length", sent(&[("content-length", "1")], &[b"hi"])),
        ("a length that is none", sent(&[("content-length", "+2")], &[b"hi"])),
        ("two lengths", sent(&[("content-length", "2"), ("content-length", "3")], &[b"hi"])),
        ("trailers in capitals", ended(&[("X-A", "b")])),
        ("trailers with a line end", ended(&[("a", "b\r\nc: d")])),
        ("trailers with a space before a value", ended(&[("a", " b")])),
        ("trailers of the connection", ended(&[("connection", "close")])),
        ("trailers that frame", ended(&[("transfer-encoding", "chunked")])),
        ("trailers with a length", ended(&[("content-length", "2")])),
        ("trailers with a host", ended(&[("host", "b")])),
        ("trailers that let somebody in", ended(&[("authorization", "b")])),
        ("a host twice", with(&[("host", "a"), ("host", "a")])),
        ("a protocol that is not asked for", with(&[(":protocol", "websocket")])),
    ] {
        let did = did(&shop.proxy, &bytes);
        let codes = [Did::Reset(PROTOCOL), Did::Goaway(PROTOCOL), Did::Status(400)];
        if !codes.contains(&did) {
            wrong.push(format!("{what}: {did:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(shop.asked.load(Ordering::SeqCst), 0, "none of them reached the upstream");
}

#[test]
fn the_rules_of_the_engine_hold_for_streams() {
    let shop = counting();
    for (what, changed, status) in [
        ("as it should be", &[][..], 200),
        ("an unknown method", &[(":method", "get")][..], 501),
        ("trace", &[(":method", "TRACE")], 405),
        ("the preface again", &[(":method", "PRI")], 505),
        ("above the root", &[(":path", "/../../etc")], 400),
        ("an encoded slash", &[(":path", "/a%2fb")], 400),
        ("an encoded NUL", &[(":path", "/a%00")], 400),
        ("a backslash", &[(":path", "/a\\b")], 400),
        ("another host", &[("host", "b")], 400),
        ("no host", &[(":authority", "")], 400),
        ("a user", &[(":authority", "u@a")], 400),
        ("an unknown expectation", &[("expect", "wonders")], 417),
        ("a name that is nearly another", &[("content_length", "3")], 400),
        ("been here before", &[("via", "1.1 strangler-proxy")], 508),
        ("been here before over HTTP/2", &[("via", "2 strangler-proxy")], 508),
        ("another one's, of another version", &[("via", "2 others, 2.0 more")], 200),
        ("a priority, which says nothing", &[("priority", "u=1")], 200),
    ] {
        assert_eq!(did(&shop.proxy, &with(changed)), Did::Status(status), "{what}");
    }
    let connect =
        frame(HEADERS, END_HEADERS, 1, &fields(&[(":method", "CONNECT"), (":authority", "a:1")]));
    assert_eq!(did(&shop.proxy, &connect), Did::Status(405));
    assert_eq!(shop.asked.load(Ordering::SeqCst), 3);
}

#[test]
fn what_may_be_ignored_is() {
    let shop = counting();
    let mut bytes = Vec::new();
    bytes.extend(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]));
    bytes.extend(frame(0x42, 0xff, 7, b"an extension"));
    bytes.extend(frame(SETTINGS, 0, 0, &[0x7f, 0x7f, 0, 0, 0, 1]));
    bytes.extend(frame(PING, 1, 0, b"nobodys!"));
    // Each of them is answered; none is kept.
    bytes.extend(frame(PING, 0, 0, &[0; 8]).repeat(2000));
    bytes.extend(frame(SETTINGS, 0, 0, &[]).repeat(200));
    bytes.extend(with(&[]));
    assert_eq!(did(&shop.proxy, &bytes), Did::Status(200));
}

#[test]
fn who_only_talks_of_the_connection_is_sent_away() {
    let shop = counting();
    for (what, frame) in [
        ("windows", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("an extension", frame(0x42, 0, 0, b"")),
    ] {
        let bytes = frame.repeat(12 * 1024 * 1024 / frame.len());
        let did = did(&shop.proxy, &bytes);
        // What is still on its way may make the system throw the last word away.
        assert!(matches!(did, Did::Goaway(CALM) | Did::Closed), "{what}: {did:?}");
    }
    assert_eq!(shop.proxy.ask(get("/")).status(), 200, "others are served");
}

#[test]
fn a_preface_is_served_only_where_that_is_wanted_and_only_as_the_first_thing() {
    let upstream = Upstream::echo();
    let hello = hello(&[]);
    let on = Proxied::to(upstream.address);
    // In the smallest pieces too.
    let mut peer = on.connect();
    hello.iter().for_each(|byte| peer.send([*byte]));
    assert_eq!(what_it_did(&mut peer), Did::Status(200));
    for bytes in ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut peer = on.connect();
        drop(peer.try_send(bytes));
        assert_eq!(peer.answer().status(), 505);
    }
    let mut peer = on.connect();
    assert_eq!(peer.ask(get("/")).status(), 200);
    drop(peer.try_send(PREFACE));
    assert_eq!(peer.answer().status(), 505, "HTTP/1.1 was spoken before");
    let off = Proxied::with(upstream.address, "client.http2 = false");
    let mut peer = off.connect();
    drop(peer.try_send(&hello));
    assert_eq!(peer.answer().status(), 505);
}
