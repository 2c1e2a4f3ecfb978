//! Any bytes as a request head: the same end whole and in pieces; what passes is written so that it passes again, as one
//! request with the same framing and nothing after it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strangler_proxy::http1::{
    Leniency, Limits, Parsed, RequestHead,
    write::{self, Announce, Forwarding, RequestOut, Scheme},
};

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (settings, step, bytes) = input;
    let permitted = if settings & 1 == 0 { Leniency::NONE } else { Leniency::ALL };
    let limits = Limits::default();
    let mut head = RequestHead::default();
    let at_once = head.parse(bytes, &limits, permitted);
    let mut pieces = RequestHead::default();
    let mut last = Ok(Parsed::Partial);
    let step = usize::from(step).max(1);
    for end in (step..bytes.len()).step_by(step).chain([bytes.len()]) {
        last = pieces.parse(bytes.get(..end).unwrap_or_default(), &limits, permitted);
        if last != Ok(Parsed::Partial) {
            break;
        }
    }
    assert_eq!(last, at_once);
    let Ok(Parsed::Complete { head_len }) = at_once else { return };
    assert!(head_len <= bytes.len());
    let forwarding = Forwarding {
        client: b"2001:db8::1",
        scheme: Scheme::Https,
        trusted: settings & 2 != 0,
        announce: Announce::Both,
    };
    let mut with = RequestOut::of(&head, bytes, b"fuzz", forwarding);
    with.upgrade = settings & 4 != 0 && with.upgrade;
    with.keep_underscores = settings & 8 != 0;
    if with.host.is_empty() {
        with.host = b"upstream";
    }
    let mut out = Vec::new();
    write::request(&mut out, &head, bytes, &with);
    let limits = Limits { head_bytes: 1 << 20, target_bytes: 1 << 20, fields: 1000, ..limits };
    let mut again = RequestHead::default();
    let permitted = Leniency::LOOSE_QUERY.with(Leniency::ENCODED_SLASH);
    assert_eq!(again.parse(&out, &limits, permitted), Ok(Parsed::Complete { head_len: out.len() }));
    assert_eq!(again.framing(), head.framing());
    assert_eq!(again.path(&out), head.path(bytes));
    assert_eq!(again.method(), head.method());
});
