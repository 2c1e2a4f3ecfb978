//! A lane: one connection to the shop, one request at a time, asked again until there is an answer.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{patience::Patience, target::Target, wire::Body};

/// Who does not accept a connection in this time is away.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// How long one answer may take: longer than the shop lets its own calls take (10 s), so that it is the shop that says
/// what became of them.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// The largest answer that is looked at: a page of products.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How often a failure of the server itself (500) is asked again: a bug does not go away, a full disk may.
const FAILURES_MAX: u32 = 3;

/// What is asked, for the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Products, customers and opening stock.
    Prepare,
    /// A cart is made and filled.
    Cart,
    /// A cart is checked out.
    Checkout,
    /// A checkout that took longer is asked after.
    FollowCheckout,
    /// A return.
    Return,
    /// A return that took longer is asked after.
    FollowReturn,
    /// A correction of stock.
    StockAdjustment,
    /// A correction of the books.
    BookAdjustment,
}

/// A request.
#[derive(Debug)]
pub struct Ask<'a> {
    /// What for.
    pub step: Step,
    /// The method.
    pub method: Method,
    /// The path, with its query.
    pub path: &'a str,
    /// The key of a POST.
    pub key: Option<String>,
    /// The body; none where it is empty.
    pub body: Bytes,
    /// Is the body of a good answer wanted? One that is not is read past.
    pub wanted: Wanted,
    /// A problem with this member is the answer, however passing its status looks.
    pub settled_by: Option<&'static str>,
}

/// Whether the body of a good answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Only status and location are.
    Head,
    /// It is.
    Body,
}

/// An answer that is to be taken as it is.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Where it is.
    pub location: Option<String>,
    /// The body, where it is wanted or the answer is a bad one.
    pub body: Bytes,
    retry_after: Option<Duration>,
}

/// The shop was away for longer than we are patient.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what} had no answer for {} s: {problem}", limit.as_secs())]
pub struct Away {
    /// What was asked.
    pub what: String,
    /// What the last try met.
    pub problem: String,
    /// How long it was tried.
    pub limit: Duration,
}

/// How a try ended.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What was asked.
    pub step: Step,
    /// How long the answer took, or why there was none to take.
    pub took: Result<Duration, String>,
}

/// One connection, used by one document at a time.
#[derive(Debug)]
pub struct Lane {
    target: Rc<Target>,
    patience: Patience,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// For the bodies of this lane's requests.
    pub body: Body,
    /// What was asked since the figures were last taken.
    pub samples: Vec<Sample>,
}

/// Is anybody there?
pub async fn knock(target: &Target) -> Result<(), String> {
    match timeout(CONNECT_TIME, TcpStream::connect(&target.address)).await {
        Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
        Err(_elapsed) => Err("not in time".to_owned()),
    }
}

impl Lane {
    /// A lane that connects when it is used.
    pub fn new(target: Rc<Target>, patience: Patience) -> Self {
        Self { target, patience, connection: None, body: Body::default(), samples: Vec::new() }
    }

    /// How patient it is.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// Asks, and asks the same again with the same key while the shop is away, busy, or does not say what became of it.
    pub async fn insist(&mut self, ask: &Ask<'_>) -> Result<Answer, Away> {
        let (mut tries, mut failures) = (self.patience.tries(), 0);
        loop {
            let sent_at = Instant::now();
            let answered = timeout(ANSWER_TIME, self.ask(ask)).await;
            let answered = answered.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned()));
            let (problem, wait) = match answered {
                Ok(answer) if !is_passing(&answer, ask, failures) => {
                    self.samples.push(Sample { step: ask.step, took: Ok(sent_at.elapsed()) });
                    return Ok(answer);
                }
                Ok(answer) => {
                    failures += u32::from(answer.status == StatusCode::INTERNAL_SERVER_ERROR);
                    (answer.status.to_string(), answer.retry_after)
                }
                Err(problem) => {
                    // A connection that failed once is in no state that we know.
                    self.connection = None;
                    (problem, None)
                }
            };
            self.samples.push(Sample { step: ask.step, took: Err(problem.clone()) });
            let Some(pause) = tries.pause(Instant::now(), wait) else {
                let what = format!("{} {}", ask.method, ask.path);
                return Err(Away { what, problem, limit: self.patience.limit });
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer, String> {
        let request = self.request(ask)?;
        let response = self.connected().await?.send_request(request).await.map_err(said)?;
        let (head, body) = response.into_parts();
        let keep = ask.wanted == Wanted::Body || !head.status.is_success();
        let body = if keep { collected(body).await? } else { read_past(body).await? };
        Ok(answer(&Response::from_parts(head, body)))
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, String> {
        let target = &self.target;
        let path = [&target.prefix, ask.path].concat();
        let mut request = Request::builder().method(&ask.method).uri(path);
        if let Some(headers) = request.headers_mut() {
            headers.insert(header::HOST, target.host.clone());
            headers.insert(header::AUTHORIZATION, target.authorization.clone());
            if !ask.body.is_empty() {
                let json = HeaderValue::from_static("application/json");
                headers.insert(header::CONTENT_TYPE, json);
            }
            if ask.wanted == Wanted::Head {
                // RFC 7240: a cart need not be written out again for who has just sent it.
                headers.insert("prefer", HeaderValue::from_static("return=minimal"));
            }
        }
        if let Some(key) = &ask.key {
            request = request.header("idempotency-key", key);
        }
        request.body(Full::new(ask.body.clone())).map_err(|error| error.to_string())
    }

    /// The connection; a new one where there is none or the other side has closed it.
    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, String> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = None;
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            unconnected => Ok(unconnected.insert(connect(&self.target.address).await?)),
        }
    }
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = timeout(CONNECT_TIME, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_elapsed| "cannot connect in time".to_owned())?;
    let stream = stream.map_err(|error| format!("cannot connect: {}", error.kind()))?;
    // A request is written at once and waited for: there is nothing to gather.
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(said)?;
    // Its end is told to whoever uses the sender.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Shall this be asked again?
fn is_passing(answer: &Answer, ask: &Ask<'_>, failures: u32) -> bool {
    match answer.status {
        StatusCode::SERVICE_UNAVAILABLE if ask.settled_by.is_some_and(|name| answer.has(name)) => {
            false
        }
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => true,
        StatusCode::INTERNAL_SERVER_ERROR => failures < FAILURES_MAX,
        _ => false,
    }
}

fn answer(response: &Response<Bytes>) -> Answer {
    let text = |name| response.headers().get(name)?.to_str().ok();
    let retry_after = text(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
    Answer {
        status: response.status(),
        location: text(header::LOCATION).map(str::to_owned),
        body: response.body().clone(),
        retry_after: retry_after.map(Duration::from_secs),
    }
}

async fn collected(body: Incoming) -> Result<Bytes, String> {
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    Ok(body.map_err(|error| error.to_string())?.to_bytes())
}

/// Reads a body and forgets it, so that the connection can be used again.
async fn read_past(mut body: Incoming) -> Result<Bytes, String> {
    while let Some(frame) = body.frame().await {
        frame.map_err(said)?;
    }
    Ok(Bytes::new())
}

/// What an error says, without what changes from one to the next: the figures count them by this text.
#[allow(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn said(error: hyper::Error) -> String {
    use std::error::Error;
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Answer {
    /// Has its document this member?
    fn has(&self, member: &str) -> bool {
        let document: Option<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_slice(&self.body).ok();
        document.is_some_and(|document| document.contains_key(member))
    }

    /// Why it is not a good one, in a line.
    pub fn problem(&self) -> (String, String) {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Problem {
            r#type: String,
            detail: String,
            errors: Vec<Field>,
        }
        #[derive(serde::Deserialize)]
        struct Field {
            field: String,
            detail: String,
        }
        let document: Problem = serde_json::from_slice(&self.body).unwrap_or_default();
        let name = document.r#type.rsplit(':').next().filter(|name| !name.is_empty());
        let why =
            format!("{} {}", self.status.as_u16(), name.unwrap_or("without a problem document"));
        let fields =
            document.errors.iter().map(|field| format!("{}: {}", field.field, field.detail));
        let details = std::iter::once(document.detail).filter(|detail| !detail.is_empty());
        (why, details.chain(fields).collect::<Vec<_>>().join("; "))
    }
}
