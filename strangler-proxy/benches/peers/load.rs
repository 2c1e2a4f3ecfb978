//! A load generator that costs next to nothing: one epoll loop, every connection one request at a time.

use std::{
    io::{ErrorKind, Read, Write},
    time::Instant,
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

const TARGET: &str = "/v1/stock/85123A?channel=web";
const FIELDS: &str = "Host: shop.example\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n\
    Accept-Encoding: gzip, deflate\r\nAccept-Language: en\r\n";

/// How much of an upload is written at once.
const PIECE: usize = 256 * 1024;

/// What to send: how many requests over how many connections, and how long each answer's body must be; with an upload of
/// so many bytes where that is not nothing.
pub struct Load {
    address: String,
    connections: usize,
    requests: u64,
    body: usize,
    upload: usize,
}

impl Load {
    /// From the words of its own command line.
    pub fn of(words: &[&str]) -> Self {
        let [address, connections, requests, body, upload] = words else { panic!("five words") };
        Self {
            address: (*address).to_owned(),
            connections: connections.parse().unwrap(),
            requests: requests.parse().unwrap(),
            body: body.parse().unwrap(),
            upload: upload.parse().unwrap(),
        }
    }

    /// Sends all, then prints p50 and p99 in microseconds and the seconds it took.
    pub fn run(&self) {
        let head = match self.upload {
            0 => format!("GET {TARGET} HTTP/1.1\r\n{FIELDS}\r\n"),
            length => format!("POST {TARGET} HTTP/1.1\r\n{FIELDS}Content-Length: {length}\r\n\r\n"),
        };
        let (head, piece) = (head.into_bytes(), vec![b'x'; self.upload.min(PIECE)]);
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(1024);
        let mut open: Vec<Connection> = Vec::new();
        for at in 0..self.connections {
            let mut stream = TcpStream::connect(self.address.parse().unwrap()).unwrap();
            stream.set_nodelay(true).unwrap();
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(at), interest).unwrap();
            open.push(Connection { stream, sent: None, written: 0, have: 0, head: None });
        }
        let mut took = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).unwrap();
        let (mut left, mut unsent) = (self.requests, self.requests);
        let first = (2 * u64::try_from(self.connections).unwrap()).min(self.requests / 2);
        let mut buffer = vec![0_u8; 64 * 1024];
        let started = Instant::now();
        while left > 0 {
            poll.poll(&mut events, None).unwrap();
            for event in &events {
                let connection = &mut open[event.token().0];
                if event.is_writable() {
                    if connection.sent.is_none() && unsent > 0 {
                        connection.begin();
                        unsent -= 1;
                    }
                    connection.send(&head, &piece, self.upload);
                }
                if !event.is_readable() {
                    continue;
                }
                while let Some(micros) = connection.receive(&mut buffer, self.body) {
                    // The first ones of each connection show how long a queue of new connections takes.
                    if self.requests - left >= first {
                        took.saturating_record(micros);
                    }
                    left -= 1;
                    if unsent > 0 {
                        connection.begin();
                        connection.send(&head, &piece, self.upload);
                        unsent -= 1;
                    }
                }
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        println!("{} {} {seconds}", took.value_at_quantile(0.5), took.value_at_quantile(0.99));
    }
}

struct Connection {
    stream: TcpStream,
    sent: Option<Instant>,
    /// Bytes of the request that have gone.
    written: usize,
    /// Bytes of the answer so far.
    have: usize,
    /// How long its head is, once known.
    head: Option<usize>,
}

impl Connection {
    fn begin(&mut self) {
        self.sent = Some(Instant::now());
        self.written = 0;
    }

    /// Writes as much of the request as the socket takes.
    fn send(&mut self, head: &[u8], piece: &[u8], upload: usize) {
        let whole = head.len() + upload;
        while self.sent.is_some() && self.written < whole {
            let bytes = match self.written.checked_sub(head.len()) {
                None => &head[self.written..],
                Some(of_body) => &piece[..piece.len().min(upload - of_body)],
            };
            match self.stream.write(bytes) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the proxy took no request: {error}"),
            }
        }
    }

    /// Reads; the microseconds of the request where its answer is whole.
    fn receive(&mut self, buffer: &mut [u8], body: usize) -> Option<u64> {
        let sent = self.sent?;
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => panic!("the proxy closed a connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("the proxy broke a connection: {error}"),
            };
            if self.head.is_none() {
                // The head of an answer of this bench comes in one piece.
                let head = buffer[..count].windows(4).position(|w| w == b"\r\n\r\n");
                assert!(
                    buffer.starts_with(b"HTTP/1.1 200 "),
                    "{:?}",
                    buffer[..count].utf8_chunks()
                );
                self.head = Some(head.expect("a whole head") + 4);
            }
            self.have += count;
            let whole = self.head? + body;
            assert!(self.have <= whole, "more bytes than one answer has");
            if self.have == whole {
                self.have = 0;
                self.head = None;
                self.sent = None;
                return Some(u64::try_from(sent.elapsed().as_micros()).unwrap());
            }
            if count < buffer.len() {
                return None;
            }
        }
    }
}
