//! Accepting connections, also when there are too many of them.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::{
    net::{TcpListener, UnixListener},
    task::{spawn_local, yield_now},
    time::sleep,
};

use super::{
    answer::{self, About},
    connection,
    fault::Fault,
    limits::{ACCEPT_BATCH, ACCEPT_PAUSE},
    listen::{Reserve, is_exhaustion},
    stream::Stream,
    worker::Worker,
};

/// A socket that listens.
#[derive(Debug)]
pub enum Listening {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A Unix socket.
    Unix(std::os::unix::net::UnixListener),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn of(listening: Listening) -> io::Result<Self> {
        Ok(match listening {
            Listening::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Listening::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
        })
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<SocketAddr>)>> {
        match self {
            Self::Tcp(listener) => {
                let accepted = listener.poll_accept(cx);
                accepted.map_ok(|(stream, peer)| (Stream::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener) => {
                let accepted = listener.poll_accept(cx);
                accepted.map_ok(|(stream, _)| (Stream::Unix(stream), None))
            }
        }
    }
}

/// Accepts until the worker drains, and then what the queue still has: those clients were told that they are connected.
pub async fn run(worker: Rc<Worker>, listening: Listening) {
    let listener = match Listener::of(listening) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a listener cannot be used");
            return;
        }
    };
    let mut reserve = Reserve::new();
    let mut batch = 0;
    let mut is_told = false;
    let slot = worker.timers.slot();
    loop {
        let accepted = poll_fn(|cx| {
            slot.listen(cx);
            match listener.poll_accept(cx) {
                Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
                Poll::Pending if worker.draining.get() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        let Some(accepted) = accepted.await else { return };
        match accepted {
            Ok((stream, peer)) => {
                is_told = false;
                welcome(&worker, stream, peer);
                batch += 1;
                if batch == ACCEPT_BATCH {
                    batch = 0;
                    yield_now().await;
                }
            }
            Err(error) if is_exhaustion(&error) => {
                if !is_told {
                    tracing::warn!(%error, "no descriptor left for connections: they are turned away");
                    is_told = true;
                }
                reserve.give_up();
                let one = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await;
                if let Poll::Ready(Ok((stream, _))) = one {
                    refuse(&stream, Fault::NoDescriptor, "strangler-proxy");
                }
                reserve.take_back();
                sleep(ACCEPT_PAUSE).await;
                if worker.draining.get() {
                    return;
                }
            }
            // The client has gone before it was its turn.
            Err(_gone) => {}
        }
    }
}

fn welcome(worker: &Rc<Worker>, stream: Stream, peer: Option<SocketAddr>) {
    let view = worker.view();
    if worker.open.get() >= view.snapshot.client.connections.min(worker.clients_max) {
        refuse(&stream, Fault::TooManyConnections, &view.snapshot.client.pseudonym);
        return;
    }
    let open = worker.opened();
    let worker = Rc::clone(worker);
    spawn_local(async move {
        connection::serve(worker, stream, peer).await;
        drop(open);
    });
}

/// One answer and no more. Where the socket does not take it at once, the client gets none.
fn refuse(stream: &Stream, fault: Fault, pseudonym: &str) {
    let mut out = Vec::new();
    let about = About { pseudonym, trace: "", is_head: false, closes: true };
    answer::problem(&mut out, fault, about);
    // A connection this new is not known to be writable yet; the system is asked all the same.
    let written = stream.send_now(&out);
    if let Err(error) = written {
        tracing::debug!(%error, "a client that is turned away is not told");
    }
}
