//! Where a message ends: `Content-Length`, `Transfer-Encoding`, or neither (RFC 9112 6).

use super::{
    cause::Cause,
    fields::Fields,
    leniency::Leniency,
    name::{Known, same},
    scan,
};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, and a last one of no bytes.
    Chunked,
    /// All until the upstream closes. Responses only.
    UntilClose,
}

/// The protocol version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// What the fields say of the framing, before the rules of the message's kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared {
    pub length: Option<u64>,
    pub chunked: bool,
    pub used: Leniency,
}

/// Reads `Content-Length` and `Transfer-Encoding`, and refuses whatever two readers might understand in two ways.
pub(super) fn declared(
    fields: &Fields,
    buf: &[u8],
    version: Version,
    permitted: Leniency,
) -> Result<Declared, Cause> {
    let mut found = Declared::default();
    if fields.seen().has(Known::ContentLength) {
        (found.length, found.used) = length(fields, buf, permitted)?;
    }
    if fields.seen().has(Known::TransferEncoding) {
        if version == Version::Http10 {
            return Err(Cause::CodingInOldVersion);
        }
        if found.length.is_some() {
            return Err(Cause::LengthWithCoding);
        }
        codings(fields, buf)?;
        found.chunked = true;
    }
    Ok(found)
}

fn length(
    fields: &Fields,
    buf: &[u8],
    permitted: Leniency,
) -> Result<(Option<u64>, Leniency), Cause> {
    let value = fields.value(buf, Known::ContentLength).unwrap_or_default();
    let listed = value.contains(&b',');
    if !listed && !fields.repeats(Known::ContentLength) {
        return Ok((Some(number(value)?), Leniency::NONE));
    }
    let mut only = None;
    for field in fields.all(Known::ContentLength) {
        for element in field.value.of(buf).split(|byte| *byte == b',') {
            let number = number(scan::trim(element))?;
            if *only.get_or_insert(number) != number || !permitted.has(Leniency::REPEATED_LENGTH) {
                return Err(Cause::LengthRepeated);
            }
        }
    }
    Ok((only, Leniency::REPEATED_LENGTH))
}

/// Leading zeros are refused with the rest: some read them as octal.
fn number(text: &[u8]) -> Result<u64, Cause> {
    if text.len() > 1 && text.first() == Some(&b'0') {
        return Err(Cause::LengthInvalid);
    }
    scan::decimal(text).ok_or(Cause::LengthInvalid)
}

/// The only coding that is understood is one `chunked`. Which cause the others get depends on where `chunked` stands.
fn codings(fields: &Fields, buf: &[u8]) -> Result<(), Cause> {
    let mut chunked = 0;
    let mut unknown = false;
    let mut last_is_chunked = false;
    for field in fields.all(Known::TransferEncoding) {
        for element in field.value.of(buf).split(|byte| *byte == b',') {
            let coding = scan::trim(element);
            let name = coding.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next();
            let name = name.unwrap_or_default();
            if !scan::is_token(name) {
                return Err(Cause::CodingInvalid);
            }
            last_is_chunked = same(name, b"chunked");
            if last_is_chunked && name.len() != coding.len() {
                return Err(Cause::CodingInvalid);
            }
            chunked += u8::from(last_is_chunked && chunked < 2);
            unknown |= !last_is_chunked;
        }
    }
    match (chunked, last_is_chunked, unknown) {
        (1, true, false) => Ok(()),
        (2.., ..) => Err(Cause::CodingRepeated),
        (1, false, _) => Err(Cause::CodingNotLast),
        (_, _, _) => Err(Cause::CodingUnknown),
    }
}
