//! The HTTP client that all remote bindings of a process share: keep-alive connections on one runtime.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Frame, SizeHint};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioIo, TokioTimer},
};
use tokio::{net::TcpStream, runtime::Handle};
use tower_service::Service;

/// A module's process is near: who does not accept within this time is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that nobody uses are closed after this time. Shorter than the server's keep-alive of 75 s, so that a
/// request rarely meets a connection that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections kept per process that is called: as many as the default bulkhead lets calls through.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// Connections to other processes. Clones share them.
///
/// Callers live on many runtimes (one per web worker); connections and their sockets all live on one, so that a
/// connection outlives the worker that happened to open it.
#[derive(Clone, Debug)]
pub struct Client(legacy::Client<Connector, Outgoing>);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Silence {
    /// Could the other side have read the whole request?
    pub(crate) sent: bool,
    /// Would another try end differently?
    pub(crate) again: bool,
    /// Was it ended by its time-out?
    pub(crate) late: bool,
    pub(crate) detail: String,
}

impl Client {
    /// Connections live on this runtime.
    pub fn new(runtime: Handle) -> Self {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let executor = OnRuntime(runtime.clone());
        let client = legacy::Client::builder(executor)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(Connector { http, runtime });
        Self(client)
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: Bytes,
        timeout: Duration,
        answer_bytes_max: usize,
    ) -> Result<(StatusCode, Bytes), Silence> {
        let handed = Arc::new(Handed::default());
        let bytes = Some(body).filter(|bytes| !bytes.is_empty());
        let unmade = |error: http::Error| {
            let detail = error.to_string();
            Silence { sent: false, again: false, late: false, detail }
        };
        let request =
            request.body(Outgoing { bytes, handed: Arc::clone(&handed) }).map_err(unmade)?;
        let silence = |detail: String, again: bool, late: bool| {
            let sent = !handed.give_up();
            Silence { sent, again, late, detail }
        };
        match tokio::time::timeout(timeout, self.exchange(request, answer_bytes_max)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err((detail, again))) => Err(silence(detail, again, false)),
            Err(_elapsed) => Err(silence(format!("no answer within {timeout:?}"), true, true)),
        }
    }

    async fn exchange(
        &self,
        request: Request<Outgoing>,
        answer_bytes_max: usize,
    ) -> Result<(StatusCode, Bytes), (String, bool)> {
        let response = self.0.request(request).await.map_err(|error| (chain(&error), true))?;
        let (head, body) = response.into_parts();
        match Limited::new(body, answer_bytes_max).collect().await {
            Ok(body) => Ok((head.status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err((format!("the answer is larger than {answer_bytes_max} bytes"), false))
            }
            Err(error) => Err((chain(&*error), true)),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Who has a request's body: nobody yet, a connection, or nobody any more. It is decided once, since the connection
/// runs on another thread and could still take what its caller has just called unsent.
#[derive(Debug, Default)]
struct Handed(AtomicU8);

impl Handed {
    const WAITING: u8 = 0;
    const TAKEN: u8 = 1;
    const GIVEN_UP: u8 = 2;

    fn decide(&self, what: u8) -> bool {
        let decided =
            self.0.compare_exchange(Self::WAITING, what, Ordering::SeqCst, Ordering::SeqCst);
        decided.is_ok() || decided == Err(what)
    }

    /// For a connection; `false` when its caller has given it up.
    fn take(&self) -> bool {
        self.decide(Self::TAKEN)
    }

    /// For a caller; `false` when a connection has it.
    fn give_up(&self) -> bool {
        self.decide(Self::GIVEN_UP)
    }
}

/// A request's body that knows whether it was handed to a connection. As long as it was not, the other side cannot have
/// the whole request and so cannot have acted on it.
struct Outgoing {
    bytes: Option<Bytes>,
    handed: Arc<Handed>,
}

/// The caller no longer waits, so the connection is closed in the middle of the request.
#[derive(Debug, thiserror::Error)]
#[error("the request was given up before its body was sent")]
struct GivenUp;

impl Body for Outgoing {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        if !self.handed.take() {
            return Poll::Ready(Some(Err(GivenUp)));
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).expect("a length fits 64 bits"))
    }
}

/// Spawns on the one runtime, whoever asks.
#[derive(Clone, Debug)]
struct OnRuntime(Handle);

impl<F> hyper::rt::Executor<F> for OnRuntime
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// Connects on the one runtime: a socket belongs to the runtime that opened it.
#[derive(Clone, Debug)]
struct Connector {
    http: HttpConnector,
    runtime: Handle,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.runtime.spawn(self.http.call(to));
        Box::pin(async move { Ok(connecting.await??) })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        sync::Arc,
        task::{Context, Poll, Waker},
    };

    use bytes::Bytes;
    use hyper::body::Body;

    use super::{Handed, Outgoing};

    #[test]
    fn a_body_is_taken_or_given_up_never_both() {
        for taken_first in [true, false] {
            let handed = Arc::new(Handed::default());
            let mut body =
                Outgoing { bytes: Some(Bytes::from_static(b"{}")), handed: Arc::clone(&handed) };
            let mut context = Context::from_waker(Waker::noop());
            let mut poll = || Pin::new(&mut body).poll_frame(&mut context);
            if taken_first {
                assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
                assert!(!handed.give_up(), "the other side may have it");
            } else {
                assert!(handed.give_up());
                assert!(matches!(poll(), Poll::Ready(Some(Err(_)))), "it is never sent");
                assert!(handed.give_up(), "and stays unsent");
            }
        }
    }
}
