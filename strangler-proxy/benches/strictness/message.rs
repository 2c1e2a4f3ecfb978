//! A reader of messages that shares nothing with the proxy's: what an origin and a client that take every rule of framing
//! at its word make of the bytes.

/// A whole message.
#[derive(Debug, Clone, Default)]
pub struct Message {
    pub line: Vec<u8>,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What stands at the front of the bytes.
#[derive(Debug)]
pub enum Read {
    /// A message of so many bytes.
    Whole(Message, usize),
    /// The beginning of one.
    Partial,
    /// Nothing that may be read in one way only.
    Malformed(&'static str),
}

#[derive(Clone, Copy)]
enum Ends {
    At(usize),
    Chunked,
    /// With the connection.
    Close,
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl Message {
    /// Every value of the field.
    pub fn values(&self, name: &[u8]) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(one, _)| one.eq_ignore_ascii_case(name));
        named.map(|(_, value)| &value[..]).collect()
    }

    /// The three digits of a status line.
    pub fn status(&self) -> u16 {
        let digits = self.line.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }
}

/// A request at the front of what an origin was sent.
pub fn request(bytes: &[u8]) -> Read {
    one(bytes, |message| {
        let words: Vec<&[u8]> = message.line.split(|byte| *byte == b' ').collect();
        let [_, target, version] = words[..] else { return Err("a request line of other words") };
        if target.is_empty() || !matches!(version, b"HTTP/1.1" | b"HTTP/1.0") {
            return Err("a request line of other words");
        }
        let hosts = message.values(b"Host").len();
        if hosts > 1 || hosts == 0 && version == b"HTTP/1.1" {
            return Err("not one Host");
        }
        framing(message).map(|ends| ends.unwrap_or(Ends::At(0)))
    })
}

/// A response at the front of what a client was sent; `ended` says that nothing follows.
pub fn response(bytes: &[u8], is_head: bool, ended: bool) -> Read {
    let read = one(bytes, |message| {
        if !message.line.starts_with(b"HTTP/1.") || message.status() < 100 {
            return Err("no status line");
        }
        let ends = framing(message)?;
        if is_head || matches!(message.status(), 100..=199 | 204 | 304) {
            return Ok(Ends::At(0));
        }
        Ok(ends.unwrap_or(Ends::Close))
    });
    match read {
        Read::Whole(message, usize::MAX) if ended => Read::Whole(message, bytes.len()),
        Read::Whole(_, usize::MAX) => Read::Partial,
        read => read,
    }
}

fn one(bytes: &[u8], ends: impl Fn(&Message) -> Result<Ends, &'static str>) -> Read {
    let (mut message, head) = match head(bytes) {
        Ok(Some(head)) => head,
        Ok(None) => return Read::Partial,
        Err(why) => return Read::Malformed(why),
    };
    match ends(&message) {
        Err(why) => Read::Malformed(why),
        Ok(Ends::Close) => {
            message.body = bytes[head..].to_vec();
            Read::Whole(message, usize::MAX)
        }
        Ok(Ends::At(length)) => match bytes.get(head..head.saturating_add(length)) {
            Some(body) => {
                message.body = body.to_vec();
                Read::Whole(message, head + length)
            }
            None => Read::Partial,
        },
        Ok(Ends::Chunked) => match chunks(&bytes[head..], &mut message) {
            Ok(Some(length)) => Read::Whole(message, head + length),
            Ok(None) => Read::Partial,
            Err(why) => Read::Malformed(why),
        },
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

fn head(bytes: &[u8]) -> Result<Option<(Message, usize)>, &'static str> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let line = find(bytes, b"\r\n").unwrap_or(end);
    let message = Message {
        line: clean(&bytes[..line])?.to_vec(),
        fields: fields(bytes.get(line + 2..end + 2).unwrap_or_default())?,
        ..Message::default()
    };
    Ok(Some((message, end + 4)))
}

/// Bytes of a line, without what could end one elsewhere.
fn clean(line: &[u8]) -> Result<&[u8], &'static str> {
    match line.iter().find(|byte| matches!(byte, b'\r' | b'\n' | b'\0')) {
        Some(_) => Err("CR, LF or NUL inside a line"),
        None => Ok(line),
    }
}

fn fields(section: &[u8]) -> Result<Pairs, &'static str> {
    let mut pairs = Vec::new();
    let mut rest = section;
    while !rest.is_empty() {
        let end = find(rest, b"\r\n").ok_or("a field line without end")?;
        let line = clean(&rest[..end])?;
        let colon = line.iter().position(|byte| *byte == b':').ok_or("a field without colon")?;
        let name = &line[..colon];
        let is_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || !name.iter().all(is_token) {
            return Err("a field name that is no token");
        }
        pairs.push((name.to_vec(), line[colon + 1..].trim_ascii().to_vec()));
        rest = &rest[end + 2..];
    }
    Ok(pairs)
}

fn framing(message: &Message) -> Result<Option<Ends>, &'static str> {
    let (lengths, codings) =
        (message.values(b"Content-Length"), message.values(b"Transfer-Encoding"));
    if !lengths.is_empty() && !codings.is_empty() {
        return Err("a length and a coding");
    }
    if let Some(last) = codings.last() {
        let last = last.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
        let is_chunked = last.eq_ignore_ascii_case(b"chunked");
        return if is_chunked {
            Ok(Some(Ends::Chunked))
        } else {
            Err("a coding that does not end")
        };
    }
    let [length] = lengths[..] else {
        return if lengths.is_empty() { Ok(None) } else { Err("several lengths") };
    };
    if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
        return Err("a length that is no number");
    }
    let length = std::str::from_utf8(length).ok().and_then(|digits| digits.parse().ok());
    Ok(Some(Ends::At(length.unwrap_or(usize::MAX))))
}

/// Takes chunks in; how long all of it is.
fn chunks(bytes: &[u8], message: &mut Message) -> Result<Option<usize>, &'static str> {
    let mut at = 0;
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let line = clean(&bytes[at..at + end])?;
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits.trim_ascii_end()).unwrap_or_default();
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = usize::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        let size = size.ok_or("a chunk size that is no number")?;
        at += end + 2;
        if size == 0 {
            break;
        }
        let Some(chunk) = bytes.get(at..at.saturating_add(size)) else { return Ok(None) };
        message.body.extend(chunk);
        at += size;
        match bytes.get(at..at + 2) {
            None => return Ok(None),
            Some(b"\r\n") => at += 2,
            Some(_) => return Err("a chunk of another length"),
        }
    }
    if bytes[at..].starts_with(b"\r\n") {
        return Ok(Some(at + 2));
    }
    let Some(end) = find(&bytes[at..], b"\r\n\r\n") else { return Ok(None) };
    message.trailers = fields(&bytes[at..at + end + 2])?;
    Ok(Some(at + end + 4))
}
