//! One case over real sockets: what its client and its upstream got to see.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{
    format::Case,
    message::{self, Message, Read},
    origin::{MARK, Origin, PROBE_TARGET, Script},
};

/// How long nothing must come, at first and after something came, until nothing is expected any more.
const QUIET_FIRST: Duration = Duration::from_millis(400);
const QUIET_LATER: Duration = Duration::from_millis(60);

/// What came of a case.
#[derive(Debug, Default)]
pub struct Seen {
    /// Requests that reached the upstream whole.
    pub requests: Vec<Message>,
    /// Bytes reached the upstream that no origin may read, and why.
    pub malformed: Option<&'static str>,
    /// Answers that the client got, without informational ones.
    pub answers: Vec<Message>,
    /// Informational answers.
    pub interim: Vec<Message>,
    /// The client got bytes that are no answer, and why.
    pub garbage: Option<&'static str>,
    /// The client got the beginning of an answer and no more.
    pub cut: bool,
    /// The proxy has closed the client's connection.
    pub closed: bool,
    /// The answer to a request that was sent after the case on a new connection.
    pub probe: Option<Message>,
}

impl Seen {
    /// Is this answer the upstream's?
    pub fn is_origins(answer: &Message) -> bool {
        !answer.values(MARK).is_empty()
    }
}

/// Sends the requests of the case.
pub fn requests(case: &Case, proxy: &str, origin: &Origin) -> Seen {
    origin.begin(Script::Plain);
    let (bytes, closed) = talk(proxy, &case.bytes);
    let mut seen = Seen { closed, ..Seen::default() };
    read_answers(&bytes, &heads(&case.bytes), &mut seen);
    for came in origin.came() {
        let mut rest = &came[..];
        loop {
            match message::request(rest) {
                Read::Whole(request, length) => {
                    seen.requests.push(request);
                    rest = &rest[length..];
                }
                Read::Partial => break,
                Read::Malformed(why) => {
                    seen.malformed = Some(why);
                    break;
                }
            }
        }
    }
    seen
}

/// Asks once, has the upstream answer with the case's bytes, and then asks for something else.
pub fn responses(case: &Case, proxy: &str, origin: &Origin) -> Seen {
    let is = |setting: &str| case.settings.iter().any(|one| one == setting);
    origin.begin(Script::Raw { bytes: case.bytes.clone(), ends: is("eof") });
    let method = if is("to HEAD") { "HEAD" } else { "GET" };
    let version = if is("client 1.0") { "1.0" } else { "1.1" };
    let upgrade = if is("upgrade") {
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    } else {
        ""
    };
    let request = format!("{method} / HTTP/{version}\r\nHost: shop.example\r\n{upgrade}\r\n");
    let (bytes, closed) = talk(proxy, request.as_bytes());
    let mut seen = Seen { closed, ..Seen::default() };
    read_answers(&bytes, &[is("to HEAD")], &mut seen);
    let mut probe = b"GET ".to_vec();
    probe.extend(PROBE_TARGET);
    probe.extend(b" HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    let (bytes, _) = talk(proxy, &probe);
    if let Read::Whole(answer, _) = message::response(&bytes, false, true) {
        seen.probe = Some(answer);
    }
    seen
}

/// Sends the bytes, and what comes back until the proxy closes or falls silent; and whether it closed.
fn talk(proxy: &str, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let sent = bytes.to_vec();
    // Apart, since a proxy that refuses may stop reading.
    let writer = thread::spawn(move || drop(writing.write_all(&sent)));
    let (mut came, mut buffer) = (Vec::new(), vec![0_u8; 64 * 1024]);
    let closed = loop {
        let quiet = if came.is_empty() { QUIET_FIRST } else { QUIET_LATER };
        stream.set_read_timeout(Some(quiet)).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(count) => came.extend(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break false;
            }
            Err(_reset) => break true,
        }
    };
    drop(stream.shutdown(std::net::Shutdown::Both));
    writer.join().unwrap();
    (came, closed)
}

/// Which of the requests are `HEAD`, as far as they can be read.
fn heads(bytes: &[u8]) -> Vec<bool> {
    let (mut heads, mut rest) = (vec![bytes.starts_with(b"HEAD ")], bytes);
    while let Read::Whole(_, length) = message::request(rest) {
        rest = &rest[length..];
        heads.push(rest.starts_with(b"HEAD "));
    }
    heads
}

fn read_answers(bytes: &[u8], heads: &[bool], seen: &mut Seen) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let is_head = heads.get(seen.answers.len()).copied().unwrap_or_default();
        match message::response(rest, is_head, seen.closed) {
            Read::Whole(answer, length) => {
                rest = &rest[length..];
                let is_interim = matches!(answer.status(), 100 | 102..=199);
                let is_last = answer.status() == 101;
                if is_interim { &mut seen.interim } else { &mut seen.answers }.push(answer);
                if is_last {
                    return;
                }
            }
            Read::Partial => {
                seen.cut = true;
                return;
            }
            Read::Malformed(why) => {
                seen.garbage = Some(why);
                return;
            }
        }
    }
}
