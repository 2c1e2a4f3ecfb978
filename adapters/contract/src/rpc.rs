//! The server's half of the remote binding: strict JSON-RPC 2.0 over HTTP, without a web framework.
//!
//! Mount [`call`] at `POST /rpc/{module}`, [`document`] at `GET /rpc/{module}/openrpc.json` and `GET /rpc/{module}/schema`.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::Instrument;

use crate::{
    Call, Caller, Deadline, IdempotencyKey, Reason, TraceContext,
    credential::{Secret, may_speak_for},
    dispatch::{Dispatch, Parts, RpcError, code},
    openrpc::openrpc,
};

/// The largest request: an import of 5,000 movements is about 1 MB. Whoever reads the body stops here, too.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A caller's deadline counts up to here, so that a peer cannot hold a worker for a day.
const DEADLINE_MAX: Duration = Duration::from_secs(300);

/// The names of the headers that travel with a call.
pub mod header {
    /// `Bearer <token>`.
    pub const AUTHORIZATION: &str = "authorization";
    /// Whose token it is.
    pub const PEER: &str = "banyan-peer";
    /// On whose behalf the call is made.
    pub const CALLER: &str = "banyan-caller";
    /// The time that remains, in milliseconds.
    pub const DEADLINE_MS: &str = "banyan-deadline-ms";
    /// W3C Trace Context.
    pub const TRACEPARENT: &str = "traceparent";
    /// A command's key.
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
    /// The hash of the method as the caller knows it.
    pub const METHOD_HASH: &str = "banyan-method-hash";
    /// `1` where a process that does not have the module passes a call on.
    pub const FORWARDED: &str = "banyan-forwarded";
}

/// The modules that this process answers for, and the secret that its callers must share.
pub struct Registry {
    secret: Secret,
    modules: RwLock<BTreeMap<&'static str, Arc<dyn Dispatch>>>,
}

impl Registry {
    /// Answers for nothing yet.
    pub fn new(secret: Secret) -> Self {
        Self { secret, modules: RwLock::default() }
    }

    /// Answers for this module from now on.
    pub fn insert(&self, module: Arc<dyn Dispatch>) {
        let name = module.descriptor().module;
        self.modules.write().unwrap_or_else(PoisonError::into_inner).insert(name, module);
    }

    /// No longer answers for this module.
    pub fn remove(&self, module: &str) {
        self.modules.write().unwrap_or_else(PoisonError::into_inner).remove(module);
    }

    fn get(&self, module: &str) -> Result<Arc<dyn Dispatch>, Refused> {
        let modules = self.modules.read().unwrap_or_else(PoisonError::into_inner);
        modules.get(module).map(Arc::clone).ok_or_else(|| {
            let detail = format!("this process does not answer for `{module}`");
            Refused(404, RpcError::not_executed(Reason::Moved, detail))
        })
    }

    /// Who asks, by its credential; or the reply that says it has none.
    pub fn peer(&self, head: &Head) -> Result<String, Reply> {
        self.admit(head).map_err(|Refused(status, error)| failed(status, None, &error))
    }

    fn admit(&self, head: &Head) -> Result<String, Refused> {
        let forbidden =
            |detail: &str| Refused(401, RpcError::not_executed(Reason::Forbidden, detail));
        let peer = head.peer.as_deref().ok_or_else(|| forbidden("no banyan-peer header"))?;
        let token = head.authorization.as_deref().and_then(|text| text.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| forbidden("no bearer token"))?;
        if !self.secret.verify(peer, token) {
            return Err(forbidden("the token is not the peer's"));
        }
        Ok(peer.to_owned())
    }
}

/// The headers of a request that matter here. Not for logs: one is the peer's token.
#[derive(Clone, Default)]
pub struct Head {
    authorization: Option<String>,
    peer: Option<String>,
    caller: Option<String>,
    deadline: Option<String>,
    trace: Option<String>,
    key: Option<String>,
    hash: Option<String>,
    forwarded: bool,
}

impl Head {
    /// Reads them by name, case-insensitively as HTTP has it: `Head::read(|name| headers.get(name)?.to_str().ok())`.
    pub fn read<'h>(get: impl Fn(&'static str) -> Option<&'h str>) -> Self {
        let get = |name| get(name).map(str::to_owned);
        Self {
            authorization: get(header::AUTHORIZATION),
            peer: get(header::PEER),
            caller: get(header::CALLER),
            deadline: get(header::DEADLINE_MS),
            trace: get(header::TRACEPARENT),
            key: get(header::IDEMPOTENCY_KEY),
            hash: get(header::METHOD_HASH),
            forwarded: get(header::FORWARDED).as_deref() == Some("1"),
        }
    }
}

/// What to send back; the body is always JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status: 200 for every outcome of a call, another one when there was none.
    pub status: u16,
    /// The body, `application/json`.
    pub body: Vec<u8>,
}

/// Which of a contract's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// The OpenRPC document.
    OpenRpc,
    /// The hashes, for the handshake.
    Schema,
}

/// A request that is not let through to the method, with its HTTP status.
struct Refused(u16, RpcError);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    jsonrpc: &'a str,
    id: Id,
    method: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// A fraction or `null` is legal JSON-RPC but discouraged by it; nobody of ours sends one.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Response<'a> {
    Result { jsonrpc: &'static str, id: &'a Id, result: &'a RawValue },
    Error { jsonrpc: &'static str, id: Option<&'a Id>, error: &'a RpcError },
}

/// Answers one JSON-RPC 2.0 request to `module`.
///
/// A batch is refused: deadline, caller and key are the headers', so they belong to one call. So is a notification: a
/// call whose outcome nobody hears has no place here.
pub async fn call(registry: &Registry, module: &str, head: Head, body: &[u8]) -> Reply {
    match admitted(registry, module, head, body).await {
        Ok(reply) => reply,
        Err(Refused(status, error)) => failed(status, None, &error),
    }
}

/// One of a contract's documents.
pub fn document(registry: &Registry, module: &str, head: &Head, document: Document) -> Reply {
    let found = registry.admit(head).and_then(|_peer| registry.get(module));
    match found {
        Ok(dispatch) => match document {
            Document::OpenRpc => json(200, &openrpc(dispatch.descriptor())),
            Document::Schema => json(200, &dispatch.descriptor().handshake()),
        },
        Err(Refused(status, error)) => failed(status, None, &error),
    }
}

async fn admitted(
    registry: &Registry,
    module: &str,
    head: Head,
    body: &[u8],
) -> Result<Reply, Refused> {
    let peer = registry.admit(&head)?;
    let dispatch = registry.get(module)?;
    if body.len() > REQUEST_BYTES_MAX {
        let detail = format!("the request is larger than {REQUEST_BYTES_MAX} bytes");
        return Err(Refused(413, RpcError::not_executed(Reason::Malformed, detail)));
    }
    let request = read(body).map_err(|error| Refused(200, error))?;
    let outcome = match checked(&dispatch, &peer, &head, &request) {
        Err(error) => Err(error),
        Ok(_) if request.method == "rpc.discover" => {
            serde_json::value::to_raw_value(&openrpc(dispatch.descriptor())).map_err(|error| {
                RpcError::with_code(code::INTERNAL, Reason::Failed, error.to_string())
            })
        }
        Ok(parts) => forward(&dispatch, &peer, &request, parts).await,
    };
    Ok(match outcome {
        Ok(result) => {
            json(200, &Response::Result { jsonrpc: "2.0", id: &request.id, result: &result })
        }
        Err(error) => failed(200, Some(&request.id), &error),
    })
}

async fn forward(
    dispatch: &Arc<dyn Dispatch>,
    peer: &str,
    request: &Request<'_>,
    parts: Parts,
) -> Result<Box<RawValue>, RpcError> {
    let params = request.params.ok_or_else(|| {
        RpcError::with_code(code::INVALID_PARAMS, Reason::Malformed, "params are missing")
    })?;
    let span = tracing::debug_span!(
        "rpc",
        module = dispatch.descriptor().module,
        method = request.method,
        peer,
        caller = %parts.call.caller,
        trace = %parts.call.trace,
    );
    dispatch.dispatch(&request.method, parts, params).instrument(span).await
}

fn read(body: &[u8]) -> Result<Request<'_>, RpcError> {
    let invalid =
        |detail: &str| RpcError::with_code(code::INVALID_REQUEST, Reason::Malformed, detail);
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(invalid("a batch is not answered: send one request per call"));
    }
    let request: Request<'_> = serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            invalid(&error.to_string())
        } else {
            RpcError::with_code(code::PARSE, Reason::Malformed, error.to_string())
        }
    })?;
    if request.jsonrpc != "2.0" {
        return Err(invalid("`jsonrpc` is not \"2.0\""));
    }
    Ok(request)
}

/// Everything about a call that can be checked before its argument is read.
fn checked(
    dispatch: &Arc<dyn Dispatch>,
    peer: &str,
    head: &Head,
    request: &Request<'_>,
) -> Result<Parts, RpcError> {
    let malformed = |detail: String| RpcError::not_executed(Reason::Malformed, detail);
    let caller: Caller = match &head.caller {
        Some(text) => {
            text.parse().map_err(|error| malformed(format!("{}: {error}", header::CALLER)))?
        }
        None => return Err(malformed(format!("no {} header", header::CALLER))),
    };
    if !may_speak_for(peer, &caller) {
        let detail = format!("`{peer}` may not call as `{caller}`");
        return Err(RpcError::not_executed(Reason::Forbidden, detail));
    }
    let remaining_ms = head.deadline.as_deref().and_then(|text| text.parse().ok());
    let remaining_ms = remaining_ms.ok_or_else(|| {
        malformed(format!("{} is no number of milliseconds", header::DEADLINE_MS))
    })?;
    let key = head.key.as_deref().map(str::parse::<IdempotencyKey>).transpose();
    let key = key.map_err(|error| malformed(format!("{}: {error}", header::IDEMPOTENCY_KEY)))?;
    compatible(dispatch, head, request)?;
    // As W3C has it: a trace that cannot be read is started anew, never a reason to refuse.
    let trace = head.trace.as_deref().and_then(|text| text.parse().ok());
    let deadline = Deadline::within(Duration::from_millis(remaining_ms).min(DEADLINE_MAX));
    let trace = trace.unwrap_or_else(TraceContext::start);
    let call = Call { trace, forwarded: head.forwarded, ..Call::new(caller, deadline) };
    Ok(Parts { call, key })
}

/// Another implementation may not know hashes; who sends one must send ours.
fn compatible(
    dispatch: &Arc<dyn Dispatch>,
    head: &Head,
    request: &Request<'_>,
) -> Result<(), RpcError> {
    let (descriptor, name) = (dispatch.descriptor(), &request.method);
    match (&head.hash, descriptor.method(name)) {
        (Some(theirs), Some(ours)) if *theirs != ours.hash => {
            let detail =
                format!("`{}.{name}` differs between the two processes", descriptor.module);
            Err(RpcError::not_executed(Reason::Incompatible, detail))
        }
        (Some(_), None) if name != "rpc.discover" => {
            let detail = format!("this process has no `{}.{name}`", descriptor.module);
            let (code, reason) = (code::METHOD_NOT_FOUND, Reason::Incompatible);
            Err(RpcError::with_code(code, reason, detail))
        }
        _ => Ok(()),
    }
}

fn failed(status: u16, id: Option<&Id>, error: &RpcError) -> Reply {
    json(status, &Response::Error { jsonrpc: "2.0", id, error })
}

fn json(status: u16, body: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(body).expect("what is sent here has string keys only");
    Reply { status, body }
}
