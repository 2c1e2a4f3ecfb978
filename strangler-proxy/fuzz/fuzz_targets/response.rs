//! Any bytes as a response head: the same end whole and in pieces; what passes is written so that it passes again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strangler_proxy::http1::{
    Framing, Limits, Parsed, RequestFacts, ResponseHead, Version,
    write::{self, ResponseOut},
};

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (settings, step, bytes) = input;
    let to = RequestFacts { head: settings & 1 != 0, upgrade: settings & 2 != 0 };
    let limits = Limits::default();
    let mut head = ResponseHead::default();
    let at_once = head.parse(bytes, &limits, to);
    let mut pieces = ResponseHead::default();
    let mut last = Ok(Parsed::Partial);
    let step = usize::from(step).max(1);
    for end in (step..bytes.len()).step_by(step).chain([bytes.len()]) {
        last = pieces.parse(bytes.get(..end).unwrap_or_default(), &limits, to);
        if last != Ok(Parsed::Partial) {
            break;
        }
    }
    assert_eq!(last, at_once);
    let Ok(Parsed::Complete { .. }) = at_once else { return };
    let mut out = Vec::new();
    write::response(&mut out, &head, bytes, &ResponseOut::of(&head, Version::Http11, true));
    let limits = Limits { head_bytes: 1 << 20, fields: 1000, ..limits };
    let mut again = ResponseHead::default();
    assert_eq!(again.parse(&out, &limits, to), Ok(Parsed::Complete { head_len: out.len() }));
    let framing = head.framing();
    let sent = if framing == Framing::UntilClose { Framing::Chunked } else { framing };
    assert_eq!((again.framing(), again.status()), (sent, head.status()));
});
