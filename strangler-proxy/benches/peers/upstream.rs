//! An upstream that costs next to nothing: one epoll loop, one fixed answer per request.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

const LISTENER: Token = Token(0);
const LENGTH: &[u8] = b"\r\ncontent-length: ";

/// Answers every request with `body` bytes, for ever.
pub fn serve(address: &str, body: usize) {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nServer: trivial\r\nDate: Mon, 01 Jun 2026 12:00:00 GMT\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {body}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + body, b'x');

    let mut poll = Poll::new().unwrap();
    let mut listener = TcpListener::bind(address.parse().unwrap()).unwrap();
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
    let mut events = Events::with_capacity(1024);
    let mut open: HashMap<usize, Connection> = HashMap::new();
    let mut buffer = vec![0_u8; 256 * 1024];
    let mut next = 1;
    loop {
        if poll.poll(&mut events, None).is_err() {
            continue;
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true).unwrap();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(next), interest).unwrap();
                    open.insert(next, Connection { stream, pending: 0, written: 0, upload: 0 });
                    next += 1;
                }
            } else if let Some(connection) = open.get_mut(&event.token().0) {
                let readable = event.is_readable();
                if !connection.serve(&answer, readable, &mut buffer) {
                    open.remove(&event.token().0);
                }
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// Answers that are owed.
    pending: usize,
    /// How much of the first of them is written.
    written: usize,
    /// How much of a request's body is still to come.
    upload: usize,
}

impl Connection {
    /// Reads what is there and answers it; false where the connection is over.
    fn serve(&mut self, answer: &[u8], readable: bool, buffer: &mut [u8]) -> bool {
        loop {
            if !readable {
                break;
            }
            match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(count) => {
                    self.take(&buffer[..count]);
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        while self.pending > 0 {
            match self.stream.write(&answer[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
            if self.written == answer.len() {
                self.written = 0;
                self.pending -= 1;
            }
        }
        true
    }

    /// Heads of this bench come in one piece, one at a time, so one that is cut in two is not looked for.
    fn take(&mut self, bytes: &[u8]) {
        let body = if self.upload > 0 {
            bytes
        } else if bytes.ends_with(b"\r\n\r\n") && bytes.starts_with(b"GET ") {
            self.pending += 1;
            return;
        } else {
            let head = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head") + 4;
            let length = bytes[..head]
                .windows(LENGTH.len())
                .position(|part| part.eq_ignore_ascii_case(LENGTH))
                .expect("a length");
            let digits = bytes[length + LENGTH.len()..head].split(|byte| *byte == b'\r').next();
            let digits = std::str::from_utf8(digits.unwrap_or_default()).unwrap();
            self.upload = digits.parse().unwrap();
            &bytes[head..]
        };
        self.upload -= body.len();
        self.pending += usize::from(self.upload == 0);
    }
}
