//! A load generator that costs next to nothing: one epoll loop, every connection one request at a time.

use std::{
    io::{ErrorKind, Read, Write},
    time::Instant,
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

const REQUEST: &[u8] = b"GET /v1/stock/85123A?channel=web HTTP/1.1\r\nHost: shop.example\r\n\
    User-Agent: bench/1.0\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n\
    Accept-Language: en\r\n\r\n";

/// What to send: how many requests over how many connections, and how long each body must be.
pub struct Load {
    address: String,
    connections: usize,
    requests: u64,
    body: usize,
}

impl Load {
    /// From the words of its own command line.
    pub fn of(words: &[&str]) -> Self {
        let [address, connections, requests, body] = words else { panic!("four words") };
        Self {
            address: (*address).to_owned(),
            connections: connections.parse().unwrap(),
            requests: requests.parse().unwrap(),
            body: body.parse().unwrap(),
        }
    }

    /// Sends all, then prints p50 and p99 in microseconds and the seconds it took.
    pub fn run(&self) {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(1024);
        let mut open: Vec<Connection> = Vec::new();
        for at in 0..self.connections {
            let mut stream = TcpStream::connect(self.address.parse().unwrap()).unwrap();
            stream.set_nodelay(true).unwrap();
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(at), interest).unwrap();
            open.push(Connection { stream, sent: None, have: 0, head: None });
        }
        let mut took = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).unwrap();
        let (mut left, mut unsent) = (self.requests, self.requests);
        let mut buffer = vec![0_u8; 64 * 1024];
        let started = Instant::now();
        while left > 0 {
            poll.poll(&mut events, None).unwrap();
            for event in &events {
                let connection = &mut open[event.token().0];
                if connection.sent.is_none() && event.is_writable() && unsent > 0 {
                    connection.send();
                    unsent -= 1;
                }
                if !event.is_readable() {
                    continue;
                }
                while let Some(micros) = connection.receive(&mut buffer, self.body) {
                    took.saturating_record(micros);
                    left -= 1;
                    if unsent > 0 {
                        connection.send();
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
    /// Bytes of the answer so far.
    have: usize,
    /// How long its head is, once known.
    head: Option<usize>,
}

impl Connection {
    fn send(&mut self) {
        self.sent = Some(Instant::now());
        let count = self.stream.write(REQUEST).expect("a request is sent");
        assert_eq!(count, REQUEST.len(), "a request fits the socket");
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
