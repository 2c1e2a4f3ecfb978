//! Limits on either side, reuse, and what the accessors say.

use super::{Parsed, RequestHead, Upgrade};
use crate::http1::{Cause, Leniency, Limits, Method, Version};

fn parse(text: &str, limits: &Limits) -> Result<Parsed, Cause> {
    RequestHead::default()
        .parse(text.as_bytes(), limits, Leniency::NONE)
        .map_err(|refusal| refusal.cause)
}

fn whole(text: &str) -> Result<Parsed, Cause> {
    Ok(Parsed::Complete { head_len: text.len() })
}

fn read(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    let parsed = head.parse(text.as_bytes(), &Limits::default(), Leniency::NONE);
    assert_eq!(parsed, Ok(Parsed::Complete { head_len: text.len() }), "{text}");
    head
}

#[test]
fn limits_hold_on_either_side() {
    let text = "GET /123 HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n";
    let exact = Limits { head_bytes: text.len(), fields: 2, target_bytes: 4, ..Limits::default() };
    assert_eq!(parse(text, &exact), whole(text));
    let less = |change: fn(&mut Limits)| {
        let mut limits = exact.clone();
        change(&mut limits);
        parse(text, &limits)
    };
    assert_eq!(less(|limits| limits.head_bytes -= 1), Err(Cause::HeadTooLarge));
    assert_eq!(less(|limits| limits.fields -= 1), Err(Cause::TooManyFields));
    assert_eq!(less(|limits| limits.target_bytes -= 1), Err(Cause::TargetTooLong));
}

#[test]
fn empty_lines_are_forgiven_up_to_their_limit() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (lines, right) in [(0, true), (1, true), (2, true), (3, false)] {
        let text = format!("{}{request}", "\r\n".repeat(lines));
        let expected = if right { whole(&text) } else { Err(Cause::EmptyLines) };
        assert_eq!(parse(&text, &Limits::default()), expected, "{lines}");
    }
    let none = Limits { empty_lines: 0, ..Limits::default() };
    assert_eq!(parse(&format!("\r\n{request}"), &none), Err(Cause::EmptyLines));
}

#[test]
fn a_head_starts_anew_after_each_end() {
    let limits = Limits::default();
    let mut head = RequestHead::default();
    let long = b"GET /a?b HTTP/1.0\r\nHost: a:1\r\nConnection: x-a\r\nX-A: b\r\nX_B: c\r\n\r\n";
    let short = b"GET / HTTP/1.1\r\nHost: b\r\n\r\n";
    for _ in 0..2 {
        head.parse(long, &limits, Leniency::NONE).unwrap();
        assert_eq!(
            (head.fields().list().len(), head.port(), head.keep_alive()),
            (4, Some(1), false)
        );
        assert!(head.forgiven().has(Leniency::UNDERSCORE_NAMES));
        // Refused, and dropped half-way: neither leaves anything behind.
        head.parse(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", &limits, Leniency::NONE).unwrap_err();
        assert_eq!(
            head.parse(b"POST /x HTTP/1.1\r\nX-", &limits, Leniency::NONE),
            Ok(Parsed::Partial)
        );
        head.clear();
        head.parse(short, &limits, Leniency::NONE).unwrap();
        assert_eq!((head.fields().list().len(), head.port(), head.keep_alive()), (1, None, true));
        assert_eq!((head.host(short), head.query(short)), (&b"b"[..], None));
        assert!(head.forgiven().is_none());
    }
}

/// What the lists have room for, and where they stand.
fn rooms(head: &RequestHead) -> (usize, usize, usize, *const u8) {
    (
        head.nominated.capacity(),
        head.spelled.capacity(),
        head.fields.list().len(),
        head.spelled.as_ptr(),
    )
}

#[test]
fn a_warm_head_allocates_nothing() {
    let buf =
        b"GET /a/../%62 HTTP/1.1\r\nHost: a\r\nConnection: x-a, x-b\r\nX-A: 1\r\nX-B: 2\r\n\r\n";
    let mut head = RequestHead::default();
    head.parse(buf, &Limits::default(), Leniency::NONE).unwrap();
    let (before, list) = (rooms(&head), head.fields.list().as_ptr());
    for _ in 0..100 {
        head.parse(buf, &Limits::default(), Leniency::NONE).unwrap();
    }
    assert_eq!((before, list), (rooms(&head), head.fields.list().as_ptr()));
}

#[test]
fn a_host_is_told_without_port_and_final_dot() {
    for (value, host, port, authority) in [
        ("Shop.Example", "Shop.Example", None, "Shop.Example"),
        ("shop.example.", "shop.example", None, "shop.example."),
        ("shop.example.:80", "shop.example", Some(80), "shop.example.:80"),
        ("shop.example:", "shop.example", None, "shop.example"),
        ("[::1]:8080", "[::1]", Some(8080), "[::1]:8080"),
        ("a_b-c.d:0", "a_b-c.d", Some(0), "a_b-c.d:0"),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n");
        let head = read(&text);
        let buf = text.as_bytes();
        assert_eq!(head.host(buf), host.as_bytes(), "{value}");
        assert_eq!((head.port(), head.authority(buf)), (port, authority.as_bytes()), "{value}");
    }
}

#[test]
fn a_connection_stays_as_both_say() {
    for (version, connection, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: close, keep-alive\r\n", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        assert_eq!(read(&text).keep_alive(), stays, "{text}");
    }
}

#[test]
fn an_upgrade_is_one_protocol_that_is_asked_for() {
    for (protocol, expected) in [
        ("websocket", Upgrade::WebSocket),
        ("WebSocket", Upgrade::WebSocket),
        ("websocket/13", Upgrade::Other),
        ("spdy/3.1", Upgrade::Other),
        ("h2c", Upgrade::None),
        ("h2", Upgrade::None),
        ("HTTP/2.0", Upgrade::None),
        ("TLS/1.2", Upgrade::None),
        ("websocket, spdy", Upgrade::None),
        ("", Upgrade::None),
        ("a b", Upgrade::None),
    ] {
        let text = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        );
        assert_eq!(read(&text).upgrade(), expected, "{protocol}");
    }
}

#[test]
fn values_of_a_name_come_in_order_whatever_its_case() {
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\nx-a: 1\r\nX-B: 2\r\nX-A: 3\r\nTE: gzip;q=1, Trailers\r\n\r\n";
    let head = read(text);
    let values: Vec<_> = head.fields().values(text.as_bytes(), b"X-a").collect();
    assert_eq!(values, [b"1", b"3"]);
    assert!(head.accepts_trailers(text.as_bytes()));
    assert_eq!((head.method(), head.version()), (Method::Get, Version::Http11));
}

#[test]
fn what_may_be_asked_twice_is_known() {
    for (method, safe, idempotent) in [
        ("GET", true, true),
        ("HEAD", true, true),
        ("OPTIONS", true, true),
        ("PUT", false, true),
        ("DELETE", false, true),
        ("POST", false, false),
        ("PATCH", false, false),
        ("PROPFIND", false, false),
    ] {
        let method = Method::read(method.as_bytes()).unwrap();
        assert_eq!((method.is_safe(), method.is_idempotent()), (safe, idempotent), "{method:?}");
    }
}

#[test]
fn a_route_answers_for_what_it_does_not_forgive() {
    let all: Vec<_> = Leniency::names().collect();
    assert_eq!(Leniency::ALL.iter().collect::<Vec<_>>(), all);
    for (name, target, cause) in [
        ("raw-target", "/\u{e9}", Some(Cause::TargetNonAscii)),
        ("raw-target", "/<", Some(Cause::TargetCharacter)),
        ("loose-query", "/?%", Some(Cause::PercentInvalid)),
        ("loose-query", "/?%00", Some(Cause::EncodedNul)),
        ("encoded-slash", "/a%2fb", Some(Cause::EncodedSlash)),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut head = RequestHead::default();
        head.parse(text.as_bytes(), &Limits::default(), Leniency::ALL).unwrap();
        assert_eq!(head.forgiven().iter().collect::<Vec<_>>(), [name], "{target}");
        let refused = Leniency::NONE.check(head.forgiven());
        assert_eq!(refused.err().map(|refusal| refusal.cause), cause, "{target}");
        assert_eq!(Leniency::by_name(name).unwrap().check(head.forgiven()), Ok(()), "{target}");
    }
}
