//! A load generator that costs next to nothing: one epoll loop, every connection one request at a time.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    path::PathBuf,
    time::Instant,
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Registry, Token, net::TcpStream};

use crate::{
    pace::Pace,
    secured::{Config, Secured},
    streams,
    table::Wire,
};

const TARGET: &str = "/v1/stock/85123A?channel=web";
const FIELDS: &str = "Host: shop.example\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n\
    Accept-Encoding: gzip, deflate\r\nAccept-Language: en\r\n";

/// How much of an upload is written at once.
const PIECE: usize = 256 * 1024;

/// What to send: how many requests over how many connections, and how long each answer's body must be; with an upload of
/// so many bytes where that is not nothing.
pub struct Load {
    pub address: String,
    pub connections: usize,
    pub requests: u64,
    pub body: usize,
    pub upload: usize,
    pub wire: Wire,
    pub streams: usize,
    /// Requests in a second; 0: as fast as the answers come.
    pub rate: u64,
    /// The certificate to trust.
    pub certificate: PathBuf,
}

impl Load {
    /// From the words of its own command line.
    pub fn of(words: &[&str]) -> Self {
        let [address, connections, requests, body, upload, wire, streams, rate, certificate] =
            words
        else {
            panic!("nine words")
        };
        Self {
            address: (*address).to_owned(),
            connections: connections.parse().unwrap(),
            requests: requests.parse().unwrap(),
            body: body.parse().unwrap(),
            upload: upload.parse().unwrap(),
            wire: Wire::of(wire),
            streams: streams.parse().unwrap(),
            rate: rate.parse().unwrap(),
            certificate: certificate.into(),
        }
    }

    /// Sends all, then prints p50 and p99 in microseconds and the seconds it took.
    pub fn run(&self) {
        match self.wire {
            Wire::Http1 | Wire::Tls | Wire::TlsNew => self.run_http1(),
            Wire::Http2 | Wire::Grpc => streams::run(self),
        }
    }

    /// How many answers are left out of the latencies: the first ones of each connection show how long a queue of new
    /// connections takes.
    pub fn unheard(&self) -> u64 {
        let at_once = u64::try_from(self.connections * self.streams).unwrap();
        (2 * at_once).min(self.requests / 2)
    }

    fn run_http1(&self) {
        let head = match self.upload {
            0 => format!("GET {TARGET} HTTP/1.1\r\n{FIELDS}\r\n"),
            length => format!("POST {TARGET} HTTP/1.1\r\n{FIELDS}Content-Length: {length}\r\n\r\n"),
        };
        let (head, piece) = (head.into_bytes(), vec![b'x'; self.upload.min(PIECE)]);
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(1024);
        let tls = self.wire.is_secured().then(|| Config::new(&self.certificate, b"http/1.1"));
        let connect =
            |registry: &Registry, at| Connection::open(&self.address, tls.as_ref(), registry, at);
        let mut open: Vec<Connection> =
            (0..self.connections).map(|at| connect(poll.registry(), at)).collect();
        let mut took = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).unwrap();
        let mut left = self.requests;
        let first = self.unheard();
        let mut buffer = vec![0_u8; 64 * 1024];
        let started = Instant::now();
        let mut pace = Pace::new(self.rate, self.requests);
        let mut idle: VecDeque<usize> = VecDeque::new();
        while left > 0 {
            poll.poll(&mut events, pace.wait().filter(|_| !idle.is_empty())).unwrap();
            while !idle.is_empty()
                && let Some(from) = pace.next()
                && let Some(at) = idle.pop_front()
            {
                open[at].begin(from);
                open[at].send(&head, &piece, self.upload);
            }
            for event in &events {
                let at = event.token().0;
                let connection = &mut open[at];
                if event.is_writable() {
                    if !connection.is_open && !connection.begin_next(&mut pace) {
                        idle.push_back(at);
                    }
                    connection.send(&head, &piece, self.upload);
                }
                if !event.is_readable() {
                    continue;
                }
                while let Some(micros) = connection.receive(&mut buffer, self.body) {
                    if self.requests - left >= first {
                        took.saturating_record(micros);
                    }
                    left -= 1;
                    if self.wire == Wire::TlsNew {
                        *connection = connect(poll.registry(), at);
                        connection.begin_next(&mut pace);
                        break;
                    }
                    if !connection.begin_next(&mut pace) {
                        idle.push_back(at);
                    }
                    connection.send(&head, &piece, self.upload);
                }
            }
        }
        tell(&took, started);
    }
}

/// Tells the latencies and how long it all took.
pub fn tell(took: &Histogram<u64>, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{} {} {seconds}", took.value_at_quantile(0.5), took.value_at_quantile(0.99));
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

struct Connection {
    stream: Box<dyn Stream>,
    /// Has it been begun with?
    is_open: bool,
    /// Does a read that fills less than it may mean that nothing is left?
    is_plain: bool,
    sent: Option<Instant>,
    /// Bytes of the request that have gone.
    written: usize,
    /// Bytes of the answer so far.
    have: usize,
    /// How long its head is, once known.
    head: Option<usize>,
}

impl Connection {
    fn open(address: &str, tls: Option<&Config>, registry: &Registry, at: usize) -> Self {
        let mut stream = TcpStream::connect(address.parse().unwrap()).unwrap();
        stream.set_nodelay(true).unwrap();
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, Token(at), interest).unwrap();
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(tls) => Box::new(Secured::new(stream, tls)),
        };
        let is_plain = tls.is_none();
        Self { stream, is_open: false, is_plain, sent: None, written: 0, have: 0, head: None }
    }

    fn begin(&mut self, from: Instant) {
        self.sent = Some(from);
        self.written = 0;
    }

    /// Begins the next request, where it is due.
    fn begin_next(&mut self, pace: &mut Pace) -> bool {
        self.is_open = true;
        let next = pace.next();
        if let Some(from) = next {
            self.begin(from);
        }
        next.is_some()
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
            if self.is_plain && count < buffer.len() {
                return None;
            }
        }
    }
}
