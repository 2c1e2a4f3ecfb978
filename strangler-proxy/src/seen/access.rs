//! The access log: one JSON line per request with its trace id and the decision.
//!
//! A worker gathers lines and hands them over in blocks; one thread writes them. A worker never waits for the disk or for
//! whoever reads the pipe: when the queue is full, lines are left out, counted, and the next block says how many.

use std::{
    cell::{Cell, RefCell},
    io::{self, Write},
    net::IpAddr,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use super::clock;

/// A block is handed over when it is this long, or with the worker's next tick.
const BLOCK_BYTES: usize = 32 * 1024;

/// Blocks that wait for the disk: 2 MiB.
const BLOCKS_MAX: usize = 64;

/// What a line says.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The trace id.
    pub trace: &'a str,
    /// The client's address, where it has one.
    pub client: Option<IpAddr>,
    /// The method as sent.
    pub method: &'a [u8],
    /// `Host` as sent.
    pub host: &'a [u8],
    /// The target as sent.
    pub target: &'a [u8],
    /// The status that the client got.
    pub status: u16,
    /// The route; empty where none was looked for.
    pub route: &'a str,
    /// `old` or `new`.
    pub side: &'a str,
    /// Why that side.
    pub why: &'a str,
    /// The endpoint that answered.
    pub endpoint: &'a str,
    /// From the head of the request to the end of the answer.
    pub took: Duration,
    /// What went wrong; empty where nothing did.
    pub cause: &'a str,
}

/// The side of the log that a worker holds.
#[derive(Debug)]
pub struct AccessLog {
    block: RefCell<Vec<u8>>,
    left_out: Cell<u64>,
    /// How many lines the block has.
    lines: Cell<u64>,
    queue: SyncSender<Vec<u8>>,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer {
    queue: SyncSender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread. It ends when the last of the logs is dropped.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, blocks) = sync_channel(BLOCKS_MAX);
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(&blocks, out))?;
        Ok(Self { queue, thread })
    }

    /// The log of one worker.
    pub fn log(&self) -> AccessLog {
        AccessLog {
            block: RefCell::default(),
            left_out: Cell::new(0),
            lines: Cell::new(0),
            queue: self.queue.clone(),
        }
    }

    /// Waits until everything is written. The logs must be dropped before.
    pub fn finish(self) {
        drop(self.queue);
        // A writer that panicked has said so itself.
        drop(self.thread.join());
    }
}

fn write_all(blocks: &Receiver<Vec<u8>>, mut out: impl Write) {
    for block in blocks {
        // Standard output may be gone. Then there is nowhere to log to, and requests go on.
        if out.write_all(&block).and_then(|()| out.flush()).is_err() {
            tracing::warn!("the access log cannot be written");
        }
    }
}

impl AccessLog {
    /// Adds a line.
    pub fn add(&self, entry: &Entry<'_>) {
        let mut block = self.block.borrow_mut();
        line(&mut block, entry);
        self.lines.set(self.lines.get() + 1);
        if block.len() >= BLOCK_BYTES {
            drop(block);
            self.flush();
        }
    }

    /// Hands over what there is.
    pub fn flush(&self) {
        let mut block = self.block.borrow_mut();
        if block.is_empty() {
            return;
        }
        let left_out = self.left_out.get();
        if left_out > 0 {
            put(&mut block, format_args!("{{\"left_out\":{left_out}}}\n"));
        }
        let lines = self.lines.replace(0);
        match self.queue.try_send(std::mem::take(&mut *block)) {
            Ok(()) => self.left_out.set(0),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.left_out.set(left_out + lines);
            }
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

fn line(out: &mut Vec<u8>, entry: &Entry<'_>) {
    put(out, format_args!("{{\"at\":\"{}\",\"trace\":\"{}\"", clock::rfc3339(), entry.trace));
    if let Some(client) = entry.client {
        put(out, format_args!(",\"client\":\"{client}\""));
    }
    for (name, value) in [
        ("method", entry.method),
        ("host", entry.host),
        ("target", entry.target),
        ("route", entry.route.as_bytes()),
        ("side", entry.side.as_bytes()),
        ("why", entry.why.as_bytes()),
        ("endpoint", entry.endpoint.as_bytes()),
        ("cause", entry.cause.as_bytes()),
    ] {
        if !value.is_empty() {
            put(out, format_args!(",\"{name}\":\""));
            escaped(out, value);
            out.push(b'"');
        }
    }
    put(
        out,
        format_args!(",\"status\":{},\"micros\":{}}}\n", entry.status, entry.took.as_micros()),
    );
}

/// What a client sent is never trusted to be text: bytes outside of printable ASCII are written as escapes.
fn escaped(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => out.push(*byte),
            _ => put(out, format_args!("\\u{:04x}", u32::from(*byte))),
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "a Vec takes everything");
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::{Entry, Writer};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_json_whatever_the_client_sent() {
        let sink = Sink::default();
        let writer = Writer::start(sink.clone()).unwrap();
        let log = writer.log();
        log.add(&Entry {
            trace: "t1",
            client: Some([127, 0, 0, 1].into()),
            method: b"GET",
            host: b"shop",
            target: b"/a\"\\\n\xff",
            status: 200,
            route: "stock",
            side: "new",
            why: "live",
            endpoint: "127.0.0.1:1",
            took: Duration::from_micros(1500),
            cause: "",
        });
        drop(log);
        writer.finish();
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["target"], "/a\"\\\n\u{ff}");
        assert_eq!((&line["micros"], &line["side"]), (&1500.into(), &"new".into()), "{line}");
        assert!(line.get("cause").is_none());
    }
}
