//! The line of a chunk: its size and its extensions, which are checked, counted and left behind (RFC 9112 7.1).

use super::{
    cause::Cause,
    scan::{self, TOKEN},
};

/// A line of a chunk size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeLine {
    pub size: u64,
    /// Bytes of the whole line.
    pub length: usize,
    pub extension_bytes: u64,
}

/// Hexadecimal digits of a size; zeros at the front count, too.
const DIGITS_MAX: usize = 16;

/// Reads the line at the front of `text`; nothing while it is right but not whole.
#[inline]
pub(super) fn size_line(text: &[u8], bytes_max: usize) -> Result<Option<SizeLine>, Cause> {
    let mut size = 0u64;
    let mut digits = 0;
    for digit in text.iter().map_while(|byte| scan::hex(*byte)) {
        if digits == DIGITS_MAX {
            return Err(Cause::ChunkSizeOverflow);
        }
        size = size << 4 | u64::from(digit);
        digits += 1;
    }
    match text.get(digits..).unwrap_or_default() {
        [] | [b'\r'] if digits == 0 && !text.is_empty() => Err(Cause::ChunkSizeInvalid),
        [] => Ok(None),
        _ if digits == 0 => Err(Cause::ChunkSizeInvalid),
        [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(SizeLine { size, length: digits + 2, extension_bytes: 0 })),
        [b'\r' | b'\n', ..] => Err(Cause::ChunkTerminator),
        [b';' | b' ' | b'\t', ..] => with_extensions(text, size, digits, bytes_max),
        _ => Err(Cause::ChunkSizeInvalid),
    }
}

/// Where in `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted ) ] )` one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Gap,
    NameGap,
    Name,
    NameEnd,
    ValueGap,
    Token,
    Quoted,
    Escape,
    QuotedEnd,
}

#[cold]
fn with_extensions(
    text: &[u8],
    size: u64,
    digits: usize,
    bytes_max: usize,
) -> Result<Option<SizeLine>, Cause> {
    let mut state = In::Gap;
    for (at, byte) in text.iter().enumerate().skip(digits) {
        if at >= bytes_max {
            return Err(Cause::ChunkLineTooLong);
        }
        if *byte == b'\r' && matches!(state, In::Name | In::Token | In::QuotedEnd) {
            return match text.get(at + 1) {
                None => Ok(None),
                Some(b'\n') => {
                    let extension_bytes = (at - digits) as u64;
                    Ok(Some(SizeLine { size, length: at + 2, extension_bytes }))
                }
                Some(_) => Err(Cause::ChunkTerminator),
            };
        }
        if *byte == b'\n' {
            return Err(Cause::ChunkTerminator);
        }
        state = step(state, *byte).ok_or(Cause::ChunkExtension)?;
    }
    Ok(None)
}

fn step(state: In, byte: u8) -> Option<In> {
    let token = scan::is(byte, TOKEN);
    Some(match (state, byte) {
        (In::Quoted, b'"') => In::QuotedEnd,
        (In::Quoted, b'\\') => In::Escape,
        (In::Quoted | In::Escape, b'\t' | b' '..=b'~' | 0x80..) => In::Quoted,
        (In::Gap | In::NameGap | In::NameEnd | In::ValueGap, b' ' | b'\t') => state,
        (In::Gap | In::Name | In::NameEnd | In::Token | In::QuotedEnd, b';') => In::NameGap,
        (In::NameGap | In::Name, _) if token => In::Name,
        (In::Name, b' ' | b'\t') => In::NameEnd,
        (In::Name | In::NameEnd, b'=') => In::ValueGap,
        (In::ValueGap | In::Token, _) if token => In::Token,
        (In::ValueGap, b'"') => In::Quoted,
        (In::Token | In::QuotedEnd, b' ' | b'\t') => In::Gap,
        _ => return None,
    })
}
