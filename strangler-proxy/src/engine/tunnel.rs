//! After an upgrade: bytes in both directions, nothing of them understood, until both sides have ended.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    buffers::Buffers, client::Client, exchange::Exchange, fault::Fault, kit::Kit, stream::Stream,
};

/// One direction. Holds a buffer only while there are bytes in it.
#[derive(Debug)]
struct Pipe {
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    moved: bool,
}

/// Copies until both sides have ended, one has failed, or nothing has moved for the route's idle time.
pub async fn run(
    client: &mut Client,
    mut exchange: Box<Exchange>,
    kit: &mut Box<Kit>,
    idle: Duration,
) -> Result<(), Fault> {
    let (input_end, buffer_end) = exchange.left_over();
    let mut up = Pipe::new(kit.input.split_off(input_end.min(kit.input.len())), 0);
    let mut down = Pipe::new(std::mem::take(&mut exchange.buffer), buffer_end);
    // It may last for days, and needs nothing of this.
    client.worker.kits.put(std::mem::take(kit));
    let bodies = &client.worker.bodies;
    client.slot.set_after(idle);
    let ended = poll_fn(|cx| {
        let there = up.poll(cx, &mut client.stream, &mut exchange.upstream, bodies);
        let back = down.poll(cx, &mut exchange.upstream, &mut client.stream, bodies);
        match (there, back) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => {
                return Poll::Ready(Err(Fault::ClosedEarly));
            }
            (Poll::Pending, _) | (_, Poll::Pending) => {}
        }
        if std::mem::take(&mut up.moved) | std::mem::take(&mut down.moved) {
            client.slot.set_after(idle);
        }
        if client.slot.passed() { Poll::Ready(Err(Fault::IdleTimeout)) } else { Poll::Pending }
    })
    .await;
    client.worker.bodies.put(up.buffer);
    client.worker.bodies.put(down.buffer);
    ended
}

impl Pipe {
    fn new(buffer: Vec<u8>, at: usize) -> Self {
        Self { buffer, at, ended: false, moved: false }
    }

    /// Ready when the source has ended and the sink was told so.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Stream,
        sink: &mut Stream,
        bodies: &Buffers,
    ) -> Poll<io::Result<()>> {
        loop {
            while let Some(rest) = self.buffer.get(self.at..).filter(|rest| !rest.is_empty()) {
                self.at += ready!(sink.poll_write(cx, rest, &[]))?;
                self.moved = true;
            }
            bodies.put(std::mem::take(&mut self.buffer));
            self.at = 0;
            ready!(sink.poll_flush(cx))?;
            if self.ended {
                return sink.poll_shutdown(cx);
            }
            ready!(source.poll_readable(cx));
            self.buffer = bodies.take();
            match source.poll_read(cx, &mut self.buffer) {
                Poll::Ready(count) => {
                    self.ended = count? == 0;
                    self.moved = true;
                }
                Poll::Pending => {
                    bodies.put(std::mem::take(&mut self.buffer));
                    return Poll::Pending;
                }
            }
        }
    }
}
