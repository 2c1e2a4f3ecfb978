//! Limits of bodies on either side, and the same result however the bytes come.

use super::{BodyReader, Event};
use crate::http1::{Cause, Framing, Limits};

const CHUNKED: &[u8] =
    b"5;a=\"b;c\"\r\nhello\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 1\r\nX-T: 2\r\n\r\nGET /next";

/// The payload, the bytes left and the number of trailers, with `step` more bytes at a time.
fn read(
    framing: Framing,
    bytes: &[u8],
    step: usize,
    body_max: u64,
) -> Result<(Vec<u8>, usize, usize), Cause> {
    let limits = Limits::default();
    let mut reader = BodyReader::new(framing, body_max)?;
    let (mut payload, mut at, mut come) = (Vec::new(), 0, 0);
    loop {
        let here = &bytes[at..come];
        let piece = reader.read(here, &limits)?;
        payload.extend(&here[piece.payload.clone()]);
        at += piece.consumed;
        match piece.event {
            Event::End { .. } => return Ok((payload, bytes.len() - at, reader.trailers().len())),
            Event::Again => {}
            Event::More if come == bytes.len() => {
                reader.closed()?;
                return Ok((payload, 0, 0));
            }
            Event::More => come = (come + step).min(bytes.len()),
        }
    }
}

#[test]
fn chunks_are_the_same_in_any_pieces() {
    for step in 1..=CHUNKED.len() {
        let whole = Ok((b"hello0123456789".to_vec(), b"GET /next".len(), 2));
        assert_eq!(read(Framing::Chunked, CHUNKED, step, 100), whole, "{step}");
    }
}

#[test]
fn a_length_is_kept() {
    for step in 1..8 {
        assert_eq!(read(Framing::Length(5), b"hellonext", step, 5).unwrap().0, b"hello");
        assert_eq!(read(Framing::Length(6), b"hello", step, 6), Err(Cause::CutShort));
        assert_eq!(read(Framing::UntilClose, b"hello", step, 5).unwrap().0, b"hello");
    }
    let mut reader = BodyReader::new(Framing::Length(0), 0).unwrap();
    let piece = reader.read(b"next", &Limits::default()).unwrap();
    assert_eq!((piece.consumed, piece.event), (0, Event::End { trailers: 0..0 }));
    assert!(reader.is_done() && reader.closed().is_ok());
}

#[test]
fn a_body_is_not_longer_than_its_limit() {
    let cases: [(Framing, &[u8], u64); 3] = [
        (Framing::Length(5), b"hello", 5),
        (Framing::Chunked, b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 5),
        (Framing::UntilClose, b"hello", 5),
    ];
    for (framing, bytes, length) in cases {
        assert_eq!(read(framing, bytes, 100, length).unwrap().0, b"hello", "{framing:?}");
        assert_eq!(read(framing, bytes, 100, length - 1), Err(Cause::BodyTooLarge), "{framing:?}");
    }
    // Before a byte of it has come.
    let mut reader = BodyReader::new(Framing::Chunked, 4).unwrap();
    assert_eq!(reader.read(b"5\r\n", &Limits::default()), Err(Cause::BodyTooLarge));
}

#[test]
fn a_large_chunk_comes_in_several_pieces() {
    let mut reader = BodyReader::new(Framing::Chunked, u64::MAX).unwrap();
    let limits = Limits::default();
    let first = reader.read(b"ff\r\nabc", &limits).unwrap();
    assert_eq!((first.consumed, first.payload, first.event), (7, 4..7, Event::More));
    let second = reader.read(&[b'x'; 252], &limits).unwrap();
    assert_eq!((second.consumed, second.payload, second.event), (252, 0..252, Event::More));
    let last = reader.read(b"\r\n0\r\n\r\n", &limits).unwrap();
    assert_eq!((last.consumed, last.payload, last.event), (7, 0..0, Event::End { trailers: 5..7 }));
}

#[test]
fn two_chunks_in_one_input_are_two_pieces() {
    let mut reader = BodyReader::new(Framing::Chunked, u64::MAX).unwrap();
    let limits = Limits::default();
    let input = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let first = reader.read(input, &limits).unwrap();
    assert_eq!((first.consumed, first.payload, first.event), (11, 3..6, Event::Again));
    let second = reader.read(&input[11..], &limits).unwrap();
    assert_eq!((second.payload, second.event), (0..2, Event::End { trailers: 7..9 }));
}

#[test]
fn limits_of_lines_and_trailers_hold_on_either_side() {
    let limits = Limits {
        chunk_line_bytes: 12,
        chunk_extension_bytes: 10,
        trailer_bytes: 16,
        fields: 2,
        ..Limits::default()
    };
    let check = |body: &str| {
        let mut reader = BodyReader::new(Framing::Chunked, u64::MAX).unwrap();
        let mut rest = body.as_bytes();
        loop {
            let piece = reader.read(rest, &limits)?;
            match piece.event {
                Event::End { .. } => return Ok(()),
                Event::Again => rest = &rest[piece.consumed..],
                Event::More => return Err(Cause::CutShort),
            }
        }
    };
    assert_eq!(check("0;aaaaaaaaa\r\n\r\n"), Ok(()));
    assert_eq!(check("0;aaaaaaaaaa\r\n\r\n"), Err(Cause::ChunkLineTooLong));
    assert_eq!(check("1;aaaa\r\nx\r\n0;aaaa\r\n\r\n"), Ok(()));
    assert_eq!(check("1;aaaa\r\nx\r\n0;aaaaa\r\n\r\n"), Err(Cause::ChunkExtension));
    assert_eq!(check("0\r\nX-A: 123456789\r\n\r\n"), Err(Cause::TrailersTooLarge));
    assert_eq!(check("0\r\nX-A: 1234567\r\n\r\n"), Ok(()));
    assert_eq!(check("0\r\na:\r\nb:\r\n\r\n"), Ok(()));
    assert_eq!(check("0\r\na:\r\nb:\r\nc:\r\n\r\n"), Err(Cause::TrailersTooLarge));
}
