//! A real HTTP/1.1 server over TCP for the remote binding, able to fail in the ways that servers fail.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use contract::{
    Client, Contract, Keyring, Remote, Secret,
    rpc::{self, Document, Head, Registry, Reply},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinHandle,
};

/// A server that answers for one contract. It ends when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub secret: Secret,
    pub manners: Arc<Manners>,
    task: JoinHandle<()>,
}

/// How the server behaves; all counts go down to zero.
#[derive(Default)]
pub struct Manners {
    /// So many calls are executed and then the connection dies.
    pub hang_up_after: AtomicUsize,
    /// So many calls are read and then the connection dies.
    pub hang_up_before: AtomicUsize,
    /// So many calls are answered by something that is no JSON-RPC server.
    pub garbage: AtomicUsize,
    /// So many calls are executed and get the answer to another request.
    pub mixed_up: AtomicUsize,
    /// Calls that came, handshakes not among them.
    pub calls: AtomicUsize,
    pub handshakes: AtomicUsize,
}

struct HttpRequest {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Server {
    pub async fn start<C: Contract + ?Sized>(service: Arc<C>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), service).await
    }

    pub async fn start_at<C: Contract + ?Sized>(address: SocketAddr, service: Arc<C>) -> Self {
        let secret = Secret::new([42; 32]);
        let registry = Arc::new(Registry::new(secret.clone()));
        registry.insert(contract::dispatcher::<C>(service));
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let manners = Arc::new(Manners::default());
        let task = tokio::spawn(accept(listener, registry, Arc::clone(&manners)));
        Self { address, secret, manners, task }
    }

    /// The way here for the modules `shop` and `edge`.
    pub fn remote(&self) -> Remote {
        let keyring = Keyring::derive(&self.secret, &["shop"]);
        let client = Client::new(Handle::current());
        Remote::new(client, &format!("http://{}", self.address), keyring).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, registry: Arc<Registry>, manners: Arc<Manners>) {
    // Dropped with this task: then all connections die, too.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _peer)) = listener.accept().await {
        connections.spawn(converse(stream, Arc::clone(&registry), Arc::clone(&manners)));
    }
}

/// One connection, kept alive until one side has enough of it.
async fn converse(stream: TcpStream, registry: Arc<Registry>, manners: Arc<Manners>) {
    let mut stream = BufStream::new(stream);
    while let Some(request) = read(&mut stream).await {
        let Some(reply) = answer(&registry, &manners, request).await else { return };
        let head = format!(
            "HTTP/1.1 {} whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            reply.status,
            reply.body.len()
        );
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&reply.body).await?;
            stream.flush().await
        };
        if sent.await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufStream<TcpStream>) -> Option<HttpRequest> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(HttpRequest { line, headers, body })
}

async fn answer(registry: &Registry, manners: &Manners, request: HttpRequest) -> Option<Reply> {
    let path = request.line.split(' ').nth(1)?;
    let mut segments = path.trim_start_matches("/rpc/").split('/');
    let module = segments.next()?;
    let headers = &request.headers;
    let head = Head::read(|name| {
        headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    });
    if segments.next().is_some() {
        manners.handshakes.fetch_add(1, Ordering::SeqCst);
        return Some(rpc::document(registry, module, &head, Document::Schema));
    }
    manners.calls.fetch_add(1, Ordering::SeqCst);
    if counts_down(&manners.hang_up_before) {
        return None;
    }
    if counts_down(&manners.garbage) {
        return Some(Reply { status: 502, body: b"<html>bad gateway</html>".to_vec() });
    }
    let reply = rpc::call(registry, module, head, &request.body).await;
    if counts_down(&manners.mixed_up) {
        let body = br#"{"jsonrpc":"2.0","id":2,"result":{"left":7}}"#.to_vec();
        return Some(Reply { status: 200, body });
    }
    (!counts_down(&manners.hang_up_after)).then_some(reply)
}

fn counts_down(count: &AtomicUsize) -> bool {
    let less = |count: usize| count.checked_sub(1);
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
}
