//! Any bytes as a body: the same payload and the same end whole and in pieces; what is read is written so that it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strangler_proxy::http1::{BodyReader, Cause, Event, Framing, Limits, write};

/// The payload, the bytes used and whether the body was whole.
fn read(framing: Framing, bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Cause> {
    let limits = Limits::default();
    let mut reader = BodyReader::new(framing, 1 << 20)?;
    let (mut payload, mut at, mut come) = (Vec::new(), 0, step.min(bytes.len()));
    loop {
        let here = bytes.get(at..come).unwrap_or_default();
        let piece = reader.read(here, &limits)?;
        assert!(piece.payload.end <= piece.consumed || piece.payload.is_empty());
        payload
            .extend_from_slice(here.get(piece.payload.clone()).expect("payload is in the input"));
        at += piece.consumed;
        match piece.event {
            Event::End { .. } => return Ok((payload, at, true)),
            Event::Again => {}
            Event::More if come == bytes.len() => return Ok((payload, at, false)),
            Event::More => come = come.saturating_add(step).min(bytes.len()),
        }
    }
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (settings, step, bytes) = input;
    let framing = match settings % 3 {
        0 => Framing::Length(u64::from(settings)),
        _ => Framing::Chunked,
    };
    let at_once = read(framing, bytes, usize::MAX);
    assert_eq!(read(framing, bytes, usize::from(step).max(1)), at_once);
    let Ok((payload, _, true)) = at_once else { return };
    let mut out = Vec::new();
    for part in payload.chunks(usize::from(step).max(1)) {
        write::chunk_size(&mut out, part.len() as u64);
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    write::last_chunk(&mut out);
    assert_eq!(read(Framing::Chunked, &out, usize::MAX), Ok((payload, out.len(), true)));
});
