//! Clients that ask all the time and say what failed: on connections that are kept and on new ones, over TCP and a Unix
//! socket.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::raw::{PATIENCE, until};

/// The clients, until they are stopped.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Load {
    pub fn start(address: SocketAddr, socket: PathBuf) -> Self {
        let shared = Arc::<Shared>::default();
        let mut threads = Vec::new();
        for client in 0..6 {
            let (shared, socket) = (Arc::clone(&shared), socket.clone());
            threads.push(thread::spawn(move || {
                let connect = || -> std::io::Result<Box<dyn Stream>> {
                    if client % 3 == 2 {
                        let stream = UnixStream::connect(&socket)?;
                        stream.set_read_timeout(Some(PATIENCE))?;
                        return Ok(Box::new(stream));
                    }
                    let stream = TcpStream::connect(address)?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    Ok(Box::new(stream))
                };
                shared.ask(client, client < 3, connect);
            }));
        }
        Self { shared, threads }
    }

    /// Waits until every client could have had some answers since now.
    pub fn flows(&self) {
        let before = self.shared.answered.load(Ordering::SeqCst);
        until("requests flow", || {
            let failed = !self.shared.failures.lock().unwrap().is_empty();
            failed || self.shared.answered.load(Ordering::SeqCst) > before + 30
        });
    }

    /// How many were answered, and what failed.
    pub fn stop(self) -> (usize, Vec<String>) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let failures = std::mem::take(&mut *self.shared.failures.lock().unwrap());
        (self.shared.answered.load(Ordering::SeqCst), failures)
    }
}

impl Shared {
    fn ask(
        &self,
        client: usize,
        keeps: bool,
        connect: impl Fn() -> std::io::Result<Box<dyn Stream>>,
    ) {
        let mut kept = None;
        let mut number = 0_usize;
        while !self.stop.load(Ordering::SeqCst) {
            number += 1;
            let target = format!("/{client}/{number}");
            let asked = kept.take().map_or_else(&connect, Ok).and_then(|mut stream| {
                let closes = answered(&mut *stream, &target, keeps)?;
                Ok((keeps && !closes).then_some(stream))
            });
            match asked {
                Ok(stream) => {
                    kept = stream;
                    self.answered.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => {
                    let told = format!("{target}, kept: {keeps}: {error}");
                    self.failures.lock().unwrap().push(told);
                }
            }
        }
    }
}

/// Asks for the target, which the upstream says back. Tells whether the connection ends.
fn answered(stream: &mut dyn Stream, target: &str, keeps: bool) -> std::io::Result<bool> {
    let keep = if keeps { "" } else { "Connection: close\r\n" };
    stream.write_all(
        format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n{keep}\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    let end = format!("\r\n\r\n{target}");
    loop {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&answer);
        if text.starts_with("HTTP/1.1 200 ") && text.ends_with(&end) {
            return Ok(text.to_lowercase().contains("\r\nconnection: close\r\n"));
        }
        if count == 0 || answer.len() > 4096 {
            return Err(std::io::Error::other(format!("no whole answer: `{text}`")));
        }
    }
}
