//! Heads as they are sent on, to the byte.

use crate::http1::{
    Edits, Framing, Leniency, Limits, Parsed, RequestFacts, RequestHead, ResponseHead, Version,
    write::{self, Announce, Delivery, Forwarding, RequestOut, ResponseOut, Scheme},
};

const CLIENT: Forwarding<'static> = Forwarding {
    client: b"192.0.2.1",
    scheme: Scheme::Http,
    trusted: false,
    announce: Announce::Nothing,
};

fn request(text: &str, change: impl FnOnce(&mut RequestOut<'_>)) -> String {
    request_edited(text, Edits::none(), change)
}

fn request_edited(text: &str, edits: &Edits, change: impl FnOnce(&mut RequestOut<'_>)) -> String {
    let buf = text.as_bytes();
    let mut head = RequestHead::default();
    let parsed = head.parse(buf, &Limits::default(), Leniency::NONE);
    assert_eq!(parsed, Ok(Parsed::Complete { head_len: buf.len() }), "{text}");
    let mut with = RequestOut::of(&head, buf, b"me", CLIENT);
    with.edits = edits;
    change(&mut with);
    let mut out = Vec::new();
    write::request(&mut out, &head, buf, &with);
    String::from_utf8(out).unwrap()
}

fn response(text: &str, to: RequestFacts, change: impl FnOnce(&mut ResponseOut<'_>)) -> String {
    response_edited(text, to, Edits::none(), change)
}

fn response_edited(
    text: &str,
    to: RequestFacts,
    edits: &Edits,
    change: impl FnOnce(&mut ResponseOut<'_>),
) -> String {
    let buf = text.as_bytes();
    let mut head = ResponseHead::default();
    let parsed = head.parse(buf, &Limits::default(), to);
    assert_eq!(parsed, Ok(Parsed::Complete { head_len: buf.len() }), "{text}");
    let mut with = ResponseOut::of(&head, Version::Http11, true);
    with.edits = edits;
    change(&mut with);
    let mut out = Vec::new();
    write::response(&mut out, &head, buf, &with);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_request_is_sent_on_with_what_a_gateway_owes() {
    let came = "GET /a?b HTTP/1.1\r\nX-A: 1\r\nHost: shop.example\r\nConnection: keep-alive\r\nX-B:2\r\nX-C: 3 \r\nX-D: 4\r\n\r\n";
    assert_eq!(
        request(came, |_| ()),
        "GET /a?b HTTP/1.1\r\nHost: shop.example\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\nX-D: 4\r\nVia: 1.1 me\r\n\r\n"
    );
}

#[test]
fn a_route_rewrites_target_host_and_fields() {
    let mut edits = Edits::default();
    edits.set("X-Side", "to").unwrap();
    edits.set("Accept", "text/plain").unwrap();
    edits.remove("x-secret").unwrap();
    edits.remove("Cookie").unwrap();
    let came = "GET /a HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nX-Secret: 1\r\nCookie: a\r\nX-Side: no\r\nX-B: 2\r\n\r\n";
    let sent = request_edited(came, &edits, |with| {
        with.path = b"/v2/a";
        with.query = Some(b"q=1");
        with.host = b"inventory:9000";
        with.close = true;
        with.traceparent = Some(b"00-1-2-01");
    });
    assert_eq!(
        sent,
        "GET /v2/a?q=1 HTTP/1.1\r\nHost: inventory:9000\r\nX-B: 2\r\nVia: 1.1 me\r\ntraceparent: 00-1-2-01\r\n\
         Connection: close\r\nX-Side: to\r\nAccept: text/plain\r\n\r\n"
    );
}

#[test]
fn a_body_of_another_framing_is_announced_so() {
    let came = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTrailer: X-Sum\r\n\r\n";
    let chunked = request(came, |with| with.framing = Framing::Chunked);
    assert!(
        chunked.contains("\r\nTransfer-Encoding: chunked\r\n")
            && chunked.contains("Trailer: X-Sum")
    );
    assert!(!chunked.contains("Content-Length"), "{chunked}");
    let shorter = request(came, |with| with.framing = Framing::Length(3));
    assert!(
        shorter.contains("\r\nContent-Length: 3\r\n") && !shorter.contains("Trailer"),
        "{shorter}"
    );
    let none = request(came, |with| with.framing = Framing::None);
    assert!(!none.contains("Content-Length"), "{none}");
}

#[test]
fn the_client_is_told_of_in_each_way() {
    let came = "GET / HTTP/1.1\r\nHost: shop.example:81\r\nForwarded: for=10.0.0.1\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
    let told = |announce, trusted, client: &'static [u8]| {
        let sent = request(came, |with| {
            with.forwarding = Forwarding { client, scheme: Scheme::Https, trusted, announce };
        });
        sent.split_once("Via: 1.1 me\r\n").unwrap().1.trim_end().replace("\r\n", "|")
    };
    for (announce, trusted, client, expected) in [
        (Announce::Nothing, false, &b"::1"[..], ""),
        (
            Announce::XForwarded,
            false,
            b"::1",
            "X-Forwarded-For: ::1|X-Forwarded-Proto: https|X-Forwarded-Host: shop.example:81",
        ),
        (
            Announce::XForwarded,
            true,
            b"::1",
            "X-Forwarded-For: 10.0.0.1, ::1|X-Forwarded-Proto: https|X-Forwarded-Host: shop.example:81",
        ),
        (
            Announce::Forwarded,
            false,
            b"::1",
            "Forwarded: for=\"[::1]\";host=\"shop.example:81\";proto=https",
        ),
        (
            Announce::Forwarded,
            true,
            b"192.0.2.1",
            "Forwarded: for=10.0.0.1, for=192.0.2.1;host=\"shop.example:81\";proto=https",
        ),
    ] {
        assert_eq!(told(announce, trusted, client), expected, "{announce:?} {trusted}");
    }
}

#[test]
fn a_request_passes_trailers_on_when_asked() {
    let came = "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    assert!(
        request(came, |with| with.trailers = true)
            .ends_with("TE: trailers\r\nConnection: TE\r\n\r\n")
    );
    assert!(!request(came, |_| ()).contains("TE"));
}

#[test]
fn a_response_is_sent_on_with_what_a_gateway_owes() {
    let came = "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nX-A: 1\r\n\r\n";
    assert_eq!(
        response(came, RequestFacts::default(), |_| ()),
        "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-A: 1\r\n\r\n"
    );
    let mut edits = Edits::default();
    edits.set("X-Side", "to").unwrap();
    edits.remove("X-A").unwrap();
    let sent = response_edited(came, RequestFacts::default(), &edits, |with| {
        with.keep_alive = false;
        with.pseudonym = Some(b"me");
        with.date = Some(b"Thu, 01 Jan 1970 00:00:00 GMT");
        with.delivery = Delivery::Length(7);
    });
    assert_eq!(
        sent,
        "HTTP/1.1 200 Fine\r\nContent-Length: 7\r\nVia: 1.1 me\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Side: to\r\n\
         Connection: close\r\n\r\n"
    );
}

#[test]
fn via_tells_in_which_version_a_message_was_received() {
    let via = |sent: String| {
        let (_, behind) = sent.split_once("Via: ").unwrap();
        behind.split_once("\r\n").unwrap().0.to_owned()
    };
    for (over_http2, version, said) in
        [(false, "1.0", "1.0 me"), (false, "1.1", "1.1 me"), (true, "1.1", "2 me")]
    {
        let came = format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n");
        assert_eq!(via(request(&came, |with| with.over_http2 = over_http2)), said);
        let came = format!("HTTP/{version} 204 No\r\n\r\n");
        let change = |with: &mut ResponseOut<'_>| {
            with.over_http2 = over_http2;
            with.pseudonym = Some(b"me");
        };
        assert_eq!(via(response(&came, RequestFacts::default(), change)), said);
    }
}

#[test]
fn a_date_that_is_there_stays() {
    let came = "HTTP/1.1 204 No\r\nDate: then\r\n\r\n";
    let sent = response(came, RequestFacts::default(), |with| with.date = Some(b"now"));
    assert_eq!(sent, "HTTP/1.1 204 No\r\nDate: then\r\n\r\n");
}

#[test]
fn numbers_are_written_whole() {
    for number in [0, 1, 9, 10, 255, 65536, u64::MAX] {
        let mut out = Vec::new();
        write::number(&mut out, number);
        write::chunk_size(&mut out, number);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{number}{number:x}\r\n"));
    }
}
