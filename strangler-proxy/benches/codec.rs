//! Nanoseconds of the HTTP/1.1 codec on usual messages: `cargo bench -p strangler-proxy --bench codec [-- PART OF A NAME]`.
#![allow(clippy::print_stdout, clippy::panic, reason = "a program that prints its findings")]

use std::{hint::black_box, time::Instant};

use strangler_proxy::http1::{
    BodyReader, Event, Framing, Leniency, Limits, Parsed, RequestFacts, RequestHead, ResponseHead,
    Version,
    write::{self, Announce, Forwarding, RequestOut, ResponseOut, Scheme},
};

/// What a load generator sends.
const SMALL: &[u8] =
    b"GET /v1/stock/85123A HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

/// What a browser sends, without cookies: 304 bytes.
const BROWSER: &[u8] =
    b"GET /v1/products?page=2&sort=price HTTP/1.1\r\nHost: shop.example:8080\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\r\n\
Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";

/// What a browser sends to a page that it knows well.
const COOKIES: &[u8] = b"POST /v1/carts/0199aa/lines HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive\r\n\
Content-Length: 61\r\nsec-ch-ua-platform: \"Linux\"\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36\r\n\
sec-ch-ua: \"Chromium\";v=\"128\", \"Not;A=Brand\";v=\"24\"\r\nContent-Type: application/json\r\n\
sec-ch-ua-mobile: ?0\r\nAccept: */*\r\nOrigin: https://shop.example\r\nSec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://shop.example/cart\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=all; ab=variant-b; \
_ga=GA1.1.1234567890.1720000000; cart=0199aa11-7e3c-7a65-b4c3-2f8d1c6e9a10\r\n\r\n";

/// A path that must be spelled anew.
const DOTTED: &[u8] =
    b"GET /v1/./stock/%38%35123A/../85123A HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

/// What an application answers.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 200\r\n\
Date: Tue, 04 Aug 2026 10:00:00 GMT\r\nCache-Control: no-store\r\nX-Request-Id: 0199aa11-7e3c-7a65\r\n\r\n";

/// Rounds of one figure; the best of several is printed, since the rest is the machine's noise.
const ROUNDS: u32 = 200_000;
const TRIES: u32 = 7;

fn measure(what: &str, mut work: impl FnMut()) {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if !wanted.is_empty() && !wanted.iter().any(|word| what.contains(word.as_str())) {
        return;
    }
    let mut best = f64::MAX;
    for _ in 0..TRIES {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        best = best.min(started.elapsed().as_secs_f64());
    }
    println!("{what:<44} {:>8.1} ns", best * 1e9 / f64::from(ROUNDS));
}

fn requests(limits: &Limits) {
    let all = [("small", SMALL), ("browser", BROWSER), ("cookies", COOKIES), ("dotted", DOTTED)];
    for (name, bytes) in all {
        let mut head = RequestHead::default();
        measure(&format!("read request, {name}, {} bytes", bytes.len()), || {
            let parsed = head.parse(black_box(bytes), limits, Leniency::NONE);
            assert!(matches!(parsed, Ok(Parsed::Complete { .. })));
            black_box(&head);
        });
        let mut out = Vec::with_capacity(4096);
        measure(&format!("write request, {name}, {} bytes", bytes.len()), || {
            out.clear();
            let forwarding = Forwarding {
                client: b"192.0.2.17",
                scheme: Scheme::Https,
                trusted: false,
                announce: Announce::XForwarded,
            };
            let mut with = RequestOut::of(&head, black_box(bytes), b"strangler-1f2e", forwarding);
            with.traceparent = Some(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
            write::request(&mut out, &head, bytes, &with);
            black_box(&out);
        });
    }
}

fn responses(limits: &Limits) {
    let mut head = ResponseHead::default();
    measure(&format!("read response, {} bytes", ANSWER.len()), || {
        let parsed = head.parse(black_box(ANSWER), limits, RequestFacts::default());
        assert!(matches!(parsed, Ok(Parsed::Complete { .. })));
        black_box(&head);
    });
    let mut out = Vec::with_capacity(4096);
    measure(&format!("write response, {} bytes", ANSWER.len()), || {
        out.clear();
        let with = ResponseOut::of(&head, Version::Http11, true);
        write::response(&mut out, &head, black_box(ANSWER), &with);
        black_box(&out);
    });
}

fn bodies(limits: &Limits) {
    let mut chunked = Vec::new();
    for size in [1024u64, 8192, 7168] {
        write::chunk_size(&mut chunked, size);
        chunked.extend(std::iter::repeat_n(b'x', usize::try_from(size).unwrap_or_default()));
        chunked.extend_from_slice(b"\r\n");
    }
    write::last_chunk(&mut chunked);
    measure("read body, 3 chunks, 16 KiB", || {
        let Ok(mut reader) = BodyReader::new(Framing::Chunked, u64::MAX) else {
            panic!("no limit")
        };
        let mut input = black_box(&chunked[..]);
        loop {
            let Ok(piece) = reader.read(input, limits) else { panic!("a right body") };
            input = input.get(piece.consumed..).unwrap_or_default();
            if let Event::End { .. } = piece.event {
                break;
            }
        }
        black_box(&reader);
    });
}

fn main() {
    let limits = Limits::default();
    requests(&limits);
    responses(&limits);
    bodies(&limits);
}
