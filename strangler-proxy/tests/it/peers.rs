//! Clients and servers that speak HTTP/2, for both sides of the proxy.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{self, ResponseFuture, SendRequest},
    server::{self, SendResponse},
};
use http::{HeaderMap, Method, Request, Response, request::Builder, response::Parts};
use tokio::{
    net::TcpStream,
    runtime,
    task::{JoinHandle, LocalSet, spawn_local},
    time::{sleep, timeout},
};

use crate::raw::PATIENCE;

/// Runs the client's side of a test.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        timeout(15 * PATIENCE, test).await.expect("the test ends in time")
    })
}

/// Waits until it is so, while the connections of this thread go on.
pub async fn wait(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// A message that is whole.
#[derive(Debug)]
pub struct Answer {
    pub head: Parts,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Of a gRPC call: from the trailers, or from the head where there is nothing else.
    pub fn grpc_status(&self) -> Option<&str> {
        let found = self.trailers.get("grpc-status").or(self.head.headers.get("grpc-status"));
        found.map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads an answer to its end.
pub async fn whole(answer: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut body) = answer.await?.into_parts();
    let (body, trailers) = read(&mut body).await?;
    Ok(Answer { head, body, trailers })
}

/// Reads a body to its end.
pub async fn read(from: &mut RecvStream) -> Result<(Vec<u8>, HeaderMap), h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = piece(from).await {
        body.extend_from_slice(&data?);
    }
    Ok((body, from.trailers().await?.unwrap_or_default()))
}

/// The next piece of a body.
pub async fn piece(from: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let data = from.data().await?;
    if let Ok(data) = &data {
        from.flow_control().release_capacity(data.len()).unwrap();
    }
    Some(data)
}

/// Sends all of it, as the window lets it.
pub async fn write(
    to: &mut SendStream<Bytes>,
    data: &[u8],
    is_last: bool,
) -> Result<(), h2::Error> {
    let mut rest = data;
    while !rest.is_empty() {
        to.reserve_capacity(rest.len());
        let Some(room) = std::future::poll_fn(|cx| to.poll_capacity(cx)).await else {
            return Ok(());
        };
        let (now, later) = rest.split_at(room?.min(rest.len()));
        rest = later;
        to.send_data(Bytes::copy_from_slice(now), is_last && rest.is_empty())?;
    }
    if data.is_empty() && is_last {
        to.send_data(Bytes::new(), true)?;
    }
    Ok(())
}

/// `http://shop.example` with this path.
pub fn request(method: Method, path: &str) -> Builder {
    Request::builder().method(method).uri(format!("http://shop.example{path}"))
}

pub fn get(path: &str) -> Request<()> {
    request(Method::GET, path).body(()).unwrap()
}

/// A gRPC call.
pub fn call(path: &str) -> Builder {
    request(Method::POST, path).header("content-type", "application/grpc").header("te", "trailers")
}

/// A message of gRPC.
pub fn message(payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0];
    message.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    message.extend_from_slice(payload);
    message
}

pub struct Client {
    pub send: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::with(address, &client::Builder::new()).await
    }

    pub async fn with(address: SocketAddr, builder: &client::Builder) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (send, connection) = builder.handshake(stream).await.unwrap();
        Self { send, driver: spawn_local(connection) }
    }

    /// On somebody else's connection.
    pub fn sharing(send: SendRequest<Bytes>) -> Self {
        Self { send, driver: spawn_local(async { Ok(()) }) }
    }

    /// Begins a request with a body.
    pub async fn open(&mut self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        self.send = self.send.clone().ready().await.unwrap();
        self.send.send_request(request, false).unwrap()
    }

    /// A request without a body, and its answer.
    pub async fn ask(&mut self, request: Request<()>) -> Result<Answer, h2::Error> {
        self.send = self.send.clone().ready().await?;
        let (answer, _) = self.send.send_request(request, true)?;
        whole(answer).await
    }

    /// A request with a body, and its answer.
    pub async fn post(&mut self, request: Request<()>, body: &[u8]) -> Result<Answer, h2::Error> {
        self.send = self.send.clone().ready().await?;
        let (answer, mut to) = self.send.send_request(request, false)?;
        write(&mut to, body, true).await?;
        whole(answer).await
    }

    /// Has the connection ended?
    pub fn has_ended(&self) -> bool {
        self.driver.is_finished()
    }

    /// Waits until the connection has ended.
    pub async fn ended(self) -> Result<(), h2::Error> {
        drop(self.send);
        self.driver.await.unwrap()
    }
}

/// A request that a server got.
pub struct Call {
    pub head: http::request::Parts,
    pub body: RecvStream,
    pub respond: SendResponse<Bytes>,
}

impl Call {
    /// Answers with a head and a body.
    pub fn answer(&mut self, status: u16, body: impl AsRef<[u8]>) {
        let head = Response::builder().status(status).body(()).unwrap();
        let body = Bytes::copy_from_slice(body.as_ref());
        // The proxy may have given it up.
        if let Ok(mut to) = self.respond.send_response(head, body.is_empty())
            && !body.is_empty()
        {
            drop(to.send_data(body, true));
        }
    }

    /// The head of an answer of gRPC.
    pub fn accept(&mut self) -> SendStream<Bytes> {
        let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        self.respond.send_response(head, false).unwrap()
    }
}

/// Trailers with the outcome of a call.
pub fn outcome(status: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    trailers.insert("grpc-message", "as it is".parse().unwrap());
    trailers
}

/// A server of the test, in a thread of its own.
pub struct Server {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    /// Connections that are open.
    pub open: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Handles each request with this.
    pub fn new<F, R>(handle: F) -> Self
    where
        F: Fn(Call) -> R + Clone + Send + 'static,
        R: Future<Output = ()> + 'static,
    {
        Self::with(server::Builder::new(), usize::MAX, handle)
    }

    /// The same with these settings; a connection says that it goes after so many requests.
    pub fn with<F, R>(builder: server::Builder, requests_max: usize, handle: F) -> Self
    where
        F: Fn(Call) -> R + Clone + Send + 'static,
        R: Future<Output = ()> + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (connections, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stopped = Arc::new(AtomicBool::new(false));
        let (count, opened, end) =
            (Arc::clone(&connections), Arc::clone(&open), Arc::clone(&stopped));
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    if end.load(Ordering::SeqCst) {
                        return;
                    }
                    stream.set_nodelay(true).unwrap();
                    count.fetch_add(1, Ordering::SeqCst);
                    opened.fetch_add(1, Ordering::SeqCst);
                    let serving = serve(stream, builder.clone(), requests_max, handle.clone());
                    let opened = Arc::clone(&opened);
                    spawn_local(async move {
                        serving.await;
                        opened.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            });
        });
        Self { address, connections, open, stopped }
    }

    /// Answers with what it was asked.
    pub fn echo() -> Self {
        Self::new(|mut call| async move {
            let mut text = format!("{} {}", call.head.method, call.head.uri);
            for (name, value) in &call.head.headers {
                text.push_str(&format!("\n{name}: {}", value.to_str().unwrap()));
            }
            let Ok((body, trailers)) = read(&mut call.body).await else { return };
            for (name, value) in &trailers {
                text.push_str(&format!("\n(trailer) {name}: {}", value.to_str().unwrap()));
            }
            text.push_str("\n\n");
            text.push_str(&String::from_utf8_lossy(&body));
            let head = Response::builder().header("x-echo", "yes").body(()).unwrap();
            let Ok(mut to) = call.respond.send_response(head, false) else { return };
            drop(write(&mut to, text.as_bytes(), false).await);
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", "abc".parse().unwrap());
            drop(to.send_trailers(trailers));
        })
    }
}

async fn serve<F, R>(stream: TcpStream, builder: server::Builder, requests_max: usize, handle: F)
where
    F: Fn(Call) -> R + 'static,
    R: Future<Output = ()> + 'static,
{
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    let mut count = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (head, body) = request.into_parts();
        spawn_local(handle(Call { head, body, respond }));
        count += 1;
        if count == requests_max {
            connection.graceful_shutdown();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // So that the thread looks.
        drop(std::net::TcpStream::connect(self.address));
    }
}
