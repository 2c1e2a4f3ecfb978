//! An upstream that writes down every byte it gets, and answers what it can read.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::message::{self, Read};

/// What tells an answer of this upstream from one of the proxy.
pub const MARK: &[u8] = b"X-Origin";
const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nX-Origin: plain\r\nContent-Length: 2\r\n\r\n";
const PROBE: &[u8] = b"HTTP/1.1 200 OK\r\nX-Origin: probe\r\nContent-Length: 5\r\n\r\nprobe";
/// The target that is answered with [`PROBE`], whatever the script says.
pub const PROBE_TARGET: &[u8] = b"/probe-of-the-bench";

/// How the requests of one case are answered.
#[derive(Clone, Default)]
pub enum Script {
    /// Each with two bytes.
    #[default]
    Plain,
    /// All but the probe with these bytes (a proxy may ask again), after which the connection may end.
    Raw { bytes: Vec<u8>, ends: bool },
}

#[derive(Default)]
struct Book {
    script: Script,
    /// What came, one piece per connection, of the case that runs.
    came: Vec<Vec<u8>>,
    streams: Vec<TcpStream>,
    /// Which case runs, so that a connection of an earlier one writes nothing into this one.
    number: usize,
}

pub struct Origin {
    address: String,
    book: Arc<Mutex<Book>>,
}

impl Origin {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let book = Arc::<Mutex<Book>>::default();
        let of_thread = Arc::clone(&book);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let book = Arc::clone(&of_thread);
                thread::spawn(move || serve(stream, &book));
            }
        });
        Self { address, book }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Begins a case: what came before is over.
    pub fn begin(&self, script: Script) {
        let mut book = self.book.lock().unwrap();
        for stream in &book.streams {
            // It may have been closed from the other side.
            drop(stream.shutdown(Shutdown::Both));
        }
        *book = Book { script, number: book.number + 1, ..Book::default() };
    }

    /// Everything that came since, by connection.
    pub fn came(&self) -> Vec<Vec<u8>> {
        self.book.lock().unwrap().came.clone()
    }
}

fn serve(mut stream: TcpStream, book: &Mutex<Book>) {
    let (at, number) = {
        let mut book = book.lock().unwrap();
        book.streams.push(stream.try_clone().unwrap());
        book.came.push(Vec::new());
        (book.came.len() - 1, book.number)
    };
    let mut read = 0;
    let mut buffer = vec![0_u8; 64 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let answers = {
            let mut book = book.lock().unwrap();
            if book.number != number {
                return;
            }
            let came = &mut book.came[at];
            came.extend(&buffer[..count]);
            let bytes = came[read..].to_vec();
            answers(&book, &bytes, &mut read)
        };
        let Some((bytes, ends)) = answers else { return };
        if stream.write_all(&bytes).is_err() {
            return;
        }
        if ends {
            drop(stream.shutdown(Shutdown::Both));
            return;
        }
    }
}

/// The answers to what can be read, and whether the connection ends; nothing where it cannot be read.
fn answers(book: &Book, bytes: &[u8], read: &mut usize) -> Option<(Vec<u8>, bool)> {
    let (mut out, mut at) = (Vec::new(), 0);
    loop {
        match message::request(&bytes[at..]) {
            Read::Partial => break,
            Read::Malformed(_) => return None,
            Read::Whole(request, length) => {
                at += length;
                *read += length;
                if request.line.windows(PROBE_TARGET.len()).any(|part| part == PROBE_TARGET) {
                    out.extend(PROBE);
                    continue;
                }
                match &book.script {
                    Script::Raw { bytes, ends } => {
                        out.extend(bytes);
                        if *ends {
                            return Some((out, true));
                        }
                    }
                    Script::Plain => {
                        out.extend(PLAIN);
                        if !request.line.starts_with(b"HEAD ") {
                            out.extend(b"ok");
                        }
                    }
                }
            }
        }
    }
    Some((out, false))
}
