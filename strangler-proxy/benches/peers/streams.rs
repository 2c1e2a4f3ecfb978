//! The load in HTTP/2: a few connections, each with so many requests at once that wait for nobody else.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{self, ErrorKind, Read, Write},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use hdrhistogram::Histogram;
use http::{Method, Request, Version};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    runtime,
    task::{LocalSet, spawn_local},
};

use crate::{
    calls,
    load::{Load, tell},
    secured::{Config, Secured},
    table::Wire,
};

const STOCK: &str = "/v1/stock/85123A?channel=web";
const RESERVE: &str = "/shop.v1.Stock/Reserve";

/// What all requests of the load share.
struct Count {
    unsent: Cell<u64>,
    answered: Cell<u64>,
    took: RefCell<Histogram<u64>>,
}

/// Sends all, then tells.
pub fn run(load: &Load) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, send_all(load));
}

async fn send_all(load: &Load) {
    let took = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).unwrap();
    let count = Rc::new(Count {
        unsent: Cell::new(load.requests),
        answered: Cell::new(0),
        took: RefCell::new(took),
    });
    let tls = load.wire.is_secured().then(|| Config::new(&load.certificate, b"h2"));
    let started = Instant::now();
    let mut streams = Vec::new();
    for _ in 0..load.connections {
        let sender = connect(&load.address, tls.as_ref()).await;
        for _ in 0..load.streams {
            let asking = Asking {
                sender: sender.clone(),
                request: request(load),
                message: (load.wire == Wire::Grpc).then(|| calls::message(load.body)),
                body: load.body,
                unheard: load.unheard(),
            };
            streams.push(spawn_local(asking.run(Rc::clone(&count))));
        }
    }
    for stream in streams {
        stream.await.unwrap();
    }
    tell(&count.took.borrow(), started);
}

async fn connect(address: &str, tls: Option<&Config>) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let begin = client::Builder::new();
    match tls {
        None => {
            let (sender, connection) = begin.handshake(stream).await.unwrap();
            spawn_local(connection);
            sender
        }
        Some(tls) => {
            let stream = Async(Secured::new(Ready(stream), tls));
            let (sender, connection) = begin.handshake(stream).await.unwrap();
            spawn_local(connection);
            sender
        }
    }
}

fn request(load: &Load) -> Request<()> {
    let scheme = if load.wire.is_secured() { "https" } else { "http" };
    let is_call = load.wire == Wire::Grpc;
    let path = if is_call { RESERVE } else { STOCK };
    let mut request = Request::builder()
        .method(if is_call { Method::POST } else { Method::GET })
        .uri(format!("{scheme}://shop.example{path}"))
        .version(Version::HTTP_2)
        .header("user-agent", "bench/1.0");
    let fields: &[(&str, &str)] = if is_call {
        &[("content-type", "application/grpc"), ("te", "trailers")]
    } else {
        &[
            ("accept", "application/json"),
            ("accept-encoding", "gzip, deflate"),
            ("accept-language", "en"),
        ]
    };
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// One request after the other.
struct Asking {
    sender: SendRequest<Bytes>,
    request: Request<()>,
    message: Option<Bytes>,
    body: usize,
    unheard: u64,
}

impl Asking {
    async fn run(mut self, count: Rc<Count>) {
        while let Some(left) = count.unsent.get().checked_sub(1) {
            count.unsent.set(left);
            let began = Instant::now();
            self.ask().await;
            if count.answered.replace(count.answered.get() + 1) >= self.unheard {
                let micros = u64::try_from(began.elapsed().as_micros()).unwrap();
                count.took.borrow_mut().saturating_record(micros);
            }
        }
    }

    async fn ask(&mut self) {
        poll_fn(|cx| self.sender.poll_ready(cx)).await.unwrap();
        let is_over = self.message.is_none();
        let (answer, mut to) = self.sender.send_request(self.request.clone(), is_over).unwrap();
        if let Some(message) = &self.message {
            to.send_data(message.clone(), true).unwrap();
        }
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut from = answer.into_body();
        let mut have = 0;
        while let Some(data) = from.data().await {
            let data = data.unwrap();
            from.flow_control().release_capacity(data.len()).unwrap();
            have += data.len();
        }
        match &self.message {
            None => assert_eq!(have, self.body),
            Some(message) => {
                assert_eq!(have, message.len());
                let trailers = from.trailers().await.unwrap().expect("a call ends in trailers");
                assert_eq!(trailers["grpc-status"], "0");
            }
        }
    }
}

/// A socket that says where it would wait.
struct Ready(TcpStream);

impl Read for Ready {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for Ready {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// TLS as the `h2` crate reads and writes it.
struct Async(Secured<Ready>);

impl AsyncRead for Async {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.0.read(into.initialize_unfilled()) {
                Ok(count) => {
                    into.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.0.below.0.poll_read_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Async {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.0.below.0.poll_write_ready(cx))?;
                }
                other => return Poll::Ready(other),
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
