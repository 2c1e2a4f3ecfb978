//! HTTP/1.1 by hand, for both ends: nothing here corrects what a test wants to be wrong.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// No wait of a test takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a connection.
pub struct Peer {
    pub stream: TcpStream,
    unread: Vec<u8>,
    /// Where TLS is spoken over it.
    pub tls: Option<Box<rustls::Connection>>,
}

/// A message as it was on the wire.
#[derive(Debug, Clone, Default)]
pub struct Message {
    pub first_line: String,
    pub fields: Vec<(String, String)>,
    /// The payload, without chunk framing.
    pub body: Vec<u8>,
    /// What stood behind the last chunk.
    pub trailers: Vec<(String, String)>,
}

impl Message {
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub fn target(&self) -> &str {
        self.first_line.split(' ').nth(1).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Peer {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, unread: Vec::new(), tls: None }
    }

    /// A connection that was accepted.
    pub fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(3 * PATIENCE)).unwrap();
        Self { stream, unread: Vec::new(), tls: None }
    }

    /// The same connection, for another thread to write to.
    pub fn other_half(&self) -> Self {
        Self { stream: self.stream.try_clone().unwrap(), unread: Vec::new(), tls: None }
    }

    pub fn send(&mut self, text: impl AsRef<[u8]>) {
        self.try_send(text).unwrap();
    }

    /// Where the other side may have closed already.
    pub fn try_send(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(text.as_ref()),
            Some(tls) => crate::session::write(tls, &mut self.stream, text.as_ref()),
        }
    }

    /// One request and its answer.
    pub fn ask(&mut self, text: impl AsRef<[u8]>) -> Message {
        self.send(text);
        self.answer()
    }

    /// The next answer; it must be whole.
    pub fn answer(&mut self) -> Message {
        self.try_answer(false).unwrap().expect("an answer, not the end")
    }

    /// The next answer to a `HEAD`.
    pub fn head_answer(&mut self) -> Message {
        self.try_answer(true).unwrap().expect("an answer, not the end")
    }

    /// The next answer; nothing at a clean end; an error where it is cut short.
    pub fn try_answer(&mut self, to_head: bool) -> io::Result<Option<Message>> {
        let Some(mut message) = self.head()? else { return Ok(None) };
        let without = to_head || message.status() < 200 || matches!(message.status(), 204 | 304);
        if without {
            return Ok(Some(message));
        }
        if message.field("transfer-encoding").is_some() {
            self.chunks(&mut message)?;
        } else if let Some(length) = message.field("content-length") {
            let length = length.parse().unwrap();
            message.body = self.exactly(length)?;
        } else {
            message.body = self.the_rest()?;
        }
        Ok(Some(message))
    }

    /// The next answer, or nothing where the connection has ended in any way.
    pub fn answer_or_end(&mut self) -> Option<u16> {
        self.try_answer(false).ok().flatten().map(|message| message.status())
    }

    /// The next request; nothing at the end.
    pub fn request(&mut self) -> Option<Message> {
        let mut message = self.head().ok()??;
        if message.field("transfer-encoding").is_some() {
            self.chunks(&mut message).ok()?;
        } else if let Some(length) = message.field("content-length") {
            message.body = self.exactly(length.parse().unwrap()).ok()?;
        }
        Some(message)
    }

    /// The next head, without its body.
    pub fn head(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..end + 4).collect();
                let text = String::from_utf8(head).unwrap();
                let mut lines = text.trim_end().split("\r\n");
                let first_line = lines.next().unwrap().to_owned();
                return Ok(Some(Message {
                    first_line,
                    fields: fields(lines),
                    ..Message::default()
                }));
            }
            if self.more()? == 0 {
                return if self.unread.is_empty() { Ok(None) } else { Err(cut()) };
            }
        }
    }

    fn chunks(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(line.split(';').next().unwrap(), 16).unwrap();
            if size == 0 {
                break;
            }
            message.body.extend(self.exactly(size)?);
            assert_eq!(self.line()?, "", "a chunk ends with a line end");
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(());
            }
            message.trailers.extend(fields(std::iter::once(line.as_str())));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Ok(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            if self.more()? == 0 {
                return Err(cut());
            }
        }
    }

    /// What has been read and not been asked for.
    pub fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            if self.more()? == 0 {
                return Err(cut());
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    pub fn the_rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more()? > 0 {}
        Ok(std::mem::take(&mut self.unread))
    }

    /// Has the other side closed, cleanly or not, without another byte?
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && matches!(self.more(), Ok(0) | Err(_)) && self.unread.is_empty()
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let count = match &mut self.tls {
            None => self.stream.read(&mut buffer)?,
            Some(tls) => crate::session::read(tls, &mut self.stream, &mut buffer)?,
        };
        self.unread.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let split = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.to_owned(), value.trim().to_owned())
    };
    lines.map(split).collect()
}

/// A server of the test: a thread per connection, closed with the value.
pub struct Upstream {
    pub address: SocketAddr,
    /// Connections that were made to it.
    pub connections: Arc<AtomicUsize>,
    /// Connections that are open.
    pub open: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Upstream {
    /// Serves each connection with this. The second argument counts connections from 0.
    pub fn new(serve: impl Fn(&mut Peer, usize) + Send + Sync + 'static) -> Self {
        Self::serving(None, serve)
    }

    /// The same, over TLS where there is something to do so.
    pub fn serving(
        tls: Option<Arc<rustls::ServerConfig>>,
        serve: impl Fn(&mut Peer, usize) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stopped = Arc::new(AtomicBool::new(false));
        let (counted, opened, end) =
            (Arc::clone(&connections), Arc::clone(&open), Arc::clone(&stopped));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let number = counted.fetch_add(1, Ordering::SeqCst);
                opened.fetch_add(1, Ordering::SeqCst);
                let (serve, opened) = (Arc::clone(&serve), Arc::clone(&opened));
                let tls = tls
                    .clone()
                    .map(|tls| Box::new(rustls::ServerConnection::new(tls).unwrap().into()));
                thread::spawn(move || {
                    serve(&mut Peer { tls, ..Peer::of(stream) }, number);
                    opened.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, connections, open, stopped }
    }

    /// Answers every request of every connection with what `answer` makes of it.
    pub fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::new(move |peer, _| {
            while let Some(request) = peer.request() {
                if peer.try_send(answer(&request)).is_err() {
                    return;
                }
            }
        })
    }

    /// Tells what it was asked: the request's lines as the body.
    pub fn echo() -> Self {
        Self::answering(|request| {
            let mut text = request.first_line.clone();
            for (name, value) in &request.fields {
                text.push_str(&format!("\n{name}: {value}"));
            }
            text.push_str("\n\n");
            text.push_str(&request.text());
            ok(text)
        })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // So that the thread looks.
        drop(TcpStream::connect(self.address));
    }
}

/// 200 with a body.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// `GET` of a path, kept alive.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n")
}

/// Waits until it is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
