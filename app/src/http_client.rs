//! A small HTTP client: keep-alive connections, bounded answers, a deadline on every request.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::{Serialize, de::DeserializeOwned};

/// Who does not accept a connection in this time is away.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// Idle connections are closed before the server's keep-alive of 75 s does it.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// The largest answer: a list of every dead letter fits.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Requests to one server.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    token: String,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// No answer: whether the server has done what was asked is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no answer: {0}")]
pub struct NoAnswer(pub String);

/// A request.
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// The path, with its query.
    pub path: &'a str,
    /// The key of a POST.
    pub key: Option<&'a str>,
    /// The version that is to be replaced.
    pub if_match: Option<&'a str>,
    /// The body, JSON.
    pub body: Option<Bytes>,
    /// How long to wait for the whole answer.
    pub time: Duration,
}

impl HttpClient {
    /// A client of the server at `base` (`http://host:port`) that shows `token` (nothing where it is empty). Keeps up to `connections` open.
    pub fn new(base: &str, token: &str, connections: usize) -> anyhow::Result<Self> {
        let base = base.trim_end_matches('/');
        let uri: http::Uri = base.parse().map_err(|_bad| wrong(base))?;
        anyhow::ensure!(uri.scheme_str() == Some("http") && uri.host().is_some(), wrong(base));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(connections)
            .build(connector);
        Ok(Self { client, base: base.to_owned(), token: token.to_owned() })
    }

    /// Asks once.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<HttpAnswer, NoAnswer> {
        let mut request =
            Request::builder().method(ask.method).uri(format!("{}{}", self.base, ask.path));
        if !self.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        if let Some(version) = ask.if_match {
            request = request.header(header::IF_MATCH, version);
        }
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", key);
        }
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(ask.body.unwrap_or_default())).map_err(no_answer)?;
        let answered = async {
            let answer = self.client.request(request).await.map_err(no_answer)?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| NoAnswer(error.to_string()))?.to_bytes();
            Ok(HttpAnswer { status: head.status.as_u16(), headers: head.headers, body })
        };
        match tokio::time::timeout(ask.time, answered).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(NoAnswer(format!("not within {:.1} s", ask.time.as_secs_f64()))),
        }
    }

    /// Asks once for JSON; anything but success is an error that says what the server said.
    pub async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<T> {
        let body = body.map(serde_json::to_vec).transpose()?.map(Bytes::from);
        let time = Duration::from_secs(60);
        let answer = self.ask(Ask { method, path, key: None, if_match: None, body, time }).await?;
        anyhow::ensure!(answer.is_success(), "{}{path}: {}", self.base, answer.problem());
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

impl HttpAnswer {
    /// Is it a 2xx?
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What a problem document says, in a line.
    pub fn problem(&self) -> String {
        let document: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let text = |name| document.as_ref()?.get(name)?.as_str().map(str::to_owned);
        let title = text("title").unwrap_or_else(|| "no problem document".to_owned());
        match text("detail") {
            Some(detail) => format!("{} {title}: {detail}", self.status),
            None => format!("{} {title}", self.status),
        }
    }

    /// The URN of a problem document.
    pub fn problem_type(&self) -> Option<String> {
        let document: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(document.get("type")?.as_str()?.to_owned())
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

fn wrong(base: &str) -> anyhow::Error {
    anyhow::anyhow!("`{base}` is not the URL of a server, such as http://127.0.0.1:8080")
}

/// The whole chain in a line: the client's own error only says that something failed.
fn no_answer(error: impl std::error::Error) -> NoAnswer {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    NoAnswer(text)
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpClient({})", self.base)
    }
}
