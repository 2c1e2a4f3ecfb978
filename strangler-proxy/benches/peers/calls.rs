//! An upstream for gRPC: answers every call with its own message, HTTP/2 in the clear.

use bytes::{BufMut, Bytes, BytesMut};
use h2::{RecvStream, server, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    task::{LocalSet, spawn_local},
};

/// A message with so many bytes of payload.
pub fn message(payload: usize) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(u32::try_from(payload).unwrap());
    message.put_bytes(b'x', payload);
    message.freeze()
}

/// Answers for ever.
pub fn serve(address: &str) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            spawn_local(connection(stream));
        }
    });
}

/// Serves one connection; one that breaks is over.
async fn connection(stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    // As many calls at once as the load has: this is not what is measured.
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(1000);
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        spawn_local(async move { drop(answer(request, respond).await) });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut from = request.into_body();
    let mut message = BytesMut::new();
    while let Some(data) = from.data().await {
        let data = data?;
        from.flow_control().release_capacity(data.len())?;
        message.extend_from_slice(&data);
    }
    let mut head = Response::new(());
    let kind = HeaderValue::from_static("application/grpc");
    head.headers_mut().insert("content-type", kind);
    let mut to = respond.send_response(head, false)?;
    to.send_data(message.freeze(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    to.send_trailers(trailers)
}
