//! The least gateway around the codec: reads messages from bytes that come in steps, writes what goes to the other side, and
//! reads that again to see it.

use std::fmt;

use super::format::Case;
use strangler_proxy::http1::{
    BodyReader, Cause, Event, Field, Fields, Framing, Leniency, Limits, Parsed, RequestFacts,
    RequestHead, ResponseHead, Upgrade, Version,
    write::{self, Announce, Forwarding, RequestOut, ResponseOut, Scheme},
};

/// What came of one message.
#[derive(Debug)]
pub enum Saw {
    /// It reached the other side.
    Passed(Box<Passed>),
    /// It was refused.
    Refused(Cause),
    /// The proxy has to answer it.
    Final,
    /// It was not whole.
    Partial,
}

/// A message as the other side sees it.
#[derive(Default)]
pub struct Passed {
    pub line: Vec<u8>,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the connection that it came on stays open.
    pub keep_alive: bool,
}

impl Passed {
    pub fn values(&self, name: &[u8]) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(one, _)| one.eq_ignore_ascii_case(name));
        named.map(|(_, value)| &value[..]).collect()
    }
}

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line.escape_ascii())?;
        for (name, value) in &self.fields {
            write!(f, " | {}: {}", name.escape_ascii(), value.escape_ascii())?;
        }
        write!(f, " | body {} | keep {}", self.body.escape_ascii(), self.keep_alive)
    }
}

/// The bytes of a connection, of which the first come at once and the rest in steps.
struct Wire<'a> {
    all: &'a [u8],
    begin: usize,
    come: usize,
    step: usize,
}

impl<'a> Wire<'a> {
    fn new(all: &'a [u8], step: usize) -> Self {
        Self { all, begin: 0, come: step.min(all.len()), step }
    }

    fn here(&self) -> &'a [u8] {
        &self.all[self.begin..self.come]
    }

    /// Lets more bytes come; tells whether there were any.
    fn more(&mut self) -> bool {
        let before = self.come;
        self.come = self.come.saturating_add(self.step).min(self.all.len());
        self.come > before
    }
}

/// The messages of `case` that come out, as requests.
pub fn requests(case: &Case, step: usize) -> Vec<Saw> {
    let mut wire = Wire::new(&case.bytes, step);
    each(&mut wire, |wire| request(case, wire))
}

/// The messages of `case` that come out, as responses.
pub fn responses(case: &Case, step: usize) -> Vec<Saw> {
    let mut wire = Wire::new(&case.bytes, step);
    each(&mut wire, |wire| response(case, wire))
}

fn each(wire: &mut Wire<'_>, mut one: impl FnMut(&mut Wire<'_>) -> Result<Saw, Cause>) -> Vec<Saw> {
    let mut seen = Vec::new();
    while wire.begin < wire.all.len() || seen.is_empty() {
        match one(wire) {
            Ok(saw @ (Saw::Passed(_) | Saw::Final)) => seen.push(saw),
            Ok(saw) => {
                seen.push(saw);
                return seen;
            }
            Err(cause) => {
                seen.push(Saw::Refused(cause));
                return seen;
            }
        }
    }
    seen
}

fn request(case: &Case, wire: &mut Wire<'_>) -> Result<Saw, Cause> {
    let limits = Limits::default();
    let allowed = allowed(case);
    let mut head = RequestHead::default();
    let head_len = loop {
        match head.parse(wire.here(), &limits, Leniency::ALL).map_err(|refusal| refusal.cause)? {
            Parsed::Complete { head_len } => break head_len,
            Parsed::Partial if wire.more() => {}
            Parsed::Partial => return Ok(Saw::Partial),
        }
    };
    let buf = &wire.all[wire.begin..wire.come];
    allowed.check(head.forgiven()).map_err(|refusal| refusal.cause)?;
    head.check_loop(buf, b"strangler-test").map_err(|refusal| refusal.cause)?;
    let body = BodyReader::new(head.framing(), u64::MAX)?;
    let mut body = body.forgetting_trailers(head.nominates());
    wire.begin += head_len;
    let mut passed = Passed { keep_alive: head.keep_alive(), ..Passed::default() };
    if !payload(&mut body, wire, false, &mut passed)? {
        return Ok(Saw::Partial);
    }
    if head.max_forwards() == Some(0) {
        return Ok(Saw::Final);
    }
    let forwarding = Forwarding {
        client: b"192.0.2.17",
        scheme: Scheme::Http,
        trusted: set(case, "trusted"),
        announce: Announce::XForwarded,
    };
    let mut with = RequestOut::of(&head, buf, b"strangler-test", forwarding);
    with.upgrade = set(case, "upgrade");
    with.keep_underscores = allowed.has(Leniency::UNDERSCORE_NAMES);
    let mut out = Vec::new();
    write::request(&mut out, &head, buf, &with);
    see_request(&out, &mut passed, &head);
    Ok(Saw::Passed(Box::new(passed)))
}

/// Reads what was written as strictly as what came.
fn see_request(out: &[u8], passed: &mut Passed, came: &RequestHead) {
    let mut again = RequestHead::default();
    let permitted = Leniency::LOOSE_QUERY.with(Leniency::ENCODED_SLASH);
    // A head of HTTP/1.0 may have no host; the engine then names the upstream.
    let named = out.replace_empty_host();
    // What is added must not count against what the client may send.
    let limits =
        Limits { fields: 200, head_bytes: 64 * 1024, target_bytes: 32 * 1024, ..Limits::default() };
    let parsed = again.parse(&named, &limits, permitted);
    let shown = out.escape_ascii();
    assert_eq!(parsed, Ok(Parsed::Complete { head_len: named.len() }), "{shown}");
    assert_eq!(again.framing(), came.framing(), "{shown}");
    let named_head = |head: &RequestHead| head.upgrade() != Upgrade::None;
    assert!(named_head(came) || !named_head(&again), "{shown}");
    read_fields(out, again.fields(), &named, passed);
}

trait ReplaceEmptyHost {
    fn replace_empty_host(&self) -> Vec<u8>;
}

impl ReplaceEmptyHost for [u8] {
    fn replace_empty_host(&self) -> Vec<u8> {
        let empty = b"\r\nHost: \r\n";
        let Some(at) = self.windows(empty.len()).position(|part| part == empty) else {
            return self.to_vec();
        };
        [&self[..at], b"\r\nHost: upstream\r\n", &self[at + empty.len()..]].concat()
    }
}

fn response(case: &Case, wire: &mut Wire<'_>) -> Result<Saw, Cause> {
    let limits = Limits::default();
    let facts = RequestFacts { head: set(case, "to HEAD"), upgrade: set(case, "upgrade") };
    let client = if set(case, "client 1.0") { Version::Http10 } else { Version::Http11 };
    let mut head = ResponseHead::default();
    let head_len = loop {
        match head.parse(wire.here(), &limits, facts).map_err(|bad| bad.cause)? {
            Parsed::Complete { head_len } => break head_len,
            Parsed::Partial if wire.more() => {}
            Parsed::Partial => return Ok(Saw::Partial),
        }
    };
    let buf = &wire.all[wire.begin..wire.come];
    let body = BodyReader::new(head.framing(), u64::MAX)?;
    let mut body = body.forgetting_trailers(head.nominates());
    wire.begin += head_len;
    let mut passed = Passed { keep_alive: head.keep_alive(), ..Passed::default() };
    if !payload(&mut body, wire, set(case, "eof"), &mut passed)? {
        return Ok(Saw::Partial);
    }
    let mut out = Vec::new();
    write::response(&mut out, &head, buf, &ResponseOut::of(&head, client, true));
    let mut again = ResponseHead::default();
    let parsed = again.parse(&out, &Limits::default(), facts);
    let shown = out.escape_ascii();
    assert_eq!(parsed, Ok(Parsed::Complete { head_len: out.len() }), "{shown}");
    if client == Version::Http11 && head.framing() != Framing::UntilClose {
        assert_eq!(again.framing(), head.framing(), "{shown}");
    }
    read_fields(&out, again.fields(), &out, &mut passed);
    Ok(Saw::Passed(Box::new(passed)))
}

fn read_fields(out: &[u8], fields: &Fields, buf: &[u8], passed: &mut Passed) {
    let end = out.iter().position(|byte| *byte == b'\r').unwrap();
    passed.line = out[..end].to_vec();
    passed.fields = pairs(fields.list(), buf);
}

fn pairs(fields: &[Field], buf: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|field| (field.name.of(buf).to_vec(), field.value.of(buf).to_vec())).collect()
}

/// Reads a body to its end; tells whether it came. Writes it in chunks and reads it back, too.
fn payload(
    body: &mut BodyReader,
    wire: &mut Wire<'_>,
    ends: bool,
    passed: &mut Passed,
) -> Result<bool, Cause> {
    let mut section = Vec::new();
    loop {
        let here = wire.here();
        let piece = body.read(here, &Limits::default())?;
        passed.body.extend(&here[piece.payload.clone()]);
        wire.begin += piece.consumed;
        match piece.event {
            Event::Again => {}
            Event::More if wire.more() => {}
            Event::More if ends => {
                body.closed()?;
                break;
            }
            Event::More => return Ok(false),
            Event::End { trailers } => {
                section.extend(&here[trailers]);
                break;
            }
        }
    }
    passed.trailers = pairs(body.trailers(), &section);
    chunked_again(&passed.body, body.trailers(), &section);
    Ok(true)
}

fn chunked_again(payload: &[u8], trailers: &[Field], section: &[u8]) {
    let mut out = Vec::new();
    for part in payload.chunks(3) {
        write::chunk_size(&mut out, part.len() as u64);
        out.extend(part);
        out.extend(b"\r\n");
    }
    write::last_chunk_with(&mut out, trailers, section);
    let mut reader = BodyReader::new(Framing::Chunked, u64::MAX).unwrap();
    let (mut at, mut read) = (0, Vec::new());
    loop {
        let piece = reader.read(&out[at..], &Limits::default()).expect("what we write, we read");
        read.extend(&out[at..][piece.payload.clone()]);
        at += piece.consumed;
        match piece.event {
            Event::Again => {}
            Event::More => panic!("what we write is whole"),
            Event::End { .. } => break,
        }
    }
    assert_eq!((read, at, reader.trailers().len()), (payload.to_vec(), out.len(), trailers.len()));
}

fn set(case: &Case, setting: &str) -> bool {
    case.settings.iter().any(|one| one == setting)
}

fn allowed(case: &Case) -> Leniency {
    let names = case.settings.iter().filter_map(|setting| setting.strip_prefix("allow "));
    names.fold(Leniency::NONE, |all, name| {
        all.with(Leniency::by_name(name).expect("a leniency's name"))
    })
}
