//! `Connection`: what it says of the connection, and which fields it takes out of the message (RFC 9110 7.6.1).

use super::{
    cause::Cause,
    fields::{Fields, NOMINATED},
    limits::NOMINATED_MAX,
    name::{Known, same},
    scan,
    span::Span,
};

/// The options of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
}

/// Reads the options and marks the fields that they nominate. `nominated` is scratch room.
#[inline]
pub(super) fn options(
    fields: &mut Fields,
    buf: &[u8],
    nominated: &mut Vec<Span>,
) -> Result<Options, Cause> {
    let mut options = Options::default();
    nominated.clear();
    // What every browser sends.
    if !fields.repeats(Known::Connection) {
        match fields.get(Known::Connection) {
            None => return Ok(options),
            Some(field) if same(field.value.of(buf), b"keep-alive") => {
                options.keep_alive = true;
                return Ok(options);
            }
            Some(_) => {}
        }
    }
    for field in fields.all(Known::Connection) {
        let mut at = field.value.start as usize;
        for element in field.value.of(buf).split(|byte| *byte == b',') {
            let end = at + element.len();
            let option = scan::trim(element);
            if !option.is_empty() {
                let padding =
                    element.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                let place = Span::new(at + padding, at + padding + option.len());
                note(&mut options, option, place, nominated)?;
            }
            at = end + 1;
        }
    }
    if options.close || !nominated.is_empty() {
        mark(fields, buf, nominated, options.close);
    }
    Ok(options)
}

fn note(
    options: &mut Options,
    option: &[u8],
    place: Span,
    nominated: &mut Vec<Span>,
) -> Result<(), Cause> {
    if !scan::is_token(option) {
        return Err(Cause::ConnectionInvalid);
    }
    if same(option, b"close") {
        options.close = true;
        return Ok(());
    }
    match Known::recognise(option) {
        Known::KeepAlive => options.keep_alive = true,
        Known::Upgrade => options.upgrade = true,
        Known::Other if nominated.len() >= NOMINATED_MAX => return Err(Cause::ConnectionTooMany),
        Known::Other => nominated.push(place),
        known if known.may_be_nominated() => {}
        _ => return Err(Cause::ConnectionNominates),
    }
    Ok(())
}

#[cold]
fn mark(fields: &mut Fields, buf: &[u8], nominated: &[Span], closes: bool) {
    for field in fields.list_mut().iter_mut().filter(|field| field.known == Known::Other) {
        let name = field.name.of(buf);
        // `close` is an option and a reserved name of a field.
        if closes && same(name, b"close") || nominated.iter().any(|one| same(one.of(buf), name)) {
            field.marks |= NOMINATED;
        }
    }
}
