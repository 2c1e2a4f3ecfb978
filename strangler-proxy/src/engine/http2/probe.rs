//! One question to an endpoint that speaks HTTP/2, on a connection of its own: is it well?

use std::{io, rc::Rc};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{self, SendRequest};
use http::{Method, Request};
use tokio::task::spawn_local;

use super::wire::Wire;
use crate::engine::Stream;

/// Room for the answer of a health check: it says little.
const ANSWER_MAX: usize = 8 * 1024;

/// `SERVING` of `grpc.health.v1.HealthCheckResponse.ServingStatus`.
const SERVING: u8 = 1;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A path, which is to answer with 2xx or 3xx.
    Path(Box<str>),
    /// How a service is, by the health checking protocol of gRPC; the empty name means the server.
    Service(Box<str>),
}

/// Is the other side well? Nothing where it does not even answer.
pub async fn probe(
    stream: Stream,
    (scheme, host): (&str, &str),
    question: &Question,
) -> io::Result<bool> {
    let wire = Wire::new(stream, Vec::new(), Rc::default());
    let (sender, connection) = client::handshake(wire).await.map_err(io::Error::other)?;
    // Ends with the last handle on it.
    let driver = spawn_local(async move { drop(connection.await) });
    let place = format!("{scheme}://{host}");
    let asked = match question {
        Question::Path(path) => ask(sender, &place, path).await,
        Question::Service(service) => call(sender, &place, service).await,
    };
    driver.abort();
    asked.map_err(io::Error::other)
}

fn request(method: Method, place: &str, path: &str) -> http::Result<Request<()>> {
    let uri = format!("{place}{path}");
    let request = Request::builder().method(method).uri(uri).version(http::Version::HTTP_2);
    request.header("user-agent", "strangler-proxy").body(())
}

async fn ask(sender: SendRequest<Bytes>, place: &str, path: &str) -> Result<bool, Error> {
    let mut sender = sender.ready().await?;
    let (answer, _) = sender.send_request(request(Method::GET, place, path)?, true)?;
    let status = answer.await?.status();
    Ok(status.is_success() || status.is_redirection())
}

/// <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>
async fn call(sender: SendRequest<Bytes>, place: &str, service: &str) -> Result<bool, Error> {
    let mut request = request(Method::POST, place, "/grpc.health.v1.Health/Check")?;
    let fields = request.headers_mut();
    fields.insert("content-type", http::HeaderValue::from_static("application/grpc"));
    fields.insert("te", http::HeaderValue::from_static("trailers"));
    let mut sender = sender.ready().await?;
    let (answer, mut to) = sender.send_request(request, false)?;
    to.send_data(message(service), true)?;
    let mut body = answer.await?.into_body();
    let mut said = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        if said.len() + data.len() > ANSWER_MAX {
            return Ok(false);
        }
        said.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?;
    let is_fine = trailers.is_some_and(|fields| {
        fields.get("grpc-status").is_some_and(|status| status.as_bytes() == b"0")
    });
    Ok(is_fine && is_serving(&said))
}

/// A message of gRPC with `HealthCheckRequest { service }`.
fn message(service: &str) -> Bytes {
    let mut text = BytesMut::with_capacity(service.len() + 8);
    // Names are at most 127 bytes long, which the configuration holds: their length is one byte.
    let length = u8::try_from(service.len()).unwrap_or(u8::MAX);
    let size = if service.is_empty() { 0 } else { u32::from(length) + 2 };
    text.put_u8(0);
    text.put_u32(size);
    if !service.is_empty() {
        text.put_slice(&[0x0a, length]);
        text.put_slice(service.as_bytes());
    }
    text.freeze()
}

/// Does the message say `HealthCheckResponse { status: SERVING }`?
fn is_serving(message: &[u8]) -> bool {
    matches!(message, [0, 0, 0, 0, 2, 0x08, SERVING])
}

/// Whatever goes wrong; nobody tells these apart.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Http2(#[from] h2::Error),
    #[error(transparent)]
    Head(#[from] http::Error),
}
