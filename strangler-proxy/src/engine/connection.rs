//! The life of a client's connection: idle, a request, its answer, and again. One task does it all, the upstream's side
//! included.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    answer::{self, About},
    client::{Client, Head},
    fault::Fault,
    handshake::Arrival,
    http2,
    kit::Kit,
    request::{self, Next},
    stream::Stream,
    view::View,
    worker::Worker,
};
use crate::{
    http1::Cause,
    seen::{Entry, Happened, Trace},
};

/// Serves a connection to its end.
pub async fn serve(worker: Rc<Worker>, stream: Stream, arrival: Arrival) {
    let mut client = Client::new(Rc::clone(&worker), stream, arrival);
    client.listens().await;
    while client.is_asking().await {
        let mut kit = worker.kits.take();
        let next = requests(&mut client, &mut kit).await;
        match next {
            Next::Idle | Next::Again => worker.kits.put(kit),
            Next::Close => {
                let rubbish = std::mem::take(&mut kit.input);
                worker.kits.put(kit);
                client.linger(rubbish).await;
                return;
            }
            Next::Abort => {
                worker.kits.put(kit);
                client.stream.abort();
                return;
            }
            Next::Gone => {
                worker.kits.put(kit);
                return client.hear_out().await;
            }
            Next::Http2 => {
                let ahead = std::mem::take(&mut kit.input);
                worker.kits.put(kit);
                let (stream, arrival) = client.into_parts();
                return http2::serve(worker, stream, ahead, arrival).await;
            }
        }
    }
    client.part().await;
}

/// Answers a connection with this and nothing else.
pub async fn turn_away(worker: Rc<Worker>, stream: Stream, arrival: Arrival, fault: Fault) {
    let mut client = Client::new(Rc::clone(&worker), stream, arrival);
    client.listens().await;
    let mut kit = worker.kits.take();
    let next = refuse(&mut client, &mut kit, fault).await;
    let rubbish = std::mem::take(&mut kit.input);
    worker.kits.put(kit);
    if next == Next::Close {
        client.linger(rubbish).await;
    }
}

/// Serves requests one after the other as long as there are bytes of them.
async fn requests(client: &mut Client, kit: &mut Box<Kit>) -> Next {
    loop {
        let view = client.worker.view();
        let head_len = match client.head(kit, &view).await {
            Head::Whole(head_len) => head_len,
            Head::NotBegun => return Next::Idle,
            Head::Over => return Next::Gone,
            Head::Bad(Fault::Refused(Cause::Http2Preface)) if is_http2(client, kit, &view) => {
                return Next::Http2;
            }
            Head::Bad(fault) => return refuse(client, kit, fault).await,
        };
        drop(view);
        client.has_asked = true;
        match request::serve(client, kit, head_len).await {
            // One request is all that a stream of HTTP/2 carries.
            Next::Again if client.stream.is_answered() => return Next::Gone,
            Next::Again if kit.input.is_empty() => return Next::Idle,
            Next::Again => {}
            last => return last,
        }
    }
}

/// Is what the parser took for a request the beginning of HTTP/2, by prior knowledge (RFC 9113, section 3.3)? It is looked
/// at only where a request has been refused already, so that HTTP/1.1 pays nothing for it.
#[cold]
fn is_http2(client: &Client, kit: &Kit, view: &View) -> bool {
    let begun = kit.input.get(..http2::PREFACE.len()).unwrap_or(&kit.input);
    // Over TLS it is agreed on by ALPN (RFC 9113, section 3.2).
    let is_first = !client.has_asked && client.secured.is_none() && !client.stream.is_http2();
    is_first && view.snapshot.client.http2 && http2::PREFACE.starts_with(begun)
}

/// Answers what could not even be read.
async fn refuse(client: &mut Client, kit: &mut Kit, fault: Fault) -> Next {
    let view = client.worker.view();
    let trace = Trace::made(&client.worker.ids);
    let pseudonym = &*view.snapshot.client.pseudonym;
    let is_grpc = client.stream.is_call();
    let about = About { pseudonym, trace: trace.id(), is_head: false, closes: true, is_grpc };
    kit.to_client.clear();
    answer::problem(&mut kit.to_client, fault, about);
    tracing::debug!(
        cause = fault.name(),
        client = &*client.peer_text,
        trace = trace.id(),
        "refused"
    );
    let rest = view.route(view.snapshot.rest());
    rest.cells.refused.add(1);
    client.worker.recent.add(&Happened {
        trace: trace.id(),
        started: Instant::now(),
        took: Duration::ZERO,
        waited: Duration::ZERO,
        client: client.peer,
        method: b"",
        host: b"",
        path: b"",
        decided: None,
        endpoint: None,
        tries: &[],
        status: fault.status(),
        cause: Some((fault.name(), fault.sentence())),
    });
    if view.snapshot.access_log {
        client.worker.log.add(&Entry {
            trace: trace.id(),
            client: client.peer,
            method: b"",
            host: b"",
            target: b"",
            status: fault.status(),
            route: "",
            side: "",
            why: "",
            endpoint: "",
            took: Duration::ZERO,
            cause: fault.name(),
        });
    }
    match client.write(&kit.to_client).await {
        Ok(()) => Next::Close,
        Err(_gone) => Next::Gone,
    }
}

#[cfg(test)]
mod tests {
    /// Ten thousand idle connections are to be cheap, and each of them is a task of this size.
    #[test]
    fn the_task_of_a_connection_is_small() {
        fn size<A, B, C, R>(_: impl Fn(A, B, C) -> R) -> usize {
            size_of::<R>()
        }
        let bytes = size(super::serve);
        assert!(bytes <= 2048, "{bytes} bytes");
    }
}
